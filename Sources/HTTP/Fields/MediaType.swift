// The media type of a body whose `Content-Type` occurs several times or is a list (Fetch, "extract a MIME type"). Servers and the
// layers before them send both, and browsers take the last valid type.
//
// Invariant: the result depends only on the values joined by ", ", not on how they are spread over lines.

import Bytes

extension FieldSection {
    /// Whether the media type is `text/event-stream`, in any case of letters and with any parameters.
    var isEventStream: Bool {
        guard names.contains(.contentType) else { return false }
        let bytes = bytes.span
        if let value = onlyValue(of: .contentType), firstByte(0x2C, in: bytes, value) == value.upperBound {
            // The usual case: one field with one type.
            return equalsIgnoringCase(bytes, withoutParameters(bytes, value), "text/event-stream")
        }
        var isStream = false
        // A quoted string without its end continues in the next line.
        var isQuoted = false
        for field in fields where field.known == .contentType {
            var start = field.value.lowerBound
            var position = start
            // The rest of a quoted string belongs to an element that was judged when it began.
            var isJudged = isQuoted
            while true {
                let isAtEnd = position >= field.value.upperBound
                if isAtEnd || (bytes[position] == 0x2C && !isQuoted) {
                    if !isJudged { isStream = Self.isEventStream(bytes, start..<min(position, field.value.upperBound)) ?? isStream }
                    if isAtEnd { break }
                    start = position + 1
                    isJudged = false
                } else if bytes[position] == 0x22 {
                    isQuoted.toggle()
                } else if bytes[position] == 0x5C, isQuoted {
                    position += 1
                }
                position += 1
            }
        }
        return isStream
    }

    private func onlyValue(of name: FieldName) -> Range<Int>? {
        var only: Range<Int>?
        for field in fields where field.known == name {
            guard only == nil else { return nil }
            only = field.value
        }
        return only
    }

    /// Whether one element of the list is `text/event-stream`; nil if the element is no media type, or `*/*`, which names none.
    private static func isEventStream(_ bytes: Span<UInt8>, _ element: Range<Int>) -> Bool? {
        let essence = withoutParameters(bytes, element)
        if equalsIgnoringCase(bytes, essence, "text/event-stream") { return true }
        let slash = firstByte(0x2F, in: bytes, essence)
        guard slash > essence.lowerBound, slash + 1 < essence.upperBound, !equals(bytes, essence, "*/*") else { return nil }
        for index in essence where index != slash && !isTokenCharacter(bytes[index]) { return nil }
        return false
    }
}

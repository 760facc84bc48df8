// Writes request and response heads. The output is always strictly valid: the version is HTTP/1.1, names are our own constants or come
// from a parsed head, and every other value is checked before it is written. The proxy decides which fields are written.
//
// Invariant: no call writes a CR, LF, NUL or other control character except its own line end (SwiftNIO GHSA-7fj7-39wj-c64f shows what
// happens otherwise).

import Bytes

/// Appends a head, line by line, to bytes that it owns.
public struct HeadWriter: Sendable {
    /// What has been written, and zeros behind it. Copying into existing room costs a third of appending.
    private var room: [UInt8]
    /// How much has been written so far, in bytes.
    public private(set) var count = 0

    /// A writer with nothing written and room for so many bytes.
    public init(reservingCapacity capacity: Int = 1024) {
        // An array of zeros from the standard library costs more than everything that is written into it.
        room = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: capacity) { zeros in
            zeros.initialize(repeating: 0)
            return Array(zeros)
        }
    }

    /// What has been written so far.
    public var bytes: [UInt8] { Array(room[..<count]) }

    /// Returns what has been written and leaves the writer empty and without room.
    public mutating func take() -> [UInt8] {
        room.removeLast(room.count - count)
        count = 0
        defer { room = [] }
        return room
    }

    /// Forgets what was written and keeps the room.
    public mutating func removeAll() { count = 0 }

    /// The request line with the method and target of a parsed head.
    public mutating func requestLine(of head: RequestHead) {
        append(head.methodRange, of: head.section)
        append(" ")
        append(head.target, of: head.section)
        append(" HTTP/1.1\r\n")
    }

    /// The request line with the method of a parsed head and another target, which must be `*` or begin with `/`. Throws and writes
    /// nothing if the target holds a byte that a target cannot hold.
    public mutating func requestLine(of head: RequestHead, target: [UInt8]) throws(HTTPError) {
        guard target.first == 0x2F || target == [0x2A] else { throw .unsafeOutgoingBytes }
        for byte in target where !isTargetByte(byte) { throw .unsafeOutgoingBytes }
        append(head.methodRange, of: head.section)
        append(" ")
        append(target)
        append(" HTTP/1.1\r\n")
    }

    /// The request line of a request of the proxy's own. Throws and writes nothing if the target holds a byte that a target cannot hold.
    public mutating func requestLine(_ method: StaticString, target: [UInt8]) throws(HTTPError) {
        guard target.first == 0x2F, target.allSatisfy(isTargetByte) else { throw .unsafeOutgoingBytes }
        append(method)
        append(" ")
        append(target)
        append(" HTTP/1.1\r\n")
    }

    /// The status line of the proxy's own answer. Without a reason it is the standard one.
    public mutating func statusLine(_ status: Int, reason: StaticString? = nil) {
        precondition(status >= 100 && status <= 999, "a status has three digits")
        let reason = reason ?? reasonPhrase(for: status)
        requireFieldValue(reason)
        append("HTTP/1.1 ")
        append(decimal: UInt64(status))
        append(" ")
        append(reason)
        append("\r\n")
    }

    /// The status line with the status and the reason of a parsed head.
    public mutating func statusLine(of head: ResponseHead) {
        append("HTTP/1.1 ")
        append(decimal: UInt64(head.status))
        append(" ")
        append(head.reasonRange, of: head.section)
        append("\r\n")
    }

    /// A field with a constant value.
    public mutating func field(_ name: StaticString, _ value: StaticString) {
        requireFieldValue(value)
        appendLine(name, UnsafeBufferPointer(start: value.utf8Start, count: value.utf8CodeUnitCount))
    }

    /// Writes how a request's body is delimited (RFC 9112 section 6.3): a length, chunks, or nothing where there is none.
    public mutating func framing(ofRequest framing: BodyFraming) {
        switch framing {
        case .none, .untilClose: break
        case .length(let count): field("Content-Length", count)
        case .chunked: field("Transfer-Encoding", "chunked")
        }
    }

    /// One field line by itself, with its CRLF. The value has to be one that a field may hold.
    public static func fieldLine(_ name: StaticString, _ value: String) -> [UInt8] { Array("\(name): \(value)\r\n".utf8) }

    /// A field whose value is a number.
    public mutating func field(_ name: StaticString, _ value: UInt64) {
        HeadWriter.withDigits(of: value) { appendLine(name, $0) }
    }

    /// A field whose value is a number, which may not be negative.
    public mutating func field(_ name: StaticString, _ value: Int) {
        precondition(value >= 0, "no field of HTTP is a negative number")
        field(name, UInt64(value))
    }

    /// A field with a value that comes from outside. Throws and writes nothing if the value holds a control character other than a tab.
    public mutating func field(_ name: StaticString, _ value: Span<UInt8>) throws(HTTPError) {
        var checked = 0
        while true {
            checked = firstControlByte(value, from: checked, to: value.count)
            guard checked < value.count else { break }
            guard value[checked] == horizontalTab else { throw .unsafeOutgoingBytes }
            checked += 1
        }
        value.withUnsafeBufferPointer { appendLine(name, $0) }
    }

    /// A field with a value that comes from outside, checked like a span.
    public mutating func field(_ name: StaticString, _ value: [UInt8]) throws(HTTPError) {
        try field(name, value.span)
    }

    /// A field with a value that comes from outside, checked like a span.
    public mutating func field(_ name: StaticString, _ value: ArraySlice<UInt8>) throws(HTTPError) {
        try field(name, value.span)
    }

    /// A field with a value that comes from outside, checked like a span. Not for hot paths. (The label exists because every literal
    /// without one would become a String.)
    public mutating func field(_ name: StaticString, text: String) throws(HTTPError) {
        try field(name, Array(text.utf8).span)
    }

    /// A field with a value out of a parsed head, such as a field's `value` or the `authority`.
    public mutating func field(_ name: StaticString, _ value: Range<Int>, of head: RequestHead) {
        head.section.bytes.withUnsafeBufferPointer { appendLine(name, UnsafeBufferPointer(rebasing: $0[value])) }
    }

    /// A field with a value out of a parsed head, such as a field's `value`.
    public mutating func field(_ name: StaticString, _ value: Range<Int>, of head: ResponseHead) {
        head.section.bytes.withUnsafeBufferPointer { appendLine(name, UnsafeBufferPointer(rebasing: $0[value])) }
    }

    /// A field of a parsed head as it is, the spelling of its name included.
    public mutating func copy(fieldIndex: Int, of head: RequestHead) {
        copy(head.section.fields[fieldIndex], of: head.section)
    }

    /// A field of a parsed head as it is, the spelling of its name included.
    public mutating func copy(fieldIndex: Int, of head: ResponseHead) {
        copy(head.section.fields[fieldIndex], of: head.section)
    }

    /// A field with a configured name. Throws and writes nothing if the name is no token or the value holds a control character other
    /// than a tab.
    public mutating func field(named name: [UInt8], _ value: [UInt8]) throws(HTTPError) {
        guard !name.isEmpty, name.allSatisfy(isTokenCharacter), value.allSatisfy(isFieldValueByte) else { throw .unsafeOutgoingBytes }
        append(name)
        append(": ")
        append(value)
        append("\r\n")
    }

    /// One field with the values of all fields of that name in a parsed head, and further elements (RFC 9110 section 5.3). Elements
    /// that are one of `removed` are left out, with whatever follows `=` in them. An empty list writes nothing.
    public mutating func list(
        _ name: StaticString, _ known: FieldName, of head: ResponseHead, without removed: [StaticString] = [],
        and more: (StaticString?, StaticString?, StaticString?)
    ) {
        let start = count
        append(name)
        append(": ")
        let end = count
        for field in head.section.fields where field.known == known && !field.value.isEmpty {
            if removed.isEmpty {
                if count > end { append(", ") }
                append(field.value, of: head.section)
                continue
            }
            append(elementsOf: field.value, of: head.section, without: removed, behind: end)
        }
        append(element: more.0, behind: end)
        append(element: more.1, behind: end)
        append(element: more.2, behind: end)
        if count > end { append("\r\n") } else { count = start }
    }

    private mutating func append(
        elementsOf value: Range<Int>, of section: FieldSection, without removed: [StaticString], behind start: Int
    ) {
        var elements = ListElements(value)
        while let element = elements.next(in: section.bytes.span) {
            if Self.isDirective(element, oneOf: removed, in: section) { continue }
            if count > start { append(", ") }
            append(element, of: section)
        }
    }

    private static func isDirective(_ element: Range<Int>, oneOf names: [StaticString], in section: FieldSection) -> Bool {
        let bytes = section.bytes.span
        let name = withoutParameters(bytes, element, endingAtEqualsSign: true)
        for known in names where equalsIgnoringCase(bytes, name, known) { return true }
        return false
    }

    private mutating func append(element: StaticString?, behind start: Int) {
        guard let element else { return }
        requireFieldValue(element)
        if count > start { append(", ") }
        append(element)
    }

    /// All forwardable fields of a parsed head in their order, except these names and the `withheld` ones. A field that `edits` name
    /// gets their value or is left out.
    public mutating func copyForwardableFields(
        of head: RequestHead, except names: FieldNameSet = [], withheld: WithheldNames? = nil, edits: FieldEdits = FieldEdits()
    ) {
        copyForwardableFields(of: head.section, except: names, withheld: withheld, replaced: [], edits: edits)
    }

    /// All forwardable fields of a parsed head in their order, except these names and the `replaced` ones. A field that `edits` name
    /// gets their value or is left out.
    public mutating func copyForwardableFields(
        of head: ResponseHead, except names: FieldNameSet = [], replaced: ReplacedFields = [], edits: FieldEdits = FieldEdits()
    ) {
        copyForwardableFields(of: head.section, except: names, withheld: nil, replaced: replaced, edits: edits)
    }

    /// The empty line that ends a head.
    public mutating func end() {
        append("\r\n")
    }
}

// MARK: - Pieces of lines

extension HeadWriter {
    private mutating func copyForwardableFields(
        of section: FieldSection, except names: FieldNameSet, withheld: WithheldNames?, replaced: ReplacedFields, edits: FieldEdits
    ) {
        var next = 0
        var editedIndex = edits.index(at: next)
        for index in section.fields.indices {
            let field = section.fields[index]
            let isEdited = index == editedIndex
            if isEdited {
                next += 1
                editedIndex = edits.index(at: next)
            }
            guard field.isForwardable, !names.contains(field.known) else { continue }
            // `names` decides about known names; only unknown names are checked here.
            if field.known == .other, let withheld, withheld.withholds(section.bytes.span, field.name) { continue }
            if field.known == .other, !replaced.isEmpty, replaced.contains(section.bytes.span, field.name) { continue }
            guard isEdited else {
                copy(field, of: section)
                continue
            }
            guard let value = edits.value(at: next - 1) else { continue }
            append(field.name, of: section)
            append(": ")
            append(value)
            append("\r\n")
        }
    }

    private mutating func copy(_ field: Field, of section: FieldSection) {
        let (name, value) = (field.name, field.value)
        // The usual form of a line is copied in one piece: name, colon, one blank, value and line end.
        let bytes = section.bytes
        if value.lowerBound == name.upperBound + 2, bytes[name.upperBound + 1] == space, bytes[value.upperBound] == carriageReturn {
            return append(name.lowerBound..<(value.upperBound + 2), of: section)
        }
        append(name, of: section)
        append(": ")
        append(value, of: section)
        append("\r\n")
    }

    private mutating func appendLine(_ name: StaticString, _ value: UnsafeBufferPointer<UInt8>) {
        assert(name.utf8CodeUnitCount > 0, "a field name is not empty")
        assert((0..<name.utf8CodeUnitCount).allSatisfy { isTokenCharacter(name.utf8Start[$0]) }, "a field name is a token")
        let nameCount = name.utf8CodeUnitCount
        append(count: nameCount + value.count + 4) { line in
            line.copyMemory(from: UnsafeRawBufferPointer(start: name.utf8Start, count: nameCount))
            line[nameCount] = 0x3A
            line[nameCount + 1] = space
            UnsafeMutableRawBufferPointer(rebasing: line[(nameCount + 2)...]).copyMemory(from: UnsafeRawBufferPointer(value))
            line[line.count - 2] = carriageReturn
            line[line.count - 1] = lineFeed
        }
    }

    private func requireFieldValue(_ value: StaticString) {
        assert((0..<value.utf8CodeUnitCount).allSatisfy { isFieldValueByte(value.utf8Start[$0]) }, "a value holds no control character")
    }

    /// Makes room for so many bytes and has them filled.
    @inline(__always)
    private mutating func append(count added: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
        let end = count + added
        if end > room.count { room.append(contentsOf: repeatElement(0, count: max(end, 2 * room.count) - room.count)) }
        room.withUnsafeMutableBytes { fill(UnsafeMutableRawBufferPointer(rebasing: $0[count..<end])) }
        count = end
    }

    private mutating func append(_ text: StaticString) {
        append(count: text.utf8CodeUnitCount) {
            $0.copyMemory(from: UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
        }
    }

    private mutating func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { source in append(count: source.count) { $0.copyMemory(from: source) } }
    }

    private mutating func append(_ range: Range<Int>, of section: FieldSection) {
        // A slice of the array would be retained and released for each piece.
        section.bytes.withUnsafeBytes { source in
            append(count: range.count) { $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[range])) }
        }
    }

    private mutating func append(decimal value: UInt64) {
        HeadWriter.withDigits(of: value) { digits in append(count: digits.count) { $0.copyMemory(from: UnsafeRawBufferPointer(digits)) } }
    }

    private static func withDigits(of value: UInt64, _ body: (UnsafeBufferPointer<UInt8>) -> Void) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var start = digits.count
            var rest = value
            repeat {
                start -= 1
                digits[start] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            body(UnsafeBufferPointer(rebasing: digits[start...]))
        }
    }
}

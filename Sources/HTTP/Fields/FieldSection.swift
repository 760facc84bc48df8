// The parsed field lines of a head: what request and response heads have in common. This type knows the syntax (RFC 9112 section 5) and
// which fields are passed on (RFC 9110 section 7.6.1). The heads know what single fields mean.
//
// Invariant: every range in it lies within `bytes`, and no value holds a control character other than
// a tab.

import Bytes

/// The bytes of a head and its fields.
@usableFromInline
struct FieldSection: Sendable {
    /// More options than this in all Connection fields together are refused: honest peers send three.
    static let maximumConnectionOptions = 64

    /// What the Connection fields ask of the connection itself.
    struct ConnectionOptions {
        var close = false
        var keepAlive = false
        var upgrade = false
    }

    /// All bytes of the head.
    @usableFromInline var bytes: [UInt8]
    /// The field lines in their order.
    @usableFromInline private(set) var fields: [Field] = []
    /// Which known names occur.
    private(set) var names = FieldNameSet()

    /// A section without fields that owns a copy of the head.
    init(copying head: Span<UInt8>, limits: HeadLimits) throws(HTTPError) {
        guard head.count <= limits.headBytes else { throw .headTooLarge }
        bytes = head.withUnsafeBufferPointer { Array($0) }
    }

    /// The end of the line that begins at `start`: the offset of its CR, with an LF behind it. Control characters are skipped only if
    /// `skippingControlCharacters` is true, NUL never.
    static func lineEnd(_ bytes: Span<UInt8>, from start: Int, skippingControlCharacters: Bool = false) throws(HTTPError) -> Int {
        var index = start
        while true {
            index = firstControlByte(bytes, from: index, to: bytes.count)
            guard index < bytes.count else { throw .truncatedHead }
            let byte = bytes[index]
            if byte == horizontalTab || (skippingControlCharacters && byte != carriageReturn && byte != lineFeed && byte != 0) {
                index += 1
                continue
            }
            guard byte == carriageReturn else { throw byte == lineFeed ? .bareLineFeed : .controlCharacter }
            guard index + 1 < bytes.count else { throw .truncatedHead }
            guard bytes[index + 1] == lineFeed else { throw .bareCarriageReturn }
            return index
        }
    }

    /// Parses the field lines from `start` to the end of the head, which has to be the end of the bytes.
    mutating func parseFields(from start: Int, of kind: HeadKind, limits: HeadLimits) throws(HTTPError) {
        fields = try Self.parseFields(bytes.span, from: start, of: kind, limits: limits)
        for field in fields { names.insert(field.known) }
    }

    private static func parseFields(
        _ bytes: Span<UInt8>, from start: Int, of kind: HeadKind, limits: HeadLimits
    ) throws(HTTPError) -> [Field] {
        var fields: [Field] = []
        // As many fields as browsers send; more cost a second allocation.
        fields.reserveCapacity(min(16, limits.fieldCount))
        var lineStart = start
        while true {
            let lineEnd: Int
            do throws(HTTPError) {
                lineEnd = try Self.lineEnd(bytes, from: lineStart)
            } catch {
                guard kind == .request, error == .controlCharacter, fields.count < limits.fieldCount else { throw error }
                let (field, end) = try unfitLastEventID(bytes, from: lineStart)
                fields.append(field)
                lineStart = end + 2
                continue
            }
            if lineEnd == lineStart {
                guard lineEnd + 2 == bytes.count else { throw .truncatedHead }
                return fields
            }
            guard fields.count < limits.fieldCount else { throw .tooManyFields }
            fields.append(try parseField(bytes, lineStart..<lineEnd))
            lineStart = lineEnd + 2
        }
    }

    /// Reads a Last-Event-ID with control characters. An id may hold them (WHATWG HTML 9.2.6) and browsers send them, but a field may
    /// not. The value is dropped and the field not passed on: refusing the request would end the browser's stream for good.
    private static func unfitLastEventID(_ bytes: Span<UInt8>, from start: Int) throws(HTTPError) -> (field: Field, end: Int) {
        let name: StaticString = "last-event-id:"
        guard hasPrefixIgnoringCase(bytes, start..<bytes.count, name) else { throw .controlCharacter }
        let end = try lineEnd(bytes, from: start, skippingControlCharacters: true)
        let colon = start + name.utf8CodeUnitCount - 1
        var field = Field(name: start..<colon, value: colon + 1..<colon + 1, known: .lastEventID)
        field.isForwardable = false
        return (field, end)
    }

    /// Whether a Last-Event-ID was dropped because of control characters.
    var hasUnfitLastEventID: Bool {
        names.contains(.lastEventID) && fields.contains { $0.known == .lastEventID && !$0.isForwardable }
    }

    /// Parses `name ":" OWS value OWS`.
    private static func parseField(_ bytes: Span<UInt8>, _ line: Range<Int>) throws(HTTPError) -> Field {
        let name = line.lowerBound..<firstByte(0x3A, in: bytes, line)
        let known = FieldName(bytes, name)
        // A known name holds only valid bytes.
        if known == .other { try requireName(bytes, name, of: line) }
        guard name.upperBound < line.upperBound else { throw .missingColon }
        return Field(name: name, value: trimmingBlanks(bytes, name.upperBound + 1..<line.upperBound), known: known)
    }

    private static func requireName(_ bytes: Span<UInt8>, _ name: Range<Int>, of line: Range<Int>) throws(HTTPError) {
        if isBlank(bytes[line.lowerBound]) { throw .obsoleteFolding }
        guard !name.isEmpty else { throw .invalidFieldName }
        for index in name where !isTokenCharacter(bytes[index]) { throw .invalidFieldName }
    }

    /// Reads the Connection fields, and marks the fields that they name as not forwardable. The cost is one look at each option and one
    /// at each field.
    mutating func applyConnectionOptions() throws(HTTPError) -> ConnectionOptions {
        var options = ConnectionOptions()
        guard names.contains(.connection) else { return options }
        var nominated = FieldNameSet()
        var unknown = NominatedNames()
        var count = 0
        for index in fields.indices where fields[index].known == .connection {
            var elements = ListElements(fields[index].value)
            while let option = elements.next(in: bytes.span) {
                count += 1
                guard count <= Self.maximumConnectionOptions else { throw .tooManyConnectionOptions }
                if equalsIgnoringCase(bytes.span, option, "close") { options.close = true }
                if equalsIgnoringCase(bytes.span, option, "keep-alive") { options.keepAlive = true }
                if equalsIgnoringCase(bytes.span, option, "upgrade") { options.upgrade = true }
                let known = FieldName(bytes.span, option)
                if known == .other {
                    unknown.insert(bytes.span, option)
                } else if !FieldNameSet.notRemovableByConnection.contains(known) {
                    nominated.insert(known)
                }
            }
        }
        for index in fields.indices {
            let field = fields[index]
            let isNominated = field.known == .other ? unknown.contains(bytes.span, field.name) : nominated.contains(field.known)
            if isNominated { fields[index].isForwardable = false }
        }
        return options
    }

    /// Names in Connection fields that the proxy does not know, in lower case. The set's hashing is seeded, so nobody can choose names
    /// that make a lookup slow.
    private struct NominatedNames {
        private var names: Set<[UInt8]> = []
        /// A bit for each length modulo 64: most fields match none and need no copy of their name.
        private var lengths: UInt64 = 0

        mutating func insert(_ bytes: Span<UInt8>, _ name: Range<Int>) {
            if hasPrefixIgnoringCase(bytes, name, "x-forwarded-") { return }
            lengths |= 1 << UInt64(name.count & 63)
            names.insert(lowercasedBytes(bytes, name))
        }

        func contains(_ bytes: Span<UInt8>, _ name: Range<Int>) -> Bool {
            guard lengths >> UInt64(name.count & 63) & 1 == 1 else { return false }
            return names.contains(lowercasedBytes(bytes, name))
        }
    }

    /// The value of the first field of that name.
    func firstValue(of name: FieldName) -> Range<Int>? {
        guard names.contains(name) else { return nil }
        for field in fields where field.known == name { return field.value }
        return nil
    }

    /// How many fields of that name there are.
    func count(of name: FieldName) -> Int {
        guard names.contains(name) else { return 0 }
        var count = 0
        for field in fields where field.known == name { count += 1 }
        return count
    }

    /// The values of all fields of a name, which has to be given in lower case.
    func values(named lowercasedName: StaticString) -> [Range<Int>] {
        let bytes = bytes.span
        var values: [Range<Int>] = []
        for field in fields where equalsIgnoringCase(bytes, field.name, lowercasedName) { values.append(field.value) }
        return values
    }

    /// Whether the byte stands in the range.
    func has(_ byte: UInt8, in range: Range<Int>) -> Bool { firstByte(byte, in: bytes.span, range) < range.upperBound }

    /// The host and port that the range holds; nil where it holds something else.
    func hostAndPort(_ range: Range<Int>) -> Range<Int>? { Authority.hostAndPort(bytes.span, range) }

    /// Whether an element of any field of that name is this token. Parameters and arguments of elements are ignored.
    func listContains(_ name: FieldName, _ lowercasedToken: StaticString) -> Bool {
        hasElement(of: name, lowercasedToken, mayHaveValue: true)
    }

    /// The same, but only for elements without parameters or arguments: `private`, but not `private="set-cookie"`.
    func listHas(_ name: FieldName, _ lowercasedToken: StaticString) -> Bool {
        hasElement(of: name, lowercasedToken, mayHaveValue: false)
    }

    private func hasElement(of name: FieldName, _ lowercasedToken: StaticString, mayHaveValue: Bool) -> Bool {
        guard names.contains(name) else { return false }
        for field in fields where field.known == name {
            var elements = ListElements(field.value)
            while let element = elements.next(in: bytes.span) {
                let token = mayHaveValue ? withoutParameters(bytes.span, element, endingAtEqualsSign: true) : element
                if equalsIgnoringCase(bytes.span, token, lowercasedToken) { return true }
            }
        }
        return false
    }
}

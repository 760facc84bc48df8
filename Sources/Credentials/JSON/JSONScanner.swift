// Reads JSON that decides about trust (RFC 8259): tokens and key sets. Two readers of one text must never see different values, so
// nothing ambiguous is accepted. Invariant: a text that passes is valid UTF-8 without a byte order mark, has no member twice in any
// object, no lone surrogate, and nothing behind its end.
//
//     value = object | array | string | number | "true" | "false" | "null", with blanks around it

import Bytes

/// Why a text is not accepted.
package enum JSONError: Error, Sendable, Equatable {
    /// The text is not UTF-8, or begins with a byte order mark.
    case encoding
    /// The text does not follow the grammar.
    case syntax
    /// An escape names half of a surrogate pair.
    case surrogate
    /// Two members of an object have the same name.
    case repeatedMember
    /// Objects and arrays are nested too deeply.
    case depth
    /// All objects together have too many members.
    case size
}

/// How much a text may hold.
package struct JSONLimits: Sendable {
    /// How deeply objects and arrays may be nested; a flat object has depth 1.
    package var depth: Int
    /// How many members all objects of the text may have together.
    package var members: Int

    /// Limits.
    package init(depth: Int, members: Int) {
        self.depth = depth
        self.members = members
    }
}

/// Passes over a text, and notes the children of its outermost object or array.
struct JSONScanner {
    /// A member of the outermost object, or an element of the outermost array, which has no name.
    struct Child: Sendable {
        let name: [UInt8]
        let value: JSONValue
    }

    /// A member's name is unique within its object.
    private struct Member: Hashable {
        let object: Int
        let name: [UInt8]
    }

    private let text: [UInt8]
    private let end: Int
    private let limits: JSONLimits
    private var index: Int
    private var objectCount = 0
    private var members: Set<Member> = []
    private(set) var children: [Child] = []

    /// A scanner for one value within a text, which is valid UTF-8.
    private init(_ text: [UInt8], _ range: Range<Int>, limits: JSONLimits) {
        self.text = text
        self.limits = limits
        index = range.lowerBound
        end = range.upperBound
    }

    /// Scans the whole text of a stranger.
    static func scan(_ text: [UInt8], limits: JSONLimits) throws(JSONError) -> (value: JSONValue, children: [Child]) {
        guard !text.starts(with: [0xEF, 0xBB, 0xBF]), String(validating: text, as: UTF8.self) != nil else { throw .encoding }
        var scanner = JSONScanner(text, text.indices, limits: limits)
        scanner.skipBlanks()
        let value = try scanner.value(depth: 1)
        scanner.skipBlanks()
        guard scanner.index == scanner.end else { throw .syntax }
        return (value, scanner.children)
    }

    /// The children of a value that was scanned before.
    static func children(of value: JSONValue) -> [Child] {
        var scanner = JSONScanner(value.text, value.range, limits: JSONLimits(depth: .max, members: .max))
        _ = try? scanner.value(depth: 1)
        return scanner.children
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        let start = index
        let kind: JSONValue.Kind
        switch peek {
        case UInt8(ascii: "{"):
            try object(depth: depth)
            kind = .object
        case UInt8(ascii: "["):
            try array(depth: depth)
            kind = .array
        case UInt8(ascii: "\""):
            _ = try string()
            kind = .string
        case UInt8(ascii: "t"): kind = try literal("true", .boolean)
        case UInt8(ascii: "f"): kind = try literal("false", .boolean)
        case UInt8(ascii: "n"): kind = try literal("null", .null)
        default:
            try number()
            kind = .number
        }
        return JSONValue(text: text, range: start..<index, kind: kind)
    }

    private mutating func object(depth: Int) throws(JSONError) {
        guard depth <= limits.depth else { throw .depth }
        objectCount += 1
        let object = objectCount
        index += 1
        skipBlanks()
        if take(UInt8(ascii: "}")) { return }
        while true {
            guard peek == UInt8(ascii: "\"") else { throw .syntax }
            let name = try string()
            guard members.count < limits.members else { throw .size }
            guard members.insert(Member(object: object, name: name)).inserted else { throw .repeatedMember }
            skipBlanks()
            guard take(UInt8(ascii: ":")) else { throw .syntax }
            skipBlanks()
            let value = try value(depth: depth + 1)
            if depth == 1 { children.append(Child(name: name, value: value)) }
            skipBlanks()
            if take(UInt8(ascii: "}")) { return }
            guard take(UInt8(ascii: ",")) else { throw .syntax }
            skipBlanks()
        }
    }

    private mutating func array(depth: Int) throws(JSONError) {
        guard depth <= limits.depth else { throw .depth }
        index += 1
        skipBlanks()
        if take(UInt8(ascii: "]")) { return }
        while true {
            let value = try value(depth: depth + 1)
            if depth == 1 { children.append(Child(name: [], value: value)) }
            skipBlanks()
            if take(UInt8(ascii: "]")) { return }
            guard take(UInt8(ascii: ",")) else { throw .syntax }
            skipBlanks()
        }
    }

    /// The string at the index, with its escapes replaced.
    private mutating func string() throws(JSONError) -> [UInt8] {
        let start = index + 1
        index = start
        while index < end, text[index] != UInt8(ascii: "\"") {
            guard text[index] >= 0x20 else { throw .syntax }
            index += text[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        guard index < end else { throw .syntax }
        let content = start..<index
        index += 1
        return try JSONScanner.unescaped(text, content)
    }

    private mutating func number() throws(JSONError) {
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) { try digits() }
        if take(UInt8(ascii: ".")) { try digits() }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try digits()
        }
    }

    private mutating func digits() throws(JSONError) {
        let start = index
        while index < end, isDigit(text[index]) { index += 1 }
        guard index > start else { throw .syntax }
    }

    private mutating func literal(_ word: StaticString, _ kind: JSONValue.Kind) throws(JSONError) -> JSONValue.Kind {
        let wordEnd = index + word.utf8CodeUnitCount
        guard wordEnd <= end, equals(text.span, index..<wordEnd, word) else { throw .syntax }
        index = wordEnd
        return kind
    }

    private mutating func skipBlanks() {
        while index < end, isBlank(text[index]) || text[index] == lineFeed || text[index] == carriageReturn { index += 1 }
    }

    /// The next byte; 0, which begins nothing, at the end.
    private var peek: UInt8 { index < end ? text[index] : 0 }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        index += 1
        return true
    }

    // MARK: Escapes

    /// The content of a string, between its quotes, with its escapes replaced (RFC 8259 section 7).
    static func unescaped(_ text: [UInt8], _ content: Range<Int>) throws(JSONError) -> [UInt8] {
        guard let first = text[content].firstIndex(of: UInt8(ascii: "\\")) else { return Array(text[content]) }
        var result = Array(text[content.lowerBound..<first])
        var index = first
        while index < content.upperBound {
            guard text[index] == UInt8(ascii: "\\") else {
                result.append(text[index])
                index += 1
                continue
            }
            guard index + 1 < content.upperBound else { throw .syntax }
            let escape = text[index + 1]
            index += 2
            switch escape {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(escape)
            case UInt8(ascii: "b"): result.append(0x08)
            case UInt8(ascii: "f"): result.append(0x0C)
            case UInt8(ascii: "n"): result.append(lineFeed)
            case UInt8(ascii: "r"): result.append(carriageReturn)
            case UInt8(ascii: "t"): result.append(horizontalTab)
            case UInt8(ascii: "u"): result += UTF8.encode(try scalar(text, &index, end: content.upperBound))!
            default: throw .syntax
            }
        }
        return result
    }

    /// The character of one `\u` escape, or of the two that make a surrogate pair; the index stands behind the `u`.
    private static func scalar(_ text: [UInt8], _ index: inout Int, end: Int) throws(JSONError) -> Unicode.Scalar {
        let unit = try codeUnit(text, &index, end: end)
        if let scalar = Unicode.Scalar(unit) { return scalar }
        guard unit < 0xDC00, index + 1 < end, text[index] == UInt8(ascii: "\\"), text[index + 1] == UInt8(ascii: "u") else {
            throw .surrogate
        }
        index += 2
        let low = try codeUnit(text, &index, end: end)
        guard 0xDC00...0xDFFF ~= low, let scalar = Unicode.Scalar(0x10000 + (unit & 0x3FF) << 10 + (low & 0x3FF)) else { throw .surrogate }
        return scalar
    }

    private static func codeUnit(_ text: [UInt8], _ index: inout Int, end: Int) throws(JSONError) -> UInt32 {
        guard end - index >= 4 else { throw .syntax }
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = hexadecimalValue(text[index]) else { throw .syntax }
            unit = unit << 4 | UInt32(digit)
            index += 1
        }
        return unit
    }
}

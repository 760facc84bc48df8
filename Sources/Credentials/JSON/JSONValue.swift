// A value within a JSON text that was accepted: its kind and its place. There is no tree: what is inside a value is found when somebody
// asks for it, by scanning the value again.

/// A value of a JSON text.
package struct JSONValue: Sendable {
    /// What a value is.
    package enum Kind: Sendable, Equatable {
        /// Members in braces.
        case object
        /// Elements in brackets.
        case array
        /// Characters in quotes.
        case string
        /// A decimal number.
        case number
        /// `true` or `false`.
        case boolean
        /// Nothing.
        case null
    }

    /// The whole text, which all values share.
    let text: [UInt8]
    /// The place of the value in it.
    let range: Range<Int>
    /// What the value is.
    let kind: Kind

    /// The value's own JSON text.
    var written: ArraySlice<UInt8> { text[range] }

    /// A string's characters as UTF-8, with its escapes replaced; nil for any other kind.
    var string: [UInt8]? {
        guard kind == .string else { return nil }
        return try? JSONScanner.unescaped(text, range.lowerBound + 1..<range.upperBound - 1)
    }

    /// An array's elements; nil for any other kind.
    var elements: [JSONValue]? {
        guard kind == .array else { return nil }
        return JSONScanner.children(of: self).map(\.value)
    }

    /// The strings of an array that holds nothing else; nil for anything else.
    var strings: [[UInt8]]? {
        guard let elements else { return nil }
        let strings = elements.compactMap(\.string)
        return strings.count == elements.count ? strings : nil
    }

    /// An object's members; nil for any other kind.
    var object: JSONObject? {
        guard kind == .object else { return nil }
        return JSONObject(members: JSONScanner.children(of: self))
    }
}

/// The members of an object.
package struct JSONObject: Sendable {
    private let members: [JSONScanner.Child]

    /// How many members there are.
    var count: Int { members.count }

    /// The object that a stranger's text is.
    /// - Throws: `JSONError.syntax` also for a text that is another kind of value.
    init(reading text: [UInt8], limits: JSONLimits) throws(JSONError) {
        let (value, children) = try JSONScanner.scan(text, limits: limits)
        guard value.kind == .object else { throw .syntax }
        members = children
    }

    /// The members of an object that holds only strings, in their order; nil for any other text.
    package static func strings(in text: [UInt8], limits: JSONLimits) -> [(name: [UInt8], value: [UInt8])]? {
        guard let object = try? JSONObject(reading: text, limits: limits) else { return nil }
        let strings = object.members.compactMap { member in member.value.string.map { (member.name, $0) } }
        return strings.count == object.members.count ? strings : nil
    }

    /// An object within a text that was accepted.
    fileprivate init(members: [JSONScanner.Child]) { self.members = members }

    /// The member of that name; nil if there is none.
    subscript(name: StaticString) -> JSONValue? {
        members.first { $0.name.count == name.utf8CodeUnitCount && $0.name.elementsEqual(name.bytes) }?.value
    }

    /// The member of that name; nil if there is none.
    subscript(name: [UInt8]) -> JSONValue? { members.first { $0.name == name }?.value }
}

extension StaticString {
    fileprivate var bytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: utf8Start, count: utf8CodeUnitCount) }
}

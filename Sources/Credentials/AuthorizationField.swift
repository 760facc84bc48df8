// What an `Authorization` field holds, as far as it can be said without knowing its scheme (RFC 9110 section 11.4):
//
//     credentials = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
//
// Invariant: a value that no server could take for credentials is never `credentials`.

/// What the value of an `Authorization` field is.
enum AuthorizationField: Equatable {
    /// Empty, or a scheme with nothing behind it: nobody can be known by it, so it counts as no field at all.
    case nothing
    /// No credentials of any scheme.
    case malformed
    /// A scheme and its token or parameters.
    case credentials

    /// Reads a value without blanks around it. `characters` widens what the Bearer scheme may carry.
    init(_ value: Span<UInt8>, characters: TokenCharacters) {
        var index = 0
        while index < value.count, isTokenByte(value[index]) { index += 1 }
        let scheme = 0..<index
        if index == value.count {
            self = .nothing
            return
        }
        guard !scheme.isEmpty, value[index] == UInt8(ascii: " ") else {
            self = .malformed
            return
        }
        while index < value.count, value[index] == UInt8(ascii: " ") { index += 1 }
        if index == value.count {
            self = .nothing
            return
        }
        let isKnown =
            AuthorizationField.isToken(value, index, .b64token)
            || characters == .visible && AuthorizationField.isBearer(value, scheme) && AuthorizationField.isToken(value, index, .visible)
            || AuthorizationField.areParameters(value, index)
        self = isKnown ? .credentials : .malformed
    }

    private static func isBearer(_ value: Span<UInt8>, _ scheme: Range<Int>) -> Bool {
        let bearer: StaticString = "bearer"
        guard scheme.count == bearer.utf8CodeUnitCount else { return false }
        for offset in scheme where value[offset] | 0x20 != bearer.utf8Start[offset] { return false }
        return true
    }

    private static func isToken(_ value: Span<UInt8>, _ start: Int, _ characters: TokenCharacters) -> Bool {
        var syntax = TokenSyntax(characters)
        for index in start..<value.count where !syntax.accepts(value[index]) { return false }
        return syntax.hasToken
    }

    /// Whether a list of `token BWS "=" BWS ( token / quoted-string )` follows, with one element at least. A value without quotes may
    /// have any visible character but `,` and `"`: AWS signatures have `/` and `;` in theirs.
    private static func areParameters(_ value: Span<UInt8>, _ start: Int) -> Bool {
        var index = start
        var hasParameter = false
        func skip(_ index: inout Int, comma: Bool = false) {
            while index < value.count, isBlank(value[index]) || comma && value[index] == UInt8(ascii: ",") { index += 1 }
        }
        while true {
            skip(&index, comma: true)
            if index == value.count { return hasParameter }
            let name = index
            while index < value.count, isTokenByte(value[index]) { index += 1 }
            guard index > name else { return false }
            skip(&index)
            guard index < value.count, value[index] == UInt8(ascii: "=") else { return false }
            index += 1
            skip(&index)
            guard skipValue(value, &index) else { return false }
            hasParameter = true
            skip(&index)
            guard index == value.count || value[index] == UInt8(ascii: ",") else { return false }
        }
    }

    private static func skipValue(_ value: Span<UInt8>, _ index: inout Int) -> Bool {
        guard index < value.count else { return false }
        guard value[index] == UInt8(ascii: "\"") else {
            let start = index
            var syntax = TokenSyntax(.visible)
            while index < value.count, syntax.accepts(value[index]) { index += 1 }
            return index > start
        }
        index += 1
        while index < value.count, value[index] != UInt8(ascii: "\"") {
            index += value[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        index += 1
        return index <= value.count
    }
}

/// Whether a byte may stand in a token (RFC 9110 section 5.6.2).
private func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
    case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"), UInt8(ascii: "'"),
        UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "^"), UInt8(ascii: "_"),
        UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
        true
    default: false
    }
}

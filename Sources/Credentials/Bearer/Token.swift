// A bearer token between the place where the browser put it and the `Authorization` field. Only this type holds a token's bytes, and
// printing it shows nothing of them. Invariant: the bytes are those that `TokenCharacters` allows, and are wiped when the last copy is
// released.

import Bytes
import COpenSSL

/// A checked bearer token. Its description, debug description and mirror do not reveal it.
package struct Token: @unchecked Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    // Unchecked because the bytes are appended only before the token is complete, by its one creator.
    private let storage: TokenStorage

    fileprivate init(storage: TokenStorage) { self.storage = storage }

    /// The token's length in bytes.
    package var count: Int { storage.count }

    /// Lends the token's bytes.
    package func withBytes<Result>(_ body: (Span<UInt8>) throws -> Result) rethrows -> Result {
        try storage.withBytes { try body($0.span) }
    }

    /// Any bytes, kept and wiped like a token.
    init(copying bytes: Span<UInt8>) {
        storage = TokenStorage.copying(bytes)
    }

    /// Appends `Bearer`, a blank and the token: the value of an `Authorization` field (RFC 6750 section 2.1).
    package func appendAuthorizationValue(to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "Bearer ".utf8)
        storage.withBytes { bytes.append(contentsOf: $0) }
    }

    /// Whether the value of a field that holds this token is what `appendAuthorizationValue` would write.
    func isWrittenAsUsual(in value: Span<UInt8>) -> Bool {
        let start: StaticString = "Bearer "
        return value.count == count + start.utf8CodeUnitCount && equals(value, 0..<start.utf8CodeUnitCount, start)
    }

    /// The token in the value of an `Authorization` field; nil where `rangeInAuthorization` finds none.
    package static func inAuthorization(_ value: Span<UInt8>) -> Token? {
        rangeInAuthorization(value).map { Token(copying: value.extracting($0)) }
    }

    /// Where the token stands in the value of an `Authorization` field of the Bearer scheme, in any case of letters; nil for another
    /// scheme, or for no token. It is only for the log's fingerprint and refuses nothing.
    package static func rangeInAuthorization(_ value: Span<UInt8>) -> Range<Int>? {
        let scheme: StaticString = "bearer"
        guard hasPrefixIgnoringCase(value, value.indices, scheme) else { return nil }
        var start = scheme.utf8CodeUnitCount
        while start < value.count, value[start] == UInt8(ascii: " ") { start += 1 }
        guard start > scheme.utf8CodeUnitCount, start < value.count, isWritten(in: .visible, value, start..<value.count) else { return nil }
        return start..<value.count
    }

    /// The token of a field that must hold one (RFC 6750 section 2.1).
    /// - Parameter value: a value of `Authorization` that is not empty.
    package static func bearer(
        in value: Span<UInt8>, maximumBytes: Int, characters: TokenCharacters = .b64token
    ) -> Result<Token, BridgeError> {
        let scheme: StaticString = "bearer"
        var start = scheme.utf8CodeUnitCount
        guard hasPrefixIgnoringCase(value, value.indices, scheme), start < value.count, value[start] == UInt8(ascii: " ") else {
            return .failure(.otherScheme)
        }
        while start < value.count, value[start] == UInt8(ascii: " ") { start += 1 }
        guard value.count - start <= maximumBytes else { return .failure(.tokenTooLong) }
        if characters == .visible { return inAuthorization(value).map { .success($0) } ?? .failure(.forbiddenCharacter) }
        var end = value.count
        while end > start, value[end - 1] == UInt8(ascii: "=") { end -= 1 }
        guard end > start else { return .failure(.forbiddenCharacter) }
        guard isWritten(in: .b64token, value, start..<end) else { return .failure(.forbiddenCharacter) }
        return .success(Token(copying: value.extracting(start..<value.count)))
    }

    /// What is wrong with it as a token of a route with this policy; nil for nothing.
    package func error(under policy: BearerPolicy) -> BridgeError? {
        guard count <= policy.maximumTokenBytes else { return .tokenTooLong }
        var syntax = TokenSyntax(policy.characters)
        return withBytes { bytes in bytes.indices.allSatisfy { syntax.accepts(bytes[$0]) } } ? nil : .forbiddenCharacter
    }

    /// The token in a query or cookie value: percent-decoded, a literal `+` kept, then checked.
    static func decode(
        _ bytes: Span<UInt8>, _ range: Range<Int>, maximumBytes: Int, characters: TokenCharacters
    ) -> Result<Token, BridgeError> {
        let storage = TokenStorage.with(capacity: min(range.count, max(maximumBytes, 0)))
        if let error = read(bytes, range, maximumBytes: maximumBytes, characters: characters, { storage.append($0) }) {
            return .failure(error)
        }
        return .success(Token(storage: storage))
    }

    /// What is wrong with a query or cookie value as a token; nil for a valid one. Keeps nothing.
    static func error(
        _ bytes: Span<UInt8>, _ range: Range<Int>, maximumBytes: Int, characters: TokenCharacters
    ) -> BridgeError? {
        read(bytes, range, maximumBytes: maximumBytes, characters: characters) { _ in }
    }

    private static func read(
        _ bytes: Span<UInt8>, _ range: Range<Int>, maximumBytes: Int, characters: TokenCharacters, _ take: (UInt8) -> Void
    ) -> BridgeError? {
        var syntax = TokenSyntax(characters)
        var count = 0
        var index = range.lowerBound
        while index < range.upperBound {
            var byte = bytes[index]
            if byte == UInt8(ascii: "%") {
                guard let decoded = percentEscape(bytes, at: index, end: range.upperBound) else { return .malformedEncoding }
                byte = decoded
                index += 3
            } else {
                index += 1
            }
            guard syntax.accepts(byte) else { return .forbiddenCharacter }
            guard count < maximumBytes else { return .tokenTooLong }
            take(byte)
            count += 1
        }
        return syntax.hasToken ? nil : .forbiddenCharacter
    }

    /// Always `<token>`.
    package var description: String { "<token>" }
    /// Always `<token>`.
    package var debugDescription: String { "<token>" }
    /// A mirror without children.
    package var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
}

/// Which bytes a token may have.
package enum TokenCharacters: Sendable, Equatable {
    /// Those of b64token (RFC 6750 section 2.1), which is token68 of RFC 9110 section 11.2.
    case b64token
    /// Every visible ASCII character except `,` and `"`. RFC 9110 section 11.4 splits credentials into parameters at a comma, and a
    /// quote hides a comma: with either, a server could read one token as several credentials.
    case visible
}

/// Whether all bytes of the range are of that kind, those of a b64token without the `=` at its end. Each request with a token is looked
/// through, so it is done a word of eight bytes at a time.
func isWritten(in characters: TokenCharacters, _ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
    precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count)
    var index = range.lowerBound
    @inline(__always)
    func isWritten(_ word: UInt64) -> Bool {
        let found = characters == .visible ? visibleBytes(word) : b64tokenBytes(word)
        return found & ByteWord.highestBits == ByteWord.highestBits
    }
    while range.upperBound &- index >= 8 {
        guard isWritten(ByteWord.load(bytes, at: index)) else { return false }
        index &+= 8
    }
    while index < range.upperBound, isWritten(ByteWord.repeated(bytes[index])) { index &+= 1 }
    return index == range.upperBound
}

/// The highest bit of each byte that may stand in a token of visible characters.
@inline(__always)
private func visibleBytes(_ word: UInt64) -> UInt64 {
    let low = word & ~ByteWord.highestBits
    // A sum of seven bits each reaches the highest bit where the byte is large enough, and carries into no other byte.
    let fromMark = low &+ ByteWord.repeated(0x80 - 0x21)
    let isDelete = low &+ ByteWord.repeated(1)
    return fromMark & ~isDelete & differs(low, UInt8(ascii: ",")) & differs(low, UInt8(ascii: "\"")) & ~word
}

/// The highest bit of each byte that may stand in a b64token before its padding.
@inline(__always)
private func b64tokenBytes(_ word: UInt64) -> UInt64 {
    let low = word & ~ByteWord.highestBits
    let folded = low | ByteWord.repeated(0x20)
    let letters = (folded &+ ByteWord.repeated(0x80 - 0x61)) & ~(folded &+ ByteWord.repeated(0x80 - 0x7B))
    // `-`, `.`, `/` and the digits stand side by side.
    let digits = (low &+ ByteWord.repeated(0x80 - 0x2D)) & ~(low &+ ByteWord.repeated(0x80 - 0x3A))
    let usual = (letters | digits) & ~word
    // Most words hold none of the others.
    guard usual & ByteWord.highestBits != ByteWord.highestBits else { return usual }
    let others = differs(low, UInt8(ascii: "+")) & differs(low, UInt8(ascii: "_")) & differs(low, UInt8(ascii: "~"))
    return usual | ~others & ~word
}

/// The highest bit of each byte, all below 0x80, that is not this one.
@inline(__always)
private func differs(_ low: UInt64, _ byte: UInt8) -> UInt64 { (low ^ ByteWord.repeated(byte)) &+ ByteWord.repeated(0x7F) }

/// The syntax of a token. b64token is `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`:
///
///     characters --"="--> padding --"="--> padding
struct TokenSyntax {
    private enum State { case nothing, characters, padding }
    private let characters: TokenCharacters
    private var state = State.nothing

    init(_ characters: TokenCharacters) { self.characters = characters }

    /// Whether anything stands before the padding.
    var hasToken: Bool { state != .nothing }

    mutating func accepts(_ byte: UInt8) -> Bool {
        if characters == .visible {
            state = .characters
            return byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: ",") && byte != UInt8(ascii: "\"")
        }
        switch byte {
        case _ where isLetterOrDigit(byte), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "+"),
            UInt8(ascii: "/"):
            guard state != .padding else { return false }
            state = .characters
            return true
        case UInt8(ascii: "="):
            guard state != .nothing else { return false }
            state = .padding
            return true
        default:
            return false
        }
    }
}

/// The bytes of a token behind the object's own fields, written once while it is made and wiped at the end.
private final class TokenStorage: ManagedBuffer<TokenStorage.Header, UInt8> {
    struct Header {
        let capacity: Int
        var count = 0
    }

    static func with(capacity: Int) -> TokenStorage {
        let storage = create(minimumCapacity: capacity) { _ in Header(capacity: capacity) }
        return unsafeDowncast(storage, to: TokenStorage.self)
    }

    static func copying(_ source: Span<UInt8>) -> TokenStorage {
        let storage = TokenStorage.with(capacity: source.count)
        storage.withUnsafeMutablePointers { header, bytes in
            source.withUnsafeBufferPointer { source in
                if let start = source.baseAddress { bytes.initialize(from: start, count: source.count) }
            }
            header.pointee.count = source.count
        }
        return storage
    }

    var count: Int { header.count }

    func append(_ byte: UInt8) {
        withUnsafeMutablePointers { header, bytes in
            precondition(header.pointee.count < header.pointee.capacity, "a token's storage is as large as its source")
            (bytes + header.pointee.count).initialize(to: byte)
            header.pointee.count += 1
        }
    }

    func withBytes<Result>(_ body: (UnsafeBufferPointer<UInt8>) throws -> Result) rethrows -> Result {
        try withUnsafeMutablePointers { header, bytes in try body(UnsafeBufferPointer(start: bytes, count: header.pointee.count)) }
    }

    deinit { withUnsafeMutablePointers { header, bytes in OPENSSL_cleanse(bytes, header.pointee.count) } }
}

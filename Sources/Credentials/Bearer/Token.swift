// A bearer token between the place where the browser put it and the `Authorization` field. Only this type holds a token's bytes, and
// printing it shows nothing of them. Invariant: the bytes are those that `TokenCharacters` allows, and are wiped when the last copy is
// released.

import Bytes
import COpenSSL

/// A checked bearer token. Its description, debug description and mirror do not reveal it.
package struct Token: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let storage: TokenStorage

    fileprivate init(storage: TokenStorage) { self.storage = storage }

    /// The token's length in bytes.
    package var count: Int { storage.count }

    /// Lends the token's bytes.
    package func withBytes<Result>(_ body: (Span<UInt8>) throws -> Result) rethrows -> Result {
        try body(UnsafeBufferPointer(rebasing: storage.bytes[..<storage.count]).span)
    }

    /// Any bytes, kept and wiped like a token.
    init(copying bytes: Span<UInt8>) {
        storage = TokenStorage(copying: bytes)
    }

    /// Appends `Bearer`, a blank and the token: the value of an `Authorization` field (RFC 6750 section 2.1).
    package func appendAuthorizationValue(to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "Bearer ".utf8)
        bytes.append(contentsOf: storage.bytes[..<storage.count])
    }

    /// Whether the value of a field that holds this token is what `appendAuthorizationValue` would write.
    func isWrittenAsUsual(in value: Span<UInt8>) -> Bool {
        let start: StaticString = "Bearer "
        return value.count == count + start.utf8CodeUnitCount && equals(value, 0..<start.utf8CodeUnitCount, start)
    }

    /// The token in the value of an `Authorization` field of the Bearer scheme, in any case of letters; nil for another scheme, or for
    /// no token. It is only for the log's fingerprint and refuses nothing.
    package static func inAuthorization(_ value: Span<UInt8>) -> Token? {
        let scheme: StaticString = "bearer"
        guard hasPrefixIgnoringCase(value, value.indices, scheme) else { return nil }
        var start = scheme.utf8CodeUnitCount
        while start < value.count, value[start] == UInt8(ascii: " ") { start += 1 }
        guard start > scheme.utf8CodeUnitCount else { return nil }
        var checker = TokenSyntax(.visible)
        for index in start..<value.count where !checker.accepts(value[index]) { return nil }
        guard checker.hasToken else { return nil }
        let storage = TokenStorage(capacity: value.count - start)
        for index in start..<value.count { storage.append(value[index]) }
        return Token(storage: storage)
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
        let isWellFormed = value.withUnsafeBufferPointer { bytes in (start..<end).allSatisfy { isB64TokenCharacter(bytes[$0]) } }
        return isWellFormed ? .success(Token(copying: value.extracting(start..<value.count))) : .failure(.forbiddenCharacter)
    }

    /// What is wrong with it as a token of a route with this policy; nil for nothing.
    package func error(under policy: BearerPolicy) -> BridgeError? {
        guard count <= policy.maximumTokenBytes else { return .tokenTooLong }
        var syntax = TokenSyntax(policy.characters)
        return withBytes { bytes in bytes.indices.allSatisfy { syntax.accepts(bytes[$0]) } } ? nil : .forbiddenCharacter
    }

    /// Whether the byte may stand in a b64token, before the `=` at its end. The two constants hold one bit for each character.
    @inline(__always)
    private static func isB64TokenCharacter(_ byte: UInt8) -> Bool {
        if byte < 64 { return (0x03FF_E800_0000_0000 as UInt64) >> UInt64(byte) & 1 == 1 }
        return byte < 128 && (0x47FF_FFFE_87FF_FFFE as UInt64) >> UInt64(byte & 63) & 1 == 1
    }

    /// The token in a query or cookie value: percent-decoded, a literal `+` kept, then checked.
    static func decode(
        _ bytes: Span<UInt8>, _ range: Range<Int>, maximumBytes: Int, characters: TokenCharacters
    ) -> Result<Token, BridgeError> {
        let storage = TokenStorage(capacity: min(range.count, max(maximumBytes, 0)))
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

/// The bytes of a token, written once while it is made and wiped at the end.
private final class TokenStorage: @unchecked Sendable {
    // Unchecked because the bytes are appended only before the token is complete, by its one creator.
    let bytes: UnsafeMutableBufferPointer<UInt8>
    private(set) var count = 0

    init(capacity: Int) { bytes = .allocate(capacity: max(capacity, 1)) }

    init(copying source: Span<UInt8>) {
        bytes = .allocate(capacity: max(source.count, 1))
        source.withUnsafeBufferPointer { _ = bytes.initialize(from: $0) }
        count = source.count
    }

    func append(_ byte: UInt8) {
        precondition(count < bytes.count, "a token's storage is as large as its source")
        bytes.initializeElement(at: count, to: byte)
        count += 1
    }

    deinit {
        OPENSSL_cleanse(bytes.baseAddress, bytes.count)
        bytes.deallocate()
    }
}

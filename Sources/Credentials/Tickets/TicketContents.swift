// What a ticket says, and its form before it is sealed:
//
//     id (16) | end (8) | limit (8) | kind of bond (1) | length (2), bond | length (2), path | token
//
// Numbers are big-endian; a token is never empty. Invariant: `read` takes exactly what `written` makes, and nothing else.

import Bytes
import COpenSSL

/// The name of a ticket and of all that renew it. It opens nothing, so logs may show it.
package struct TicketID: Sendable, Hashable, CustomStringConvertible {
    /// How many bytes it has.
    package static let byteCount = 16

    /// The bytes, the first being the most significant.
    package let words: (high: UInt64, low: UInt64)

    /// An id from random bytes.
    package init(_ bytes: some Sequence<UInt8>) {
        var words: (high: UInt64, low: UInt64) = (0, 0)
        var count = 0
        for byte in bytes {
            words.high = words.high << 8 | words.low >> 56
            words.low = words.low << 8 | UInt64(byte)
            count += 1
        }
        precondition(count == TicketID.byteCount, "an id has 16 bytes")
        self.words = words
    }

    /// 32 lower-case hexadecimal digits.
    package var description: String { [words.high, words.low].map { Fingerprint(value: $0).description }.joined() }

    /// Whether both are the same in every bit.
    package static func == (left: TicketID, right: TicketID) -> Bool { left.words == right.words }

    /// Hashes one half: the bytes are random.
    package func hash(into hasher: inout Hasher) { hasher.combine(words.low) }
}

/// Which requests a ticket opens something for.
package enum TicketBond: Sendable, Equatable {
    /// All of them.
    case none
    /// Those of pages of the target's own origin, and of programs that are no browser.
    case ownOrigin
    /// Those of pages of this origin, in lower case.
    case origin([UInt8])
    /// Those of clients with this address, as text.
    case address([UInt8])
    /// Those of clients with this certificate, by its SHA-256.
    case certificate([UInt8])

    fileprivate static let mostBytes = 1_024

    fileprivate var kind: UInt8 {
        switch self {
        case .none: 0
        case .ownOrigin: 1
        case .origin: 2
        case .address: 3
        case .certificate: 4
        }
    }

    fileprivate var bytes: [UInt8] {
        switch self {
        case .none, .ownOrigin: []
        case .origin(let bytes), .address(let bytes), .certificate(let bytes): bytes
        }
    }

    fileprivate init?(kind: UInt8, _ bytes: [UInt8]) {
        guard bytes.isEmpty == (kind < 2), bytes.count <= TicketBond.mostBytes else { return nil }
        switch kind {
        case 0: self = .none
        case 1: self = .ownOrigin
        case 2: self = .origin(bytes)
        case 3: self = .address(bytes)
        case 4: self = .certificate(bytes)
        default: return nil
        }
    }
}

/// What a ticket says.
package struct TicketContents: Sendable {
    /// The longest token that is sealed, in bytes.
    package static let mostTokenBytes = 16_384
    /// The longest path.
    package static let mostPathBytes = 1_024
    /// The moments that a ticket may name, so that nobody's arithmetic with them overflows.
    private static let seconds = 0...UInt64(NumericDate.latest)

    /// The ticket's name; a ticket that renews another one has the same.
    package var id: TicketID
    /// The token that it stands for.
    package var token: Token
    /// Until when it opens streams, in seconds since 1970.
    package var expiresSeconds: Int64
    /// Until when it may be renewed, in seconds since 1970: before `expiresSeconds` for one that may not, because it stands in a URL.
    package var limitSeconds: Int64
    /// The one path that it opens; nil for each path of its routes.
    package var path: [UInt8]?
    /// For whom it opens something.
    package var bond: TicketBond

    /// The contents of a ticket. A path has 1 to `mostPathBytes` bytes, a token at most `mostTokenBytes`.
    package init(
        id: TicketID, token: Token, expiresSeconds: Int64, limitSeconds: Int64, path: [UInt8]? = nil, bond: TicketBond = .none
    ) {
        precondition(path.map { (1...TicketContents.mostPathBytes).contains($0.count) } ?? true, "the caller has checked the path")
        precondition((1...TicketContents.mostTokenBytes).contains(token.count), "the caller has checked the token")
        self.id = id
        self.token = token
        self.expiresSeconds = expiresSeconds
        self.limitSeconds = limitSeconds
        self.path = path
        self.bond = bond
    }

    /// Whether tickets of the same id may live longer than this one.
    package var isRenewable: Bool { limitSeconds >= expiresSeconds }

    /// The bytes to be sealed; the caller wipes them.
    var written: [UInt8] {
        var bytes: [UInt8] = []
        let (bond, path) = (bond.bytes, path ?? [])
        bytes.reserveCapacity(TicketContents.leastBytes + bond.count + path.count + token.count)
        for number in [id.words.high, id.words.low, UInt64(bitPattern: expiresSeconds), UInt64(bitPattern: limitSeconds)] {
            TicketContents.append(number, byteCount: 8, to: &bytes)
        }
        bytes.append(self.bond.kind)
        for text in [bond, path] {
            TicketContents.append(UInt64(text.count), byteCount: 2, to: &bytes)
            bytes += text
        }
        token.withBytes { token in for index in token.indices { bytes.append(token[index]) } }
        return bytes
    }

    /// What stands before a token, with an empty bond and an empty path.
    static let leastBytes = TicketID.byteCount + 8 + 8 + 1 + 2 + 2

    /// The longest contents.
    static let mostBytes = leastBytes + TicketBond.mostBytes + mostPathBytes + mostTokenBytes

    /// The contents of bytes that were sealed; nil for bytes that no `written` makes.
    static func read(_ bytes: [UInt8]) -> TicketContents? {
        guard bytes.count > leastBytes else { return nil }
        var index = TicketID.byteCount
        func take(_ count: Int) -> ArraySlice<UInt8>? {
            guard bytes.count - index >= count else { return nil }
            defer { index += count }
            return bytes[index..<index + count]
        }
        func number(_ byteCount: Int) -> UInt64? { take(byteCount)?.reduce(0) { $0 << 8 | UInt64($1) } }
        guard let expires = number(8), seconds.contains(expires), let limit = number(8), seconds.contains(limit), let kind = number(1),
            let bondCount = number(2),
            let bondBytes = take(Int(bondCount)), let bond = TicketBond(kind: UInt8(kind), Array(bondBytes)),
            let pathCount = number(2), pathCount <= UInt64(mostPathBytes), let path = take(Int(pathCount)),
            (1...mostTokenBytes).contains(bytes.count - index)
        else { return nil }
        return TicketContents(
            id: TicketID(bytes.prefix(TicketID.byteCount)), token: Token(copying: bytes.span.extracting(index..<bytes.count)),
            expiresSeconds: Int64(expires), limitSeconds: Int64(limit), path: path.isEmpty ? nil : Array(path),
            bond: bond)
    }

    private static func append(_ number: UInt64, byteCount: Int, to bytes: inout [UInt8]) {
        for place in (0..<byteCount).reversed() { bytes.append(UInt8(truncatingIfNeeded: number >> UInt64(8 * place))) }
    }
}

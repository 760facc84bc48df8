// Reads the header of the PROXY protocol, versions 1 and 2 (HAProxy's `doc/proxy-protocol.txt`): a proxy in front names its client
// before the first byte of TLS or HTTP. No I/O, no clock.
//
//     version 1:  PROXY TCP4 <source> <destination> <source port> <destination port> CR LF          at most 107 bytes
//     version 2:  12 bytes of signature | version, command | family | length, 16 bits | addresses, then TLVs
//
// Invariant: the parser never asks for a byte that may lie behind the header, because that byte belongs to TLS or HTTP.

import Bytes

/// Why the received bytes are no header of the PROXY protocol.
public enum ProxyHeaderError: Error, Equatable, Sendable {
    /// The first bytes are those of neither version.
    case noHeader
    /// A line of version 1 without an end within 107 bytes.
    case lineTooLong
    /// A line of version 1 that does not follow section 2.1.
    case malformedLine
    /// A version, command or family that section 2.2 does not define.
    case unknownVariant
    /// Too short for its addresses, or longer than `ProxyHeaderParser.maximumBytes`.
    case impossibleLength

    /// In words, for the log.
    public var reason: String {
        switch self {
        case .noHeader: "the connection does not begin with a PROXY header"
        case .lineTooLong: "the line of the PROXY header has no end within 107 bytes"
        case .malformedLine: "the line of the PROXY header is malformed"
        case .unknownVariant: "the PROXY header is of an unknown version, command or family"
        case .impossibleLength: "the PROXY header's length is too small for its addresses, or above 4096 bytes"
        }
    }
}

/// The client of a connection, as the header names it.
public enum ProxiedClient: Equatable, Sendable {
    /// A client of the proxy that sent the header.
    case client(SocketAddress)
    /// A client that the proxy cannot name, for example one that came over a UNIX socket.
    case unknown
    /// The proxy itself, for a health check.
    case proxyItself
}

/// Takes a header piece by piece.
public struct ProxyHeaderParser {
    /// Room for addresses and for what proxies add, such as the client's certificate.
    public static let maximumBytes = 4_096
    private static let lineBytes = 107
    private static let fixedBytes = 16
    private static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
    private static let linePrefix = Array("PROXY ".utf8)
    /// The shortest line there is.
    private static let shortestLineBytes = Array("PROXY UNKNOWN\r\n".utf8).count

    private var bytes: [UInt8] = []

    /// Nothing has come yet.
    public init() {}

    /// Whether any byte has come.
    public var hasBegun: Bool { !bytes.isEmpty }

    /// How many more bytes at least belong to the header. Never zero before the header is complete.
    public var missingCount: Int {
        guard bytes.first != ProxyHeaderParser.linePrefix[0] else { return missingOfLine }
        guard bytes.count >= ProxyHeaderParser.fixedBytes else {
            // Before the version is known: no more than the shorter header has.
            return (bytes.isEmpty ? ProxyHeaderParser.shortestLineBytes : ProxyHeaderParser.fixedBytes) - bytes.count
        }
        return ProxyHeaderParser.fixedBytes + payloadCount - bytes.count
    }

    /// Takes bytes, at most `missingCount`. Returns the client as soon as the header is complete.
    ///
    /// - Throws: As soon as the bytes cannot be a header. The connection can only be closed then.
    public mutating func receive(_ piece: Span<UInt8>) throws(ProxyHeaderError) -> ProxiedClient? {
        precondition(piece.count <= missingCount, "bytes behind the header would be lost")
        for index in piece.indices { bytes.append(piece[index]) }
        guard let first = bytes.first else { return nil }
        return first == ProxyHeaderParser.linePrefix[0] ? try readLine() : try readBinary()
    }

    // MARK: Version 1

    /// The least that is missing: the blanks between four values, each of at least one character, and the line end.
    private var missingOfLine: Int {
        guard bytes.count >= ProxyHeaderParser.shortestLineBytes else { return ProxyHeaderParser.shortestLineBytes - bytes.count }
        if bytes.last == 0x0D { return 1 }
        guard !bytes.starts(with: Array("PROXY UNKNOWN".utf8)) else { return 2 }
        let blanks = bytes.count { $0 == 0x20 }
        let valuesToCome = max(0, 5 - blanks)
        return 2 * valuesToCome + 2 + (bytes.last == 0x20 ? 1 : 0)
    }

    private func readLine() throws(ProxyHeaderError) -> ProxiedClient? {
        let prefix = ProxyHeaderParser.linePrefix
        guard bytes.prefix(prefix.count).elementsEqual(prefix.prefix(bytes.count)) else { throw .noHeader }
        guard bytes.count <= ProxyHeaderParser.lineBytes else { throw .lineTooLong }
        guard let end = bytes.firstIndex(where: { $0 == 0x0D || $0 == 0x0A }) else {
            if bytes.count > ProxyHeaderParser.lineBytes - 2 { throw .lineTooLong }
            return nil
        }
        guard bytes[end] == 0x0D, end + 2 >= bytes.count else { throw .malformedLine }
        // The CR is the last byte that a line may have, so that its LF would be one too many.
        guard end + 2 <= ProxyHeaderParser.lineBytes else { throw .lineTooLong }
        guard end + 2 == bytes.count else { return nil }
        guard bytes[end + 1] == 0x0A else { throw .malformedLine }
        return try readValues(bytes[prefix.count..<end].split(separator: 0x20, omittingEmptySubsequences: false))
    }

    private func readValues(_ values: [ArraySlice<UInt8>]) throws(ProxyHeaderError) -> ProxiedClient {
        // What follows UNKNOWN cannot be relied on.
        if values[0].elementsEqual("UNKNOWN".utf8) { return .unknown }
        guard values.count == 5, values[0].elementsEqual("TCP4".utf8) || values[0].elementsEqual("TCP6".utf8) else { throw .malformedLine }
        let isIPv6 = values[0].last == UInt8(ascii: "6")
        guard let port = ProxyHeaderParser.port(values[3]), ProxyHeaderParser.port(values[4]) != nil,
            let source = ProxyHeaderParser.address(values[1], isIPv6: isIPv6, port: port),
            ProxyHeaderParser.address(values[2], isIPv6: isIPv6, port: 0) != nil
        else { throw .malformedLine }
        return .client(source)
    }

    private static func address(_ text: ArraySlice<UInt8>, isIPv6: Bool, port: UInt16) -> SocketAddress? {
        guard !text.isEmpty, text.contains(UInt8(ascii: ":")) == isIPv6, !text.contains(0) else { return nil }
        return SocketAddress(numeric: String(decoding: text, as: UTF8.self), port: port)
    }

    /// A decimal number without leading zeros.
    private static func port(_ text: ArraySlice<UInt8>) -> UInt16? {
        guard let first = text.first, text.allSatisfy(isDigit), first != UInt8(ascii: "0") || text.count == 1 else { return nil }
        return UInt16(String(decoding: text, as: UTF8.self))
    }

    // MARK: Version 2

    private var payloadCount: Int { Int(bytes[14]) << 8 | Int(bytes[15]) }

    private func readBinary() throws(ProxyHeaderError) -> ProxiedClient? {
        let signature = ProxyHeaderParser.signature
        guard bytes.prefix(signature.count).elementsEqual(signature.prefix(bytes.count)) else { throw .noHeader }
        guard bytes.count >= ProxyHeaderParser.fixedBytes else { return nil }
        guard ProxyHeaderParser.fixedBytes + payloadCount <= ProxyHeaderParser.maximumBytes else { throw .impossibleLength }
        let isLocal: Bool
        switch bytes[12] {
        case 0x20: isLocal = true
        case 0x21: isLocal = false
        default: throw .unknownVariant
        }
        let needed = try addressesCount(isLocal: isLocal)
        guard payloadCount >= needed else { throw .impossibleLength }
        guard missingCount == 0 else { return nil }
        if isLocal { return .proxyItself }
        let payload = bytes[ProxyHeaderParser.fixedBytes...]
        switch bytes[13] {
        case 0x11: return .client(SocketAddress(bytes: Array(payload.prefix(4)), port: port(at: ProxyHeaderParser.fixedBytes + 8)))
        case 0x21: return .client(SocketAddress(bytes: Array(payload.prefix(16)), port: port(at: ProxyHeaderParser.fixedBytes + 32)))
        default: return .unknown
        }
    }

    /// How long the addresses are, by their family and transport.
    private func addressesCount(isLocal: Bool) throws(ProxyHeaderError) -> Int {
        switch bytes[13] {
        // A proxy that speaks for itself may leave the addresses out, and they are ignored (section 2.2).
        case _ where isLocal: 0
        case 0x00: 0
        case 0x11, 0x12: 12
        case 0x21, 0x22: 36
        case 0x31, 0x32: 216
        default: throw .unknownVariant
        }
    }

    private func port(at offset: Int) -> UInt16 { UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1]) }
}

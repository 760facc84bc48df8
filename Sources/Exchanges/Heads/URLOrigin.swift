// The place to which a URL leads, as far as the proxy compares it: an HTTP scheme, a host and a port. Names are compared as they are
// written. Invariant: what is not certainly the same place counts as another one.

import Bytes

/// An HTTP scheme, a host and a port.
struct URLOrigin: Equatable {
    let isSecured: Bool
    /// In lower case; an IPv6 address in brackets.
    let host: [UInt8]
    let port: UInt16

    init(isSecured: Bool, host: [UInt8], port: UInt16) {
        self.isSecured = isSecured
        self.host = host
        self.port = port
    }

    /// The place of a host and a port, with the scheme's default port if there is none; nil for anything else, also with a user.
    init?(_ authority: ArraySlice<UInt8>, isSecured: Bool) {
        var host = authority
        var port: UInt16 = isSecured ? 443 : 80
        // A colon inside brackets belongs to an IPv6 address.
        if let colon = authority.lastIndex(of: UInt8(ascii: ":")), authority.last != UInt8(ascii: "]") {
            host = authority[..<colon]
            let digits = authority[(colon + 1)...]
            if !digits.isEmpty {
                guard digits.count <= 5, digits.allSatisfy(isDigit),
                    let number = UInt16(String(decoding: digits, as: UTF8.self))
                else { return nil }
                port = number
            }
        }
        guard !host.isEmpty, !host.contains(UInt8(ascii: "@")) else { return nil }
        self.init(isSecured: isSecured, host: host.map(lowercased), port: port)
    }

    private var hasUsualPort: Bool { port == (isSecured ? 443 : 80) }

    /// Whether something for this place may go to the other one: the same host and port, with the same scheme, or with TLS instead of
    /// none.
    func includes(_ other: URLOrigin) -> Bool {
        guard host == other.host, other.isSecured || !isSecured else { return false }
        return port == other.port || (hasUsualPort && other.hasUsualPort)
    }
}

/// A URL with an HTTP scheme, or one that keeps the earlier scheme (RFC 3986 section 4.2).
struct URLReference {
    /// Nil where nothing is said.
    private let isSecured: Bool?
    private let authority: ArraySlice<UInt8>
    /// Where the path begins, or what follows an empty one.
    let pathStart: Int

    /// Nil if the text does not begin with such a reference. If the text `isWhole` that reference, its host ends as in browsers: the
    /// host of `http://h;@evil/` is `evil`. Within other text it also ends where URLs end there.
    init?(_ text: ArraySlice<UInt8>, isWhole: Bool) {
        var start = text.startIndex
        if Self.hasPrefix(text, "https://") {
            isSecured = true
            start += 8
        } else if Self.hasPrefix(text, "http://") {
            isSecured = false
            start += 7
        } else if Self.hasPrefix(text, "//") {
            isSecured = nil
            start += 2
        } else {
            return nil
        }
        let end = text[start...].firstIndex { Self.endsAuthority($0, isWhole: isWhole) } ?? text.endIndex
        authority = text[start..<end]
        pathStart = end
    }

    /// The place to which it leads from a URL with that scheme, if it names a host and port.
    func origin(from isSecured: Bool) -> URLOrigin? { URLOrigin(authority, isSecured: self.isSecured ?? isSecured) }

    private static func hasPrefix(_ text: ArraySlice<UInt8>, _ prefix: StaticString) -> Bool {
        hasPrefixIgnoringCase(text.span, 0..<text.count, prefix)
    }

    private static func endsAuthority(_ byte: UInt8, isWhole: Bool) -> Bool {
        switch byte {
        case UInt8(ascii: "/"), UInt8(ascii: "?"), UInt8(ascii: "#"), UInt8(ascii: "\\"): true
        case UInt8(ascii: ">"), UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: " "),
            UInt8(ascii: "\t"):
            !isWhole
        default: false
        }
    }
}

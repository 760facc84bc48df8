// The pages that a route trusts, by their origin (RFC 6454): `https://app.example.com`, `https://*.example.org`.
//
// Invariant: a pattern is kept in the one spelling that browsers send: lower case, no default port, no path.

import Bytes

/// An origin, or all origins below a domain.
package struct OriginPattern: Sendable, Hashable {
    /// The whole origin, or for a wildcard its beginning: the scheme and `://`.
    private let start: [UInt8]
    /// What follows the labels of a wildcard: a dot, the domain and the port. Empty for a single origin.
    private let end: [UInt8]

    private init(start: [UInt8], end: [UInt8]) {
        self.start = start
        self.end = end
    }

    /// The pattern in a text such as `https://*.example.com`; nil if the text is none.
    package init?(_ text: String) {
        guard let pattern = try? OriginPattern.read(text) else { return nil }
        self = pattern
    }

    /// Whether the value of an `Origin` field matches; `null` never does.
    package func matches(_ origin: Span<UInt8>) -> Bool {
        guard !end.isEmpty else { return origin.count == start.count && OriginPattern.holds(origin, start, at: 0) }
        guard origin.count > start.count + end.count, OriginPattern.holds(origin, start, at: 0),
            OriginPattern.holds(origin, end, at: origin.count - end.count)
        else { return false }
        for index in start.count..<(origin.count - end.count) where !OriginPattern.isNameByte(origin[index]) { return false }
        return true
    }

    private static func holds(_ bytes: Span<UInt8>, _ text: [UInt8], at start: Int) -> Bool {
        for offset in text.indices where lowercased(bytes[start + offset]) != text[offset] { return false }
        return true
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        isLetterOrDigit(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_")
    }

    /// Reads `SCHEME://HOST[:PORT]`, where HOST may begin with `*.`.
    static func read(_ text: String) throws(Malformed) -> OriginPattern {
        guard let separator = text.firstRange(of: "://"), ["http", "https"].contains(text[..<separator.lowerBound].lowercased()) else {
            throw Malformed(message: "\(quoted(text)) is no origin; write it as browsers send it, such as https://app.example.com")
        }
        let scheme = text[..<separator.lowerBound].lowercased()
        var host = String(text[separator.upperBound...]).lowercased()
        guard !host.contains(where: { "/?#@".contains($0) }) else {
            throw Malformed(message: "\(quoted(text)): an origin has no path and no user, only a scheme, a host and perhaps a port")
        }
        let isWildcard = host.hasPrefix("*.")
        if isWildcard { host = String(host.dropFirst(2)) }
        var port = ""
        if let colon = host.lastIndex(of: ":"), !host.hasSuffix("]") {
            let digits = host[host.index(after: colon)...]
            guard let number = UInt16(digits), number > 0, digits.utf8.allSatisfy(isDigit) else {
                throw Malformed(message: "\(quoted(text)): \(quoted(String(digits))) is no port")
            }
            port = number == (scheme == "https" ? 443 : 80) ? "" : ":\(number)"
            host = String(host[..<colon])
        }
        if host.hasPrefix("["), host.hasSuffix("]"), !isWildcard {
            host = "[\(try Endpoint.checked(host: String(host.dropFirst().dropLast()), in: text))]"
        } else {
            guard !host.contains("*") else {
                throw Malformed(message: "\(quoted(text)): a '*' can only be the first label of a host, such as https://*.example.com")
            }
            host = try Endpoint.checked(host: host, in: text)
        }
        let origin = "\(scheme)://"
        return isWildcard
            ? OriginPattern(start: Array(origin.utf8), end: Array(".\(host)\(port)".utf8))
            : OriginPattern(start: Array("\(origin)\(host)\(port)".utf8), end: [])
    }
}

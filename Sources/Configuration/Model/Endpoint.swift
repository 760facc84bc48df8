// Reads addresses of listeners and of servers.
//
// Names are not looked up here. Invariant: a returned host is an IPv4 address, an IPv6 address without brackets, or a syntactically
// possible name in lower case; a port is never zero.

import Bytes
import Glibc

/// Why an address or a pattern cannot be used, as a sentence for the operator.
struct Malformed: Error, Equatable { var message: String }

enum Endpoint {
    /// `HOST:PORT`, `[IPv6]:PORT`, `*:PORT` or `:PORT`.
    static func listener(_ text: String) throws(Malformed) -> Listener {
        if text.hasPrefix(Upstream.Server.unixPrefix) {
            throw Malformed(message: "\(quoted(text)): clients are accepted over TCP only; write HOST:PORT, such as 127.0.0.1:8080")
        }
        if text.contains("://") {
            throw Malformed(message: "\(quoted(text)) is a URL; an address to listen on is HOST:PORT, such as 127.0.0.1:8080")
        }
        let (host, port) = try split(text, defaultPort: nil)
        return Listener(host: host.isEmpty || host == "*" ? "*" : try checked(host: host, in: text), port: port)
    }

    /// `IPv4:PORT`, `[IPv6]:PORT`, `*:PORT`, `unix:/PATH` or `unix:@NAME`, for the console.
    static func console(_ text: String) throws(Malformed) -> Listener {
        if text.hasPrefix(Listener.unixPrefix) {
            let path = try unixPath(text.dropFirst(Listener.unixPrefix.count), in: text)
            return Listener(host: Listener.unixPrefix + path, port: 0)
        }
        let listener = try listener(text)
        var four = in_addr()
        guard listener.host == "*" || listener.host.contains(":") || inet_pton(AF_INET, listener.host, &four) == 1 else {
            throw Malformed(
                message: "\(quoted(text)): write the console's address as a number, such as 127.0.0.1:9464: a name could lead elsewhere")
        }
        return listener
    }

    /// The room for a path in `sockaddr_un` without the zero at its end (unix(7)).
    static let unixPathBytes = 107

    /// `HOST:PORT`, `[IPv6]:PORT`, `http://HOST[:PORT][/]`, `https://HOST[:PORT][/]`, `unix:/PATH` or `unix:@NAME`, and whether it
    /// is `https`.
    static func server(_ text: String) throws(Malformed) -> (server: Upstream.Server, isSecure: Bool) {
        if text.hasPrefix(Upstream.Server.unixPrefix) {
            return (Upstream.Server(unixPath: try unixPath(text.dropFirst(Upstream.Server.unixPrefix.count), in: text)), false)
        }
        var rest = Substring(text)
        var defaultPort: UInt16?
        var isSecure = false
        if let end = text.firstRange(of: "://") {
            let scheme = text[..<end.lowerBound].lowercased()
            guard scheme == "http" || scheme == "https" else {
                throw Malformed(
                    message: "\(quoted(text)): the scheme \(quoted(scheme)) is not supported; write http://HOST:PORT or https://HOST:PORT")
            }
            rest = text[end.upperBound...]
            isSecure = scheme == "https"
            if rest.hasPrefix(Upstream.Server.unixPrefix) {
                throw Malformed(message: "a UNIX socket is spoken to in plain HTTP and written without a scheme: unix:/PATH")
            }
            defaultPort = isSecure ? 443 : 80
        }
        if rest.contains("@") {
            throw Malformed(message: "a server's address cannot hold a user name or a password")
        }
        if defaultPort != nil, rest.last == "/" { rest = rest.dropLast() }
        if let place = rest.firstIndex(where: { $0 == "/" || $0 == "?" || $0 == "#" }) {
            // A query may hold a password.
            let shown = rest[place...].prefix { $0 != "?" } + (rest[place...].contains("?") ? "?…" : "")
            throw Malformed(message: "a server's address cannot hold a path (\(quoted(String(shown)))); requests keep their own path")
        }
        let (host, port) = try split(String(rest), defaultPort: defaultPort)
        if host.isEmpty || host == "*" { throw Malformed(message: "\(quoted(text)) names no host; write HOST:PORT") }
        return (Upstream.Server(host: try checked(host: host, in: text), port: port), isSecure)
    }

    /// The path of a UNIX socket: absolute, or `@` and the name of an abstract one. `unix:///PATH` means `unix:/PATH`.
    private static func unixPath(_ written: Substring, in text: String) throws(Malformed) -> String {
        let path = written.hasPrefix("///") ? written.dropFirst(2) : written
        guard path.count > 1, path.first == "@" || path.first == "/", !path.hasPrefix("//"), path.first == "@" || path.last != "/" else {
            throw Malformed(
                message: "\(quoted(text)) names no UNIX socket; write unix:/PATH with an absolute path, or unix:@NAME for an abstract one")
        }
        guard path.utf8.count <= unixPathBytes else {
            throw Malformed(message: "the path of a UNIX socket has \(path.utf8.count) bytes; at most \(unixPathBytes) are possible")
        }
        return String(path)
    }

    /// Whether a text is a plain name of an upstream: a letter or digit, then letters, digits, `_` and `-`.
    static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, isLetterOrDigit(first), text.utf8.count <= DirectiveTable.nameBytes else {
            return false
        }
        return text.utf8.allSatisfy { isLetterOrDigit($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") }
    }

    /// A host in lower case, if it is an IP address or could be a name.
    static func checked(host: String, in text: String) throws(Malformed) -> String {
        let bytes = host.utf8
        if bytes.contains(UInt8(ascii: ":")) {
            var address = in6_addr()
            guard inet_pton(AF_INET6, host, &address) == 1 else {
                throw Malformed(message: "\(quoted(host)) is not an IPv6 address")
            }
            return host.lowercased()
        }
        let lastLabel = host.split(separator: ".", omittingEmptySubsequences: false).last ?? ""
        if !lastLabel.isEmpty, lastLabel.utf8.allSatisfy(isDigit) {
            var address = in_addr()
            guard inet_pton(AF_INET, host, &address) == 1 else {
                throw Malformed(message: "\(quoted(host)) is not an IPv4 address")
            }
            return host
        }
        let labels = host.split(separator: ".", omittingEmptySubsequences: false)
        let isPossible =
            bytes.count <= 253
            && labels.allSatisfy { label in
                !label.isEmpty && label.utf8.count <= 63 && label.first != "-" && label.last != "-"
                    && label.utf8.allSatisfy { isLetterOrDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
            }
        guard isPossible else {
            let hint = bytes.contains { $0 >= 0x80 } ? "; write an international name in its xn-- form" : ""
            throw Malformed(message: "\(quoted(host)) cannot be the name of a host\(hint)")
        }
        return host.lowercased()
    }

    private static func split(_ text: String, defaultPort: UInt16?) throws(Malformed) -> (String, UInt16) {
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else {
                throw Malformed(message: "\(quoted(text)): the bracket around the IPv6 address is not closed")
            }
            let host = String(text[text.index(after: text.startIndex)..<end])
            guard host.utf8.contains(UInt8(ascii: ":")) else {
                throw Malformed(message: "\(quoted(text)): brackets are for IPv6 addresses only")
            }
            return (host, try port(text[text.index(after: end)...], of: text, defaultPort: defaultPort))
        }
        guard let colon = text.firstIndex(of: ":") else {
            return (text, try port("", of: text, defaultPort: defaultPort))
        }
        if text[text.index(after: colon)...].contains(":") {
            throw Malformed(message: "\(quoted(text)): write an IPv6 address in brackets, such as [::1]:8080")
        }
        return (String(text[..<colon]), try port(text[colon...], of: text, defaultPort: defaultPort))
    }

    /// Reads what follows the host: nothing, or a colon and a port.
    private static func port(
        _ rest: Substring, of text: String, defaultPort: UInt16?
    ) throws(Malformed) -> UInt16 {
        if rest.isEmpty {
            if let defaultPort { return defaultPort }
            let isNumber = !text.isEmpty && text.utf8.allSatisfy(isDigit)
            throw Malformed(
                message: isNumber
                    ? "\(quoted(text)) has no host; write 127.0.0.1:\(text), or *:\(text) for every address"
                    : "\(quoted(text)) has no port; write HOST:PORT")
        }
        let digits = rest.dropFirst()
        guard rest.first == ":", !digits.isEmpty, digits.utf8.count <= 5,
            digits.utf8.allSatisfy(isDigit),
            let value = UInt16(digits), value > 0
        else { throw Malformed(message: "\(quoted(text)): the port must be a number from 1 to 65535") }
        return value
    }
}

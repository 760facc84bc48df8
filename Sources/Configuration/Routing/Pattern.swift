// Reads the pattern of a route: `[HOST]PATH`.
//
// Invariant: an accepted pattern means the same in every reading of `PathReading`. A pattern that could not be told from another one,
// and so would never match, is refused with the reason.

struct Pattern: Equatable {
    var host: HostPattern
    var path: PathPattern

    /// Two patterns with the same key are for the same requests.
    struct Key: Hashable {
        var host: HostPattern
        var isPrefix: Bool
        var path: [UInt8]
    }

    var key: Key {
        switch path {
        case .any: Key(host: host, isPrefix: true, path: [UInt8(ascii: "/")])
        case .exact(let text): Key(host: host, isPrefix: false, path: PathReading.literal(Array(text.utf8).span))
        case .prefix(let text): Key(host: host, isPrefix: true, path: PathReading.literal(Array(text.utf8).span))
        }
    }

    /// Reads `/events/*`, `example.com/events`, `*.example.com/*` and the like.
    static func read(_ text: String) throws(Malformed) -> Pattern {
        guard text.utf8.count <= DirectiveTable.patternBytes else {
            throw Malformed(message: "the pattern is longer than \(DirectiveTable.patternBytes) bytes")
        }
        if text.contains("://") {
            throw Malformed(message: "\(quoted(text)) is a URL; a route is [HOST]PATH, such as example.com/events/*")
        }
        guard let slash = text.firstIndex(of: "/") else {
            throw Malformed(message: "\(quoted(text)) has no path; write \(text == "*" ? "/*" : "\(text)/*") for every path")
        }
        return Pattern(host: try readHost(String(text[..<slash])), path: try readPath(String(text[slash...])))
    }

    private static func readHost(_ text: String) throws(Malformed) -> HostPattern {
        if text.isEmpty || text == "*" { return .any }
        if text.hasPrefix("*.") {
            let domain = String(text.dropFirst(2))
            guard !domain.contains("*"), !domain.contains(":"), !domain.isEmpty else {
                throw Malformed(message: "\(quoted(text)): a wildcard host is '*.' and a domain, such as *.example.com")
            }
            return .suffix("." + (try Endpoint.checked(host: withoutFinalDot(domain), in: text)))
        }
        if text.contains("*") {
            throw Malformed(message: "\(quoted(text)): a wildcard can only be the first label of a host, such as *.example.com")
        }
        if text.hasPrefix("["), text.hasSuffix("]") {
            return .exact("[\(try Endpoint.checked(host: String(text.dropFirst().dropLast()), in: text))]")
        }
        if text.contains(":") {
            throw Malformed(message: "\(quoted(text)): the host of a route has no port; it matches whatever the port")
        }
        return .exact(try Endpoint.checked(host: withoutFinalDot(text), in: text))
    }

    private static func withoutFinalDot(_ host: String) -> String {
        host.count > 1 && host.hasSuffix(".") ? String(host.dropLast()) : host
    }

    private static func readPath(_ text: String) throws(Malformed) -> PathPattern {
        if let star = text.firstIndex(of: "*") {
            guard text.index(after: star) == text.endIndex, text[..<star].hasSuffix("/") else {
                throw Malformed(message: "\(quoted(text)): a '*' can only be the last piece of a path, after a '/', such as /events/*")
            }
        }
        if let bad = text.unicodeScalars.first(where: { " \t?#;\\".unicodeScalars.contains($0) }) {
            let reason =
                switch bad {
                case "?", "#": "a route is chosen by the path alone"
                case " ", "\t": "write a blank as %20"
                default: "servers do not agree on what it means there"
                }
            throw Malformed(message: "\(quoted(text)): '\(bad)' cannot stand in the path of a route; \(reason)")
        }
        let path = text.hasSuffix("*") ? String(text.dropLast()) : text
        let bytes = Array(path.utf8)
        guard !PathReading.isUnforeseeable(bytes.span),
            PathReading.literal(bytes.span) == PathReading.lenient(bytes.span), PathReading.spellings(bytes.span) == [bytes]
        else {
            throw Malformed(
                message:
                    """
                    \(quoted(text)): dot segments, doubled slashes, dots and blanks at the end of a segment, control characters, \
                    %2F, %5C, %3B, %3F, %23, %25 before two hexadecimal digits and bytes that are no UTF-8 cannot stand in the path \
                    of a route; servers do not agree on what they mean
                    """
            )
        }
        if path == text { return .exact(path) }
        return path == "/" ? .any : .prefix(path)
    }
}

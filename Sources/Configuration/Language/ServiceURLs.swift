// Reads URLs that the proxy asks itself.

extension ServiceURL {
    /// The URL in a text.
    static func read(_ text: String) throws(Malformed) -> ServiceURL {
        let lowercased = text.lowercased()
        guard lowercased.hasPrefix("http://") || lowercased.hasPrefix("https://"), let scheme = text.firstRange(of: "://") else {
            throw Malformed(message: "\(quoted(text)) is no URL; write https://HOST[:PORT]/PATH")
        }
        guard text.utf8.count <= 2_048, text.utf8.allSatisfy({ (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "\\") }) else {
            throw Malformed(message: "a URL has at most 2048 visible ASCII characters and no backslash")
        }
        guard !text.contains("#") else { throw Malformed(message: "\(quoted(text)): a fragment (#) is never sent to a server") }
        let rest = text[scheme.upperBound...]
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        let authority = String(rest[..<end]).lowercased()
        let (server, isSecure) = try Endpoint.server(String(text[..<scheme.upperBound]) + authority)
        let target = rest[end...]
        return ServiceURL(
            server: server, isSecure: isSecure, target: target.hasPrefix("/") ? String(target) : "/" + target, authority: authority)
    }
}

/// To which servers a service's URL may lead without TLS.
enum PlainServices {
    /// Those of this machine.
    case onLoopback
    /// All.
    case anywhere
}

extension Interpreter {
    /// Reads a URL that the proxy asks itself; nil after an error.
    mutating func readServiceURL(_ word: Word, withoutTLS plain: PlainServices) -> ServiceURL? {
        do throws(Malformed) {
            let url = try ServiceURL.read(word.text)
            guard url.isSecure || url.isLoopback || plain == .anywhere else {
                error(word, "anybody on the network path could change this answer; write https://")
                return nil
            }
            return url
        } catch {
            self.error(word, error.message)
            return nil
        }
    }
}

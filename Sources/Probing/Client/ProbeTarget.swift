// Where a probe goes and what each of its requests looks like. Invariant: the secret is in no request, only its proof for that one script.

import Credentials
import HTTP2
import ProbeScripts

/// The URL that is probed, and how.
package struct ProbeTarget: Sendable {
    /// Another place to connect to for one host and port, as curl's `--connect-to` has it; an empty host or no port stands for any.
    package struct Detour: Sendable, Equatable {
        /// For requests to this host; empty for any.
        package var host: String
        /// For requests to this port; nil for any.
        package var port: UInt16?
        /// The host that is connected to instead; empty for the URL's own.
        package var otherHost: String
        /// The port that is connected to instead; nil for the URL's own.
        package var otherPort: UInt16?

        /// A detour.
        package init(host: String, port: UInt16?, otherHost: String, otherPort: UInt16?) {
            self.host = host
            self.port = port
            self.otherHost = otherHost
            self.otherPort = otherPort
        }
    }

    /// A version of HTTP that can be asked for.
    package enum Version: Sendable {
        /// HTTP/1.1. HTTP/2 is not offered.
        case http11
        /// HTTP/2; without TLS the server has to know beforehand (RFC 9113 section 3.3).
        case http2
    }

    /// Whether the scheme is https.
    package var isSecure: Bool
    /// The host, without brackets.
    package var host: String
    /// The port.
    package var port: UInt16
    /// The path, with its slash at the beginning.
    package var path: String
    /// The query, without the question mark; nil for none.
    package var query: String?
    /// Fields that are added to each request.
    package var fields: [(name: String, value: String)] = []
    /// Other places to connect to; the first that fits is taken.
    package var detours: [Detour] = []
    /// The endpoint's secret; nil for a URL of any server.
    package var secret: ProbeSecret?
    /// The only version of HTTP that is spoken, if one was asked for.
    package var forcedVersion: Version?

    /// A URL in its parts.
    package init(isSecure: Bool, host: String, port: UInt16, path: String, query: String? = nil) {
        self.isSecure = isSecure
        self.host = host
        self.port = port
        self.path = path
        self.query = query
    }

    /// The host and port that are connected to.
    package var destination: (host: String, port: UInt16) {
        guard let detour = detours.first(where: { ($0.host.isEmpty || $0.host == host) && ($0.port == nil || $0.port == port) }) else {
            return (host, port)
        }
        return (detour.otherHost.isEmpty ? host : detour.otherHost, detour.otherPort ?? port)
    }

    /// The URL without its query, which may hold a token.
    package var shownURL: String {
        let place = host.contains(":") ? "[\(host)]" : host
        let isUsual = port == (isSecure ? 443 : 80)
        return "http\(isSecure ? "s" : "")://\(place)\(isUsual ? "" : ":\(port)")\(path)\(query == nil ? "" : "?…")"
    }

    private var hostField: String {
        let place = host.contains(":") ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? place : "\(place):\(port)"
    }

    /// What a request asks for: path and query, and its fields in their order.
    private func request(_ plan: FlightPlan) -> (target: String, fields: [(name: String, value: String)]) {
        var target = path
        var parameters = [query].compactMap { $0 }
        switch plan.request {
        case .url: break
        case .play(let script): parameters.insert(script.query, at: 0)
        case .seen(let nonce, let askedAt):
            target += target.hasSuffix("/") ? "seen" : "/seen"
            parameters.insert(ProbeScript.seenQuery(nonce: nonce, askedAt: askedAt), at: 0)
        }
        if !parameters.isEmpty { target += "?" + parameters.joined(separator: "&") }
        var all: [(name: String, value: String)] = [
            ("Accept", "text/event-stream"), ("Accept-Encoding", plan.acceptsCompression ? "gzip, br" : "identity"),
            ("Cache-Control", "no-cache"), ("User-Agent", "heartwire-probe"),
        ]
        all.removeAll { own in fields.contains { $0.name.lowercased() == own.name.lowercased() } }
        if let text = plan.provenText, let proof = secret?.proof(of: text) { all.append(("X-Heartwire-Probe", proof)) }
        return (target, all + fields)
    }

    /// The bytes of a request of HTTP/1.
    func head(_ plan: FlightPlan) -> [UInt8] {
        let (target, all) = request(plan)
        var head = "GET \(target) HTTP/1.\(plan.version == .http10 ? 0 : 1)\r\n"
        if !all.contains(where: { $0.name.lowercased() == "host" }) { head += "Host: \(hostField)\r\n" }
        for field in all { head += "\(field.name): \(field.value)\r\n" }
        return Array((head + "\r\n").utf8)
    }

    /// The same request for HTTP/2.
    func http2Request(_ plan: FlightPlan) -> OutgoingRequest {
        let (target, all) = request(plan)
        var request = OutgoingRequest(isSecured: isSecure, authority: hostField, path: target)
        request.fields = all
        // What Chromium sends with an EventSource (RFC 9218).
        if !all.contains(where: { $0.name.lowercased() == "priority" }) { request.fields.append(("Priority", "u=1, i")) }
        return request
    }
}

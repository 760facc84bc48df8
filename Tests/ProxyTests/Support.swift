// What the tests of the proxy share: heads made from texts, and a reader of heads that belongs to the tests. So the code with which
// the proxy reads does not judge what the proxy writes.

import Configuration
import Credentials
import Glibc
import HTTP
import Reactor
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy
@testable import Upstreams

/// A head as a strict reader finds it. Bytes from 0x80 on are read as Latin-1, so that none is lost.
struct ReadHead {
    struct Malformed: Error {
        var what: String
    }

    let firstLine: String
    let fields: [(name: String, value: String)]
    /// The bytes after the head.
    let rest: [UInt8]

    /// Reads one head; throws at anything that RFC 9112 does not allow a sender.
    init(_ bytes: [UInt8]) throws {
        var lines: [String] = []
        var start = 0
        while true {
            guard let end = bytes[start...].firstIndex(of: 0x0D), end + 1 < bytes.count, bytes[end + 1] == 0x0A else {
                throw Malformed(what: "no line end behind \(start)")
            }
            let line = bytes[start..<end]
            guard line.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else { throw Malformed(what: "control character") }
            start = end + 2
            if line.isEmpty { break }
            lines.append(latin1(line))
        }
        guard let first = lines.first else { throw Malformed(what: "no first line") }
        firstLine = first
        rest = Array(bytes[start...])
        fields = try lines.dropFirst().map { line in
            guard let colon = line.firstIndex(of: ":"), colon > line.startIndex else { throw Malformed(what: line) }
            let name = String(line[..<colon])
            guard name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "!#$%&'*+-.^_`|~".contains($0)) }) else {
                throw Malformed(what: line)
            }
            var value = line[line.index(after: colon)...]
            if value.first == " " { value = value.dropFirst() }
            guard value.first != " ", value.last != " ", value.first != "\t", value.last != "\t" else { throw Malformed(what: line) }
            return (name, String(value))
        }
    }

    /// The values of a field. The name must be in lower case.
    func values(_ name: String) -> [String] { fields.filter { $0.name.lowercased() == name }.map(\.value) }

    /// All fields as `name: value`, in their order, except some names.
    func lines(except names: Set<String> = []) -> [String] {
        fields.filter { !names.contains($0.name.lowercased()) }.map { "\($0.name): \($0.value)" }
    }

    /// The elements of a list field in lower case.
    func elements(_ name: String) -> [String] {
        values(name).flatMap { $0.split(separator: ",") }.map { String($0.trimmingBlanks).lowercased() }
    }
}

extension Substring {
    var trimmingBlanks: Substring {
        var text = self
        while text.first == " " || text.first == "\t" { text = text.dropFirst() }
        while text.last == " " || text.last == "\t" { text = text.dropLast() }
        return text
    }
}

// MARK: Requests and responses

/// A parsed request; the text's lines end with `\n` for the reader's sake, and the empty line is added.
func request(_ text: String) throws -> RequestHead {
    try RequestHead.parse(wire(text).span, limits: HeadLimits())
}

func response(_ text: String) throws -> ResponseHead {
    try ResponseHead.parse(wire(text).span, limits: HeadLimits())
}

/// The lines of a text as a head's bytes.
func wire(_ text: String) -> [UInt8] {
    Array(text.utf8).split(separator: 0x0A).flatMap { $0 + [0x0D, 0x0A] } + [0x0D, 0x0A]
}

/// How a request is forwarded.
struct Way {
    var bearer: BearerPolicy?
    var allowedOrigins: [OriginPattern] = []
    var allowsCredentials = true
    var serverCredentials: ServerCredentials?
    var hostField = Route.HostField.preserve
    var asksForIdentity = false
    var writesVia = true
    var continuity: Continuity?
    var peer = "198.51.100.9"
    var isTrusted = false
    var isSecured = false
    /// The field in which the listener names the client's certificate.
    var subjectField: String?
    /// The subject of this client's certificate.
    var subject: String?

    static let fingerprinter = Fingerprinter(key: Array("a key that tests use".utf8))

    /// The result of forwarding a request.
    enum Outcome {
        case forward(RequestForwarding.Request)
        case refused(Refusal)
    }

    func outcome(_ text: String) throws -> Outcome {
        var route = Route(upstreamIndex: 0, bearer: bearer, allowedOrigins: allowedOrigins)
        route.hostField = hostField
        route.allowsCredentials = allowsCredentials
        route.serverCredentials = serverCredentials
        route.asksForIdentity = asksForIdentity
        route.writesVia = writesVia
        route.continuity = continuity
        var tls = ListenerTLS(certificates: [])
        tls.clientSubjectField = subjectField
        let configuration = Configuration(
            listeners: [Listener(host: "*", port: 443, tls: tls)], upstreams: [Upstream(name: "u", servers: [])], routes: [route])
        let settings = Settings(configuration, try Security(Configuration()))
        let client = ClientFacts(
            redirectPort: nil, certificateIsOver: false, isTrusted: isTrusted, isSecured: isSecured, speaksHTTP2: false,
            subjectField: subjectField, subject: subject.map { Array($0.utf8) })
        let forwarding = RequestForwarding(
            head: try request(text), route: settings.routes[0],
            peer: try #require(SocketAddress(numeric: peer, port: 40_000)), client: client,
            withheld: settings.withheldNames(and: subjectField, isTrusted: isTrusted)
        )
        if forwarding.remainingHops == 0 { return .refused(.ofLastHop) }
        var bridged: BridgedRequest?
        switch settings.routes[0].bridge.map(forwarding.examineCredentials) {
        case nil, .untouched: break
        case .forward(let request):
            if forwarding.isForged(tokenFrom: request.origin) { return .refused(.ofForgedRequest) }
            bridged = request
        case .refused(let refusal): return .refused(Refusal(refusal))
        }
        return .forward(try forwarding.build(bridged, fingerprinter: Way.fingerprinter))
    }

    func forwarded(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> RequestForwarding.Request {
        guard case .forward(let request) = try outcome(text) else {
            Issue.record("the request was refused", sourceLocation: sourceLocation)
            throw ReadHead.Malformed(what: "refused")
        }
        return request
    }

    func refusal(_ text: String) throws -> Refusal? {
        guard case .refused(let refusal) = try outcome(text) else { return nil }
        return refusal
    }

    /// The head as the server `backend:9000` receives it. It must be one valid head and nothing more, whatever the request was.
    func sent(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> ReadHead {
        let request = try forwarded(text, sourceLocation: sourceLocation)
        let server = ServerState(Upstream.Server(host: "backend", port: 9000), addresses: [], idleConnections: 0)
        let bytes = PendingRequest(head: request.head, hostOffset: request.hostOffset).head(for: server)
        let head = try ReadHead(bytes)
        #expect(head.rest.isEmpty, sourceLocation: sourceLocation)
        #expect(head.values("host").count == 1, sourceLocation: sourceLocation)
        return head
    }
}

extension OutgoingResponse {
    /// The bytes that a client of HTTP/1 gets.
    func rendered(isHTTP10: Bool = false, canKeepAlive: Bool = true) -> [UInt8] {
        RenderedResponse(self, for: ResponseTerms(isHTTP10: isHTTP10, canKeepAlive: canKeepAlive)).bytes
    }
}

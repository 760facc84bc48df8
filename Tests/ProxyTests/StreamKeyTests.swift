// The keys of streams: what tells two requests apart, and what does not.

import Configuration
import Credentials
import HTTP
import Reactor
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy

/// A request on a route that keeps its streams. `head` holds lines behind the request line.
private struct Asking {
    var route = "/events/*"
    var upstream = "u"
    var ids = HistoryPolicy.IDs.keep
    var identity = StreamIdentity.values([.credentials])
    var varied: [String] = []
    var ignored: [String] = []
    var eventIDParameter: String?
    var sources: [TokenSource] = []
    var target = "/events/a?x=1&y=2"
    var host = "h"
    var fields = "Accept: text/event-stream"
    var certificate: [UInt8]?
    var isTrusted = false
    var secret = "a key that only tests have"
    /// Fields that the proxy writes about clients, and what it writes now.
    var written: [(name: String, value: String)] = []

    private func forwarding() throws -> RequestForwarding {
        var continuity = Continuity()
        continuity.identity = identity
        continuity.variedFields = varied
        continuity.ignoredParameters = ignored
        continuity.history.ids = ids
        var route = Route(name: route, upstreamIndex: 0, bearer: sources.isEmpty ? nil : BearerPolicy(sources: sources))
        route.continuity = continuity
        route.eventIDParameter = eventIDParameter
        var configuration = Configuration(upstreams: [Upstream(name: upstream, servers: [])], routes: [route])
        var terms = ForwardAuthTerms()
        terms.taken = ["X-User"]
        configuration.forwardAuths = [
            ForwardAuth(
                name: "a",
                service: ServiceEndpoint(
                    name: "a",
                    url: ServiceURL(server: Upstream.Server(host: "s", port: 1), isSecure: false, target: "/", authority: "s"),
                    timeoutMilliseconds: 100), terms: terms)
        ]
        let settings = Settings(configuration, try Security(Configuration()))
        let client = ClientFacts(
            redirectPort: nil, certificateIsOver: false, isTrusted: isTrusted, isSecured: false, speaksHTTP2: false, subjectField: nil,
            subject: nil)
        let received = try request("GET \(target) HTTP/1.1\nHost: \(host)\n\(fields)")
        return RequestForwarding(
            head: settings.routes[0].takingParameters(from: received)?.head ?? received, route: settings.routes[0],
            peer: try #require(SocketAddress(numeric: "192.0.2.7", port: 40_000)), client: client,
            withheld: settings.withheldNames(and: nil, isTrusted: isTrusted))
    }

    func key() throws -> StreamKey {
        let forwarding = try forwarding()
        #expect(forwarding.isManaged)
        var bridged: BridgedRequest?
        if let bridge = forwarding.route.bridge {
            switch forwarding.examineCredentials(by: bridge) {
            case .untouched: break
            case .forward(let changed): bridged = changed
            case .refused: throw ReadHead.Malformed(what: "refused")
            }
        }
        var findings = Findings()
        findings.fields = written.map { ($0.name, Array($0.value.utf8)) }
        return try forwarding.streamKey(
            bridged, written.isEmpty ? nil : findings, certificateDigest: certificate, under: Fingerprinter(key: Array(secret.utf8)))
    }

    var isManaged: Bool { get throws { try forwarding().isManaged } }

    func with(_ change: (inout Asking) -> Void) -> Asking {
        var changed = self
        change(&changed)
        return changed
    }
}

@Suite("The key of a stream")
struct StreamKeyTests {
    private static let accept = "Accept: text/event-stream"

    @Test("is another one wherever one part of the request is another one")
    func parts() throws {
        let base = Asking().with {
            $0.varied = ["x-tenant"]
            $0.fields = "\(Self.accept)\nOrigin: https://a\nCookie: a=1; b=2\nAuthorization: Bearer t\nX-Tenant: 1"
            $0.certificate = [1, 2]
        }
        let fields = base.fields
        func replacing(_ old: String, _ new: String) -> Asking { base.with { $0.fields = fields.replacing(old, with: new) } }
        let others: [(String, Asking)] = [
            ("route", base.with { $0.route = "/events/a" }), ("upstream", base.with { $0.upstream = "v" }),
            ("ids", base.with { $0.ids = .suffix }), ("own ids", base.with { $0.ids = .own }),
            ("host", base.with { $0.host = "h2" }), ("port", base.with { $0.host = "h:81" }),
            ("path", base.with { $0.target = "/events/b?x=1&y=2" }), ("query", base.with { $0.target = "/events/a?x=1&y=3" }),
            ("order of parameters", base.with { $0.target = "/events/a?y=2&x=1" }), ("no query", base.with { $0.target = "/events/a" }),
            ("escape", base.with { $0.target = "/events/%61?x=1&y=2" }),
            ("origin", replacing("https://a", "https://b")), ("no origin", replacing("\nOrigin: https://a", "")),
            ("empty origin", replacing("Origin: https://a", "Origin:")),
            ("two origins", replacing("\nCookie", "\nOrigin: https://a\nCookie")),
            ("cookie", replacing("b=2", "b=3")), ("no cookie", replacing("\nCookie: a=1; b=2", "")),
            ("cookies in another order", replacing("a=1; b=2", "b=2; a=1")),
            ("token", replacing("Bearer t", "Bearer u")), ("scheme", replacing("Bearer t", "Basic t")),
            ("no token", replacing("\nAuthorization: Bearer t", "")), ("empty authorization", replacing(" Bearer t", "")),
            ("varied", replacing("X-Tenant: 1", "X-Tenant: 2")), ("not varied", replacing("\nX-Tenant: 1", "")),
            ("empty varied", replacing("X-Tenant: 1", "X-Tenant:")), ("twice varied", replacing("X-Tenant: 1", "X-Tenant: 1\nX-Tenant: 1")),
            ("certificate", base.with { $0.certificate = [1, 3] }), ("no certificate", base.with { $0.certificate = nil }),
            ("empty certificate", base.with { $0.certificate = [] }),
            ("identity", base.with { $0.identity = .values([.token]) }), ("public", base.with { $0.identity = .everybody }),
            ("other varied fields", base.with { $0.varied = ["x-tenant", "x-b"] }), ("nothing varied", base.with { $0.varied = [] }),
            ("key", base.with { $0.secret = "another key of the tests" }),
        ]
        var seen: [StreamKey: String] = [try base.key(): "base"]
        for (name, asking) in others {
            let before = seen.updateValue(name, forKey: try asking.key())
            #expect(before == nil, "\(name) has the key of \(before ?? "")")
        }
        #expect(seen.count == others.count + 1)
    }

    @Test("is the same where only the case of the host differs, or what tells no streams apart")
    func ignored() throws {
        let base = Asking().with {
            $0.ignored = ["_", "t s"]
            $0.eventIDParameter = "seen"
            $0.sources = [.query(name: "token"), .cookie(name: "session")]
        }
        let key = try base.key()
        let same: [(String, Asking)] = [
            ("host", base.with { $0.host = "H" }), ("ignored", base.with { $0.target = "/events/a?_=1&x=1&t%20s=5&y=2&_=2" }),
            ("id", base.with { $0.fields += "\nLast-Event-ID: 41" }), ("unfit id", base.with { $0.fields += "\nLast-Event-ID: 4\u{1}1" }),
            ("named id", base.with { $0.target = "/events/a?seen=41&x=1&y=2" }),
            ("usual id", base.with { $0.target = "/events/a?x=1&y=2&lastEventId=41&lastEventId=42" }),
            ("other fields", base.with { $0.fields = "\(Self.accept), */*\nUser-Agent: b\nAccept-Language: pl\nX-Tenant: 1\nReferer: c" }),
            ("proxy fields of strangers", base.with { $0.fields += "\nX-Forwarded-Host: b\nX-Forwarded-User: eve" }),
        ]
        for (name, asking) in same { #expect(try asking.key() == key, "\(name)") }
        // Empty pieces of a query are the server's to judge.
        #expect(try base.with { $0.target = "/events/a?x=1&&y=2" }.key() != key)
    }

    @Test("holds the token once, wherever it came from, and no URL or cookie that held it")
    func bridged() throws {
        let base = Asking().with { $0.sources = [.query(name: "token"), .cookie(name: "session")] }
        let inField = try base.with { $0.fields += "\nAuthorization: Bearer abc" }.key()
        #expect(try base.with { $0.target = "/events/a?token=abc&x=1&y=2" }.key() == inField)
        #expect(try base.with { $0.fields += "\nCookie: session=abc" }.key() == inField)
        #expect(try base.with { $0.fields += "\nCookie: session=abd" }.key() != inField)
        #expect(try base.with { $0.fields += "\nCookie: session=abc; a=1" }.key() != inField)
        #expect(try base.key() != inField)
    }

    @Test("depends on the named identity only, and on all credentials of a request that has none of it")
    func identity() throws {
        let cookie = Asking().with {
            $0.identity = .values([.cookie("id")])
            $0.fields = "\(Self.accept)\nCookie: a=1; id=7; b=2\nAuthorization: Bearer t"
        }
        let key = try cookie.key()
        #expect(try cookie.with { $0.fields = "\(Self.accept)\nCookie: id=7\nAuthorization: Bearer u" }.key() == key)
        #expect(try cookie.with { $0.fields = "\(Self.accept)\nCookie: x=1\nCookie: id=7" }.key() == key)
        #expect(try cookie.with { $0.fields = "\(Self.accept)\nCookie: id=8" }.key() != key)
        #expect(try cookie.with { $0.fields = "\(Self.accept)\nCookie: id=7; id=8" }.key() != key)
        // Without the cookie, or with an empty one, nobody may read the stream of other credentials.
        for without in ["", "Cookie: a=1; id=\n"] {
            func key(_ fields: String) throws -> StreamKey { try cookie.with { $0.fields = "\(without)\(fields)\n\(Self.accept)" }.key() }
            let one = try key("Authorization: Bearer t")
            #expect(try key("Authorization: Bearer u") != one && key("X-A: 1") != one && key("Authorization: Bearer t") == one)
        }
        #expect(
            try cookie.with { $0.fields = "\(Self.accept)\nCookie: id=" }.key() != cookie.with { $0.fields = Self.accept }.key())
        let token = cookie.with { $0.identity = .values([.token]) }
        #expect(try token.with { $0.fields = "\(Self.accept)\nAuthorization: Bearer t" }.key() == token.key())
        let certificate = cookie.with {
            $0.identity = .values([.clientCertificate])
            $0.certificate = [9]
        }
        #expect(try certificate.with { $0.fields = Self.accept }.key() == certificate.key())
        #expect(try certificate.with { $0.certificate = [8] }.key() != certificate.key())
        let everybody = cookie.with { $0.identity = .everybody }
        #expect(try everybody.with { $0.fields = Self.accept }.key() == everybody.key())
    }

    @Test("takes a field for the identity only where the proxy or a trusted proxy writes it")
    func vouched() throws {
        let header = Asking().with {
            $0.identity = .values([.header("x-forwarded-user")])
            $0.fields = "\(Self.accept)\nX-Forwarded-User: anna\nCookie: a=1"
        }
        #expect(throws: StreamKeyFault.notTrusted) { try header.key() }
        let trusted = header.with { $0.isTrusted = true }
        let anna = try trusted.key()
        #expect(try trusted.with { $0.fields = "\(Self.accept)\nX-Forwarded-User: anna" }.key() == anna)
        #expect(try trusted.with { $0.fields = "\(Self.accept)\nX-Forwarded-User: bob" }.key() != anna)
        let told = Asking().with {
            $0.identity = .values([.header("x-user")])
            $0.fields = "\(Self.accept)\nX-User: eve\nCookie: a=1"
            $0.written = [("X-User", "anna")]
        }
        let tellsAnna = try told.key()
        #expect(try told.with { $0.fields = "\(Self.accept)\nX-User: anna" }.key() == tellsAnna)
        #expect(try told.with { $0.written = [("X-User", "eve")] }.key() != tellsAnna)
        // Nothing told: the client's own word counts for nothing, its credentials do.
        let untold = told.with { $0.written = [("X-Other", "anna")] }
        #expect(try untold.with { $0.fields = "\(Self.accept)\nX-User: bob\nCookie: a=1" }.key() == untold.key())
        #expect(try untold.with { $0.fields = "\(Self.accept)\nX-User: eve\nCookie: a=2" }.key() != untold.key())
    }

    @Test("tells hosts apart that a trusted proxy reports")
    func forwardedHost() throws {
        let base = Asking().with { $0.isTrusted = true }
        let one = try base.with { $0.fields += "\nX-Forwarded-Host: One" }.key()
        #expect(try base.with { $0.fields += "\nX-Forwarded-Host: one" }.key() == one)
        #expect(try base.with { $0.fields += "\nX-Forwarded-Host: two" }.key() != one && base.key() != one)
    }

    @Test("is only for requests for a whole stream")
    func managed() throws {
        let plain = Asking()
        #expect(try plain.isManaged)
        for fields in [
            "Accept: application/json", "\(Self.accept);q=0", "\(Self.accept)\nRange: bytes=5-", "\(Self.accept)\nIf-None-Match: x",
            "\(Self.accept)\nContent-Length: 3", "\(Self.accept)\nConnection: upgrade\nUpgrade: websocket",
        ] {
            #expect(try !plain.with { $0.fields = fields }.isManaged, "\(fields)")
        }
    }
}

/// A part of a key, as it can be read again.
private struct ReadPart: Equatable {
    var kind: UInt8
    var name: [UInt8]
    var values: [[UInt8]]

    /// Reads all parts of a key's bytes. Nil for bytes that are no parts.
    static func all(of bytes: [UInt8]) -> [ReadPart]? {
        var rest = bytes[...]
        func length() -> Int? {
            guard rest.count >= 4 else { return nil }
            defer { rest = rest.dropFirst(4) }
            return rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
        }
        func text() -> [UInt8]? {
            guard let count = length(), rest.count >= count else { return nil }
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
        var parts: [ReadPart] = []
        while let kind = rest.popFirst() {
            guard let name = text(), let count = length(), count <= bytes.count else { return nil }
            var values: [[UInt8]] = []
            for _ in 0..<count {
                guard let value = text() else { return nil }
                values.append(value)
            }
            parts.append(ReadPart(kind: kind, name: name, values: values))
        }
        return parts
    }
}

@Suite("The parts of a key")
struct StreamKeyPartsTests {
    @Test("can be read again from their bytes, so no two lists of parts have the same ones", arguments: 0..<200)
    func injective(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        // Few different bytes, the lengths of texts among them, so that neighbours could be mistaken for each other.
        func text() -> [UInt8] {
            (0..<Int.random(in: 0...5, using: &random)).map { _ in [0, 0, 1, 2, 4, 65].randomElement(using: &random) ?? 0 }
        }
        var parts = StreamKeyParts()
        var written: [ReadPart] = []
        for _ in 0..<Int.random(in: 0...6, using: &random) {
            let kind = StreamKeyParts.Kind.allCases.randomElement(using: &random) ?? .host
            let (name, values) = (text(), (0..<Int.random(in: 0...3, using: &random)).map { _ in text() })
            parts.add(kind, name: name, values)
            written.append(ReadPart(kind: kind.rawValue, name: name, values: values))
        }
        #expect(ReadPart.all(of: parts.bytes) == written)
    }
}

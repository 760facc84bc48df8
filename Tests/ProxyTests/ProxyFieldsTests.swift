// Fields in which the proxy tells servers what only it can know: whose values it passes on, in which spellings, and at what cost.

import Configuration
import Credentials
import Glibc
import HTTP
import Reactor
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy

@Suite("What only a proxy may say")
struct ProxyFieldsTests {
    private static let names = [
        "X-Forwarded-User", "X-Forwarded-Proto-Version", "X-Forwarded-Prefix", "X-Forwarded-Ssl", "X-Forwarded-Uri", "X-Forwarded",
        "X-Real-IP", "X-Forwarded-Port", "Client-IP", "True-Client-IP", "X-Client-IP", "X-Cluster-Client-IP", "Forwarded-For",
        "X-Original-Forwarded-For", "X-Scheme", "X-Url-Scheme", "Front-End-Https", "X-HTTP-Host-Override", "X-Original-URL",
        "X-Rewrite-URL", "Client-Cert", "Client-Cert-Chain", "X-Sendfile-Type", "X-Accel-Mapping",
    ]

    /// The same name as seen by servers that turn fields into variables (CGI).
    private func aliases(of name: String) -> [String] {
        let dashes = name.indices.filter { name[$0] == "-" }
        let mixed = dashes.map { name.replacingCharacter(at: $0, with: "_") }
        return mixed + ["_", ".", "~", "!", "|"].map { mark in String(name.map { $0 == "-" ? mark : $0 }) }
    }

    @Test("passes from a trusted proxy as it is registered, from strangers never, and from nobody in another spelling", arguments: names)
    func spellings(name: String) throws {
        for spelled in [name, name.lowercased(), name.uppercased()] {
            let text = "GET / HTTP/1.1\nHost: h\nX-Kept: 1\n\(spelled): forged"
            #expect(try Way(isTrusted: true).sent(text).values(name.lowercased()) == ["forged"], "\(spelled)")
            #expect(!(try Way().sent(text).lines().contains { $0.contains("forged") }), "\(spelled)")
            for alias in aliases(of: spelled) {
                for isTrusted in [false, true] {
                    let sent = try Way(isTrusted: isTrusted).sent("GET / HTTP/1.1\nHost: h\n\(alias): forged\nX-Kept: 1")
                    #expect(!sent.lines().contains { $0.contains("forged") }, "\(alias), trusted: \(isTrusted)")
                    #expect(sent.values("x-kept") == ["1"])
                }
            }
        }
    }

    @Test(
        "stands once for each of the proxy's own, whatever a trusted proxy lets pass of its clients beside it",
        arguments: [
            "X_Forwarded_For", "x_forwarded-for", "X-FORWARDED_PROTO", "X.Forwarded.Host", "X_Real_IP", "X_Forwarded_Port", "Proxy",
            "proxy",
        ])
    func besides(name: String) throws {
        for isTrusted in [false, true] {
            let sent = try Way(isTrusted: isTrusted).sent("GET / HTTP/1.1\nHost: h\nConnection: \(name)\n\(name): forged\nHost_: x")
            #expect(!sent.lines().contains { $0.contains("forged") }, "trusted: \(isTrusted)")
            #expect(sent.values("x-forwarded-for") == ["198.51.100.9"] && sent.values("x-forwarded-proto") == ["http"])
            #expect(sent.values("host") == ["h"] && sent.values("host_") == ["x"])
        }
    }

    @Test(
        "is nothing that only begins or ends like it",
        arguments: [
            "X-Forwardedness", "X-Forward", "Proxy-Mark", "X-Proxy", "X-Schema", "X-Original-Thing", "CF-Connecting-IP", "X_Custom.Name",
            "Client-Ip-2", "X-Real-IPv6", "Xforwarded-For", "Sec-Ch-Ua", "X",
        ])
    func others(name: String) throws {
        for isTrusted in [false, true] {
            #expect(try Way(isTrusted: isTrusted).sent("GET / HTTP/1.1\nHost: h\n\(name): 1").values(name.lowercased()) == ["1"])
        }
    }
}

extension String {
    fileprivate func replacingCharacter(at index: Index, with mark: Character) -> String {
        String(self[..<index]) + String(mark) + String(self[self.index(after: index)...])
    }
}

@Suite("A request with as many fields as limits allow")
struct FieldCostTests {
    private static let limits = HeadLimits(headBytes: 1 << 20, fieldCount: 1_000, targetBytes: 1 << 20)

    /// CPU time of this thread for reading the request and writing it for the server, in nanoseconds: the best of several.
    private func cost(_ text: String, isTrusted: Bool, bearer: BearerPolicy?) throws -> UInt64 {
        let bytes = wire(text)
        let route = Route(upstreamIndex: 0, bearer: bearer)
        let settings = Settings(
            Configuration(upstreams: [Upstream(name: "u", servers: [])], routes: [route]), try Security(Configuration()))
        let peer = try #require(SocketAddress(numeric: "198.51.100.9", port: 40_000))
        var best = UInt64.max
        for _ in 0..<3 {
            let start = threadNanoseconds()
            let head = try RequestHead.parse(bytes.span, limits: FieldCostTests.limits)
            let forwarding = RequestForwarding(
                head: head, route: settings.routes[0], peer: peer,
                client: ClientFacts(
                    redirectPort: nil, certificateIsOver: false, isTrusted: isTrusted, isSecured: false, speaksHTTP2: false,
                    subjectField: nil, subject: nil),
                withheld: settings.withheldNames(and: nil, isTrusted: isTrusted))
            var bridged: BridgedRequest?
            switch settings.routes[0].bridge.map(forwarding.examineCredentials) {
            case nil, .untouched: break
            case .forward(let request): bridged = request
            case .refused: throw ReadHead.Malformed(what: "refused")
            }
            _ = try forwarding.build(bridged, fingerprinter: Way.fingerprinter)
            best = min(best, threadNanoseconds() - start)
        }
        return best
    }

    private func threadNanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    private static func padded(_ number: Int, _ count: Int) -> String {
        let digits = String(number)
        return String(repeating: "a", count: max(count - digits.count, 0)) + digits
    }

    /// What grows: the number of fields, or of elements in one field.
    private static let shapes: [(name: String, make: @Sendable (Int) -> String)] = [
        ("names of the family", { n in "Host: h\n" + (0..<n).map { "X-Forwarded-\(padded($0, 700)): 1" }.joined(separator: "\n") }),
        ("other spellings", { n in "Host: h\n" + (0..<n).map { "X_Forwarded_\(padded($0, 700)): 1" }.joined(separator: "\n") }),
        ("unknown names", { n in "Host: h\n" + (0..<n).map { "X-\(padded($0, 900)): 1" }.joined(separator: "\n") }),
        (
            "Referer",
            { n in "Host: h\n" + (0..<n).map { "Referer: http://h/\(padded($0, 900))?access_token=\($0)" }.joined(separator: "\n") }
        ),
        ("addresses", { n in "Host: h\n" + (0..<n).map { "X-Forwarded-For: \(padded($0, 900))" }.joined(separator: "\n") }),
        ("Via", { n in "Host: h\n" + (0..<n).map { "Via: 1.1 \(padded($0, 900))" }.joined(separator: "\n") }),
        ("Cookie fields", { n in "Host: h\n" + (0..<n).map { "Cookie: \(padded($0, 800))=1; b=2" }.joined(separator: "\n") }),
        ("cookies in one field", { n in "Host: h\nCookie: " + (0..<(n * 50)).map { "a\($0)=1" }.joined(separator: "; ") }),
        ("elements of lists", { n in "Host: h\nAccept: " + (0..<(n * 50)).map { "a/b\($0)" }.joined(separator: ", ") }),
        ("quotation marks", { n in "Host: h\nAccept: " + String(repeating: "\"a,\\", count: n * 50) }),
    ]

    @Test("costs four times as much with four times as many", arguments: shapes.map(\.name), [false, true])
    func linear(name: String, isTrusted: Bool) throws {
        let make = try #require(FieldCostTests.shapes.first { $0.name == name }).make
        let bearer = BearerPolicy(sources: [.query(name: "access_token"), .cookie(name: "session")])
        for target in ["/", "/?access_token=s3cr3t-T0ken"] {
            let few = try cost("GET \(target) HTTP/1.1\n\(make(120))", isTrusted: isTrusted, bearer: bearer)
            let many = try cost("GET \(target) HTTP/1.1\n\(make(480))", isTrusted: isTrusted, bearer: bearer)
            // Quadratic cost would be sixteen times as much.
            #expect(Double(many) / Double(few) < 9, "\(target): \(few) ns, \(many) ns")
        }
    }

    @Test("costs no more for each name that Connection holds")
    func connectionOptions() throws {
        let fields = (0..<900).map { "X-\(FieldCostTests.padded($0, 1_000)): 1" }.joined(separator: "\n")
        func text(_ count: Int) -> String {
            let options = (0..<count).map { "X-\(FieldCostTests.padded(2_000 + $0, 1_000))" }.joined(separator: ", ")
            return "GET / HTTP/1.1\nHost: h\nConnection: \(options)\n\(fields)"
        }
        let one = try cost(text(1), isTrusted: false, bearer: nil)
        let all = try cost(text(64), isTrusted: false, bearer: nil)
        #expect(Double(all) / Double(one) < 4, "\(one) ns, \(all) ns")
    }
}

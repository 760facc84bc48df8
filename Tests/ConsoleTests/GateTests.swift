// Who may ask the console for what: every rule by a request that breaks only this rule.

import Configuration
import Credentials
import HTTP
import Telemetry
import Testing

@testable import Console

private let pageToken = "0123456789abcdef0123456789abcdef"

private func gate(token: String? = nil, listeners: [Listener] = [], allowing hosts: [String] = []) -> Gate {
    let digest = token.flatMap { TokenDigest(of: Array($0.utf8).span) }
    let settings = ConsoleSettings(listeners: listeners, tokenDigest: digest, allowedHosts: hosts)
    return Gate(ConsoleTerms(settings, pageToken: Array(pageToken.utf8)))
}

private func decision(_ line: String, _ fields: [String], by gate: Gate) throws -> GateDecision {
    let text = ([line + " HTTP/1.1"] + fields + ["", ""]).joined(separator: "\r\n")
    let limits = HeadLimits(headBytes: 16_384, fieldCount: 100, targetBytes: 8_192)
    return gate.decide(try RequestHead.parse(Array(text.utf8).span, limits: limits))
}

private let action = [
    "Host: localhost:9464", "Content-Type: application/json", "Origin: http://localhost:9464", "Sec-Fetch-Site: same-origin",
    "X-Heartwire-Page: \(pageToken)", "Content-Length: 2",
]

/// An action without one field, and with others.
private func action(without name: String, with fields: [String] = []) -> [String] {
    action.filter { !$0.hasPrefix("\(name):") } + fields
}

@Suite("The console's gate")
struct GateTests {
    @Test(
        "is asked by loopback names only, whatever the port: a foreign name was made to point here",
        arguments: ["localhost", "localhost:9464", "LOCALHOST", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:9464"])
    func loopbackNames(host: String) throws {
        #expect(try decision("GET /healthz", ["Host: \(host)"], by: gate()) == .allowed(.health))
    }

    @Test(
        "refuses every other name",
        arguments: [
            "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:9464", "10.0.0.5", "[::2]", "localhost.",
        ])
    func foreignNames(host: String) throws {
        for path in ["/", "/healthz", "/readyz", "/metrics", "/feed", "/nothing"] {
            #expect(try decision("GET \(path)", ["Host: \(host)"], by: gate()) == .refused(.foreignHost))
        }
    }

    @Test("serves nobody when the configuration has no console any more")
    func closed() throws {
        let closed = Gate(.closed(pageToken: Array(pageToken.utf8)))
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            for path in ["/", "/healthz", "/metrics", "/feed"] {
                #expect(try decision("GET \(path)", ["Host: \(host)"], by: closed) == .refused(.foreignHost))
            }
        }
    }

    @Test("is asked by the names that are allowed, and by the address that it listens on")
    func allowedNames() throws {
        let gate = gate(listeners: [Listener(host: "10.0.0.5", port: 9464)], allowing: ["ops.example"])
        for host in ["ops.example", "OPS.example:443", "10.0.0.5:9464"] {
            #expect(try decision("GET /metrics", ["Host: \(host)"], by: gate) == .allowed(.metrics))
        }
        #expect(try decision("GET /metrics", ["Host: www.ops.example"], by: gate) == .refused(.foreignHost))
    }

    @Test("believes the target where it names another host than the field")
    func absoluteTarget() throws {
        #expect(try decision("GET http://evil.example/metrics", ["Host: localhost"], by: gate()) == .refused(.foreignHost))
    }

    @Test("wants the token for everything but health, as Bearer or as the password of Basic")
    func token() throws {
        let gate = gate(token: "secret")
        let basic = "b3BlcmF0b3I6c2VjcmV0"  // operator:secret
        for path in ["/", "/console.js", "/feed", "/metrics", "/streams/w0-000001/feed", "/nothing"] {
            #expect(try decision("GET \(path)", ["Host: localhost"], by: gate) == .refused(.noToken))
            #expect(try decision("GET \(path)", ["Host: localhost", "Authorization: Bearer Secret"], by: gate) == .refused(.noToken))
        }
        #expect(try decision("GET /healthz", ["Host: localhost"], by: gate) == .allowed(.health))
        #expect(try decision("GET /readyz", ["Host: localhost"], by: gate) == .allowed(.readiness))
        for value in ["Bearer secret", "bearer  secret ", "Basic \(basic)", "basic \(basic)"] {
            #expect(try decision("GET /metrics", ["Host: localhost", "Authorization: \(value)"], by: gate) == .allowed(.metrics))
        }
        for value in ["secret", "Basic secret", "Basic !!!!", "Bearer", "Digest secret", "Basic b3BlcmF0b3I="] {
            #expect(try decision("GET /metrics", ["Host: localhost", "Authorization: \(value)"], by: gate) == .refused(.noToken))
        }
        let two = ["Host: localhost", "Authorization: Bearer secret", "Authorization: Bearer secret"]
        #expect(try decision("GET /metrics", two, by: gate) == .refused(.noToken))
    }

    @Test("knows the token before it says whether a path exists")
    func tokenBeforePath() throws {
        #expect(try decision("POST /nothing", ["Host: localhost"], by: gate(token: "secret")) == .refused(.noToken))
        #expect(try decision("GET /nothing", ["Host: localhost"], by: gate()) == .refused(.unknownPath))
    }

    @Test("reads by GET and HEAD, and acts by POST only")
    func methods() throws {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
            #expect(try decision("\(method) /metrics", ["Host: localhost"], by: gate()) == .refused(.wrongMethod(allowed: "GET and HEAD")))
        }
        #expect(try decision("HEAD /", ["Host: localhost"], by: gate()) == .allowed(.page))
        for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
            let fields = action.filter { !$0.hasPrefix("Content-Length") }
            #expect(
                try decision("\(method) /streams/w0-000007/end", fields, by: gate()) == .refused(.wrongMethod(allowed: "POST")))
        }
    }

    @Test("acts for its own page: JSON, a browser's word for its origin, the page's token")
    func actions() throws {
        let line = "POST /streams/w2-000042/end"
        let allowed = GateDecision.allowed(.endStream(StreamIdentifier(worker: 2, number: 42)))
        #expect(try decision(line, action, by: gate()) == allowed)
        #expect(try decision(line, action(without: "Origin"), by: gate()) == allowed)
        #expect(try decision(line, action(without: "Sec-Fetch-Site"), by: gate()) == allowed)
        let charset = action(without: "Content-Type", with: ["Content-Type: Application/JSON; charset=utf-8"])
        #expect(try decision(line, charset, by: gate()) == allowed)
    }

    @Test(
        "acts for nobody else", arguments: ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp"])
    func actionTypes(type: String) throws {
        let fields = action(without: "Content-Type", with: ["Content-Type: \(type)"])
        #expect(try decision("POST /streams/w0-000001/end", fields, by: gate()) == .refused(.notJSON))
        #expect(try decision("POST /streams/w0-000001/end", action(without: "Content-Type"), by: gate()) == .refused(.notJSON))
    }

    @Test(
        "acts for no foreign page, and for no request whose origin nobody vouches for",
        arguments: [
            ["Origin: http://evil.example", "Sec-Fetch-Site: same-origin"], ["Origin: null", "Sec-Fetch-Site: same-origin"],
            ["Origin: http://localhost:9464", "Sec-Fetch-Site: cross-site"],
            ["Origin: http://localhost:9464", "Sec-Fetch-Site: same-site"],
            ["Origin: http://localhost:9464", "Sec-Fetch-Site: none"], ["Origin: http://localhost:9000"], ["Sec-Fetch-Site: same-site"],
            [], ["Origin: http://localhost:9464", "Origin: http://localhost:9464"], ["Origin: ftp://localhost:9464"],
        ])
    func foreignActions(fields: [String]) throws {
        let rest = action.filter { !$0.hasPrefix("Origin") && !$0.hasPrefix("Sec-Fetch-Site") }
        #expect(try decision("POST /streams/w0-000001/end", rest + fields, by: gate()) == .refused(.foreignPage))
    }

    @Test("acts for no page without its token", arguments: [[], ["X-Heartwire-Page: 0123"], ["X-Heartwire-Page: \(pageToken)0"]])
    func pageTokens(fields: [String]) throws {
        let wrong = action(without: "X-Heartwire-Page", with: fields)
        #expect(try decision("POST /streams/w0-000001/end", wrong, by: gate()) == .refused(.noPageToken))
    }

    @Test("finds what a path means, and nothing else")
    func paths() {
        func resource(_ path: String) -> Resource? { Resource(path: Array(path.utf8).span) }
        #expect(resource("/") == .page)
        #expect(resource("/console.js") == .script)
        #expect(resource("/streams/w1-000123/feed") == .streamFeed(StreamIdentifier(worker: 1, number: 123)))
        #expect(resource("/routes/example.org%2Fevents%2F%2A/event-log") == .eventLog(route: Array("example.org/events/*".utf8)))
        for path in [
            "", "x", "//", "/metrics/", "/Metrics", "/streams/1/end", "/streams/w1/end", "/streams/w1-x/end", "/streams/w1-000001/",
            "/streams/w70000-1/end", "/routes/%4/event-log", "/routes/%zz/event-log", "/routes/a/b/event-log", "/../metrics",
        ] {
            #expect(resource(path) == nil, "\(path)")
        }
    }
}

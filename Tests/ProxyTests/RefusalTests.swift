// The proxy's own answers, and what it keeps of a request for the logs.

import HTTP
import Reactor
import Telemetry
import TestSupport
import Testing

@testable import Exchanges
@testable import Proxy

@Suite("The proxy's own answers")
struct RefusalTests {
    private static let all =
        HTTPError.allCases.map { Refusal($0) } + [
            Refusal(status: 404, cause: .noRoute, evidence: "no route for this host and path", closes: false),
            Refusal(status: 503, cause: .refusedByLimit, evidence: "the limit connections is reached", limit: "connections"),
            Refusal(
                status: 401, cause: .credentialsRefused, evidence: "no credentials", challenge: Array("Bearer realm=\"a\"".utf8),
                closes: false),
            Refusal.exhausted(.tooManyFiles),
        ]

    private func answer(_ refusal: Refusal, isHead: Bool = false, closes: Bool = true, isBridged: Bool = false) -> [UInt8] {
        var refusal = refusal
        refusal.closes = closes
        return refusal.response(
            isHead: isHead, urlHeldToken: isBridged, strictTransportSecuritySeconds: nil, date: HTTPDate.text(unixSeconds: 0)
        ).rendered()
    }

    @Test("each is one whole response with a length that holds; to HEAD it is the same without the body")
    func whole() throws {
        for refusal in RefusalTests.all {
            for closes in [false, true] {
                for isBridged in [false, true] {
                    let head = try ReadHead(answer(refusal, closes: closes, isBridged: isBridged))
                    #expect(head.firstLine.hasPrefix("HTTP/1.1 \(refusal.status) ") && head.firstLine.count > 13)
                    #expect(head.values("content-length") == ["\(head.rest.count)"] && head.values("transfer-encoding").isEmpty)
                    #expect(head.elements("connection").contains("close") == closes)
                    #expect(head.values("cache-control") == ["no-store"] && head.values("content-type").count == 1)
                    #expect((head.values("referrer-policy") == ["strict-origin"]) == isBridged)
                    let short = try ReadHead(answer(refusal, isHead: true, closes: closes, isBridged: isBridged))
                    #expect(short.rest.isEmpty && short.firstLine == head.firstLine && short.lines() == head.lines())
                }
            }
        }
    }

    @Test("a 401 has its challenge, a 503 says when to come again")
    func particular() throws {
        for refusal in RefusalTests.all {
            let head = try ReadHead(answer(refusal))
            #expect(head.values("www-authenticate").count == (refusal.status == 401 ? 1 : 0))
            #expect(head.values("retry-after").count == (refusal.status == 503 ? 1 : 0))
        }
    }

    @Test("a page of an allowed origin may read an answer, and nobody else; Vary says what the answer depends on")
    func crossOrigin() throws {
        var refusal = RefusalTests.all[0]
        let plain = try ReadHead(answer(refusal))
        #expect(!plain.fields.contains { $0.name.lowercased().hasPrefix("access-control") } && plain.values("vary").isEmpty)
        refusal.allowedOrigin = AllowedOrigin(bytes: Array("https://app.example".utf8), mayUseCredentials: true)
        refusal.vary = "Origin, Cookie"
        let head = try ReadHead(answer(refusal))
        #expect(head.values("access-control-allow-origin") == ["https://app.example"] && head.values("vary") == ["Origin, Cookie"])
        #expect(head.values("access-control-allow-credentials") == ["true"])
    }

    @Test("over TLS the answers say, too, that browsers shall come over HTTPS only")
    func strictTransportSecurity() throws {
        let refusal = RefusalTests.all[0]
        let head = try ReadHead(
            refusal.response(
                isHead: false, urlHeldToken: false, strictTransportSecuritySeconds: 60, date: HTTPDate.text(unixSeconds: 0)
            ).rendered())
        #expect(head.values("strict-transport-security") == ["max-age=60"])
    }

    @Test("a challenge that would break out of its line is left out")
    func brokenChallenge() throws {
        let refusal = Refusal(status: 401, cause: .credentialsRefused, evidence: "x", challenge: Array("Bearer realm=\"\r\nX: 1\"".utf8))
        #expect(try ReadHead(answer(refusal)).values("x").isEmpty)
    }

    @Test("a request that breaks the rules is the client's doing and costs it the connection; one over a limit names the limit")
    func blame() {
        for error in HTTPError.allCases {
            let refusal = Refusal(error)
            #expect(refusal.status == error.status && refusal.closes)
            #expect((refusal.cause == .refusedByLimit) == (refusal.limit != nil))
            #expect(refusal.cause == .refusedByLimit || refusal.cause == .clientProtocolError)
        }
        #expect(Refusal(.headTooLarge).limit == "request_head" && Refusal(.headTooLarge).status == 431)
        #expect(Refusal(.tooManyFields).limit == "request_fields" && Refusal(.tooManyFields).status == 431)
        #expect(Refusal(.targetTooLong).limit == "request_target" && Refusal(.targetTooLong).status == 414)
    }
}

@Suite("What is kept of a request for the logs")
struct RequestSummaryTests {
    private func summary(_ text: String) throws -> (method: String?, host: String?, path: String?) {
        let summary = RequestSummary(try request(text))
        return (summary.method.map { latin1($0) }, summary.host.map { latin1($0) }, summary.path.map { latin1($0) })
    }

    @Test(
        "method, host and path are kept, and never the query",
        arguments: [
            ("GET /a/b?access_token=s3cr3t HTTP/1.1\nHost: h:8080", "GET", "h:8080", "/a/b"),
            ("GET /?s3cr3t HTTP/1.1\nHost: h", "GET", "h", "/"),
            ("BREW http://real/a?x=s3cr3t HTTP/1.1\nHost: h", "BREW", "real", "/a"),
            ("GET http://real?x=s3cr3t HTTP/1.1\nHost: h", "GET", "real", "/"),
            ("OPTIONS * HTTP/1.1\nHost: h", "OPTIONS", "h", "*"),
            ("GET /a%3Fb HTTP/1.1\nHost: [::1]:80", "GET", "[::1]:80", "/a%3Fb"),
            ("GET //evil/a?s3cr3t HTTP/1.1\nHost: h", "GET", "h", "//evil/a"),
        ])
    func kept(_ text: String, _ method: String, _ host: String, _ path: String) throws {
        #expect(try summary(text) == (method, host, path))
        let whole = Mirror(reflecting: RequestSummary(try request(text))).children.compactMap { $0.value as? [UInt8] }
        #expect(whole.count == 1 && !whole.contains { contains($0, "s3cr3t") }, "nor in the bytes behind")
    }

    @Test("without a Host there is none, and without a request there is nothing")
    func missing() throws {
        #expect(try summary("GET /a HTTP/1.0\nX: y") == ("GET", nil, "/a"))
        let nothing = RequestSummary(nil)
        #expect(nothing.method == nil && nothing.host == nil && nothing.path == nil)
    }

    @Test("a long method, host or path is cut, and none runs into the next")
    func long() throws {
        let long = String(repeating: "m", count: 400)
        let found = try summary("\(long) /\(String(repeating: "p", count: 5000)) HTTP/1.1\nHost: \(long)")
        #expect(found.method == String(repeating: "m", count: 32) && found.host == String(repeating: "m", count: 255))
        #expect(found.path == "/" + String(repeating: "p", count: 1023))
    }
}

// What the token bridge does to a forwarded request, and that the token is only in Authorization.

import Configuration
import Credentials
import HTTP
import Telemetry
import TestSupport
import Testing

@testable import Exchanges
@testable import Proxy

@Suite("A token on its way to the server")
struct TokenForwardingTests {
    private static let secret = "s3cr3t-T0ken_~+/=="
    private static let encoded = "s3cr3t-T0ken_~%2B%2F%3d="

    private func way(
        _ sources: [TokenSource] = [.query(name: "access_token"), .cookie(name: "session")], missing: BearerPolicy.WhenMissing = .pass,
        conflict: BearerPolicy.Conflict = .refuseQuery
    ) -> Way {
        Way(bearer: BearerPolicy(sources: sources, whenMissing: missing, onConflict: conflict, realm: "tests"))
    }

    /// Checks that the token stands once in the whole head, in the one Authorization field.
    private func expectBridged(_ sent: ReadHead, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(sent.values("authorization") == ["Bearer \(TokenForwardingTests.secret)"], sourceLocation: sourceLocation)
        let others = [sent.firstLine] + sent.lines(except: ["authorization"])
        #expect(!others.contains { $0.contains("s3cr3t") }, sourceLocation: sourceLocation)
    }

    @Test(
        "a token in the query becomes Authorization and leaves the rest of the target byte for byte",
        arguments: [
            ("/e?access_token=T", "/e"), ("/e?a=%20&access_token=T&&b", "/e?a=%20&&b"), ("/e?%61ccess%5Ftoken=T&c", "/e?c"),
            ("http://h/e?access_token=T&c", "/e?c"), ("/?access_token=T", "/"),
        ])
    func query(_ target: String, _ expected: String) throws {
        let target = target.split(separator: "T", omittingEmptySubsequences: false).joined(separator: TokenForwardingTests.encoded)
        let text = "GET \(target) HTTP/1.1\nHost: h\nCookie: a=b"
        let sent = try way().sent(text)
        expectBridged(sent)
        #expect(sent.firstLine == "GET \(expected) HTTP/1.1" && sent.values("cookie") == ["a=b"])
        let request = try way().forwarded(text)
        #expect(request.isBridged && request.token?.origin == .query && request.token?.fingerprint != nil)
    }

    @Test("a token in a cookie becomes Authorization and leaves the other cookies; alone it takes the field along")
    func cookie() throws {
        let sent = try way().sent("GET /e HTTP/1.1\nHost: h\nCookie: a=1; session=\(TokenForwardingTests.secret); b=2\nCookie: c=3")
        expectBridged(sent)
        #expect(sent.values("cookie").count == 1)
        #expect(sent.values("cookie").flatMap { $0.split(separator: ";").map { String($0.trimmingBlanks) } } == ["a=1", "b=2", "c=3"])
        let alone = try way().sent("GET /e HTTP/1.1\nHost: h\nCookie: session=\(TokenForwardingTests.secret)")
        expectBridged(alone)
        #expect(alone.values("cookie").isEmpty)
        #expect(try way().forwarded("GET /e HTTP/1.1\nHost: h\nCookie: session=\(TokenForwardingTests.secret)").token?.origin == .cookie)
    }

    @Test("the Authorization that the proxy writes cannot be taken away or doubled")
    func protected() throws {
        let target = "/e?access_token=\(TokenForwardingTests.encoded)"
        let sent = try way(conflict: .preferBridged).sent(
            """
            GET \(target) HTTP/1.1
            Host: h
            Connection: Authorization, close
            Authorization: Bearer other
            Authorization_: Bearer x
            AUTHORIZATION: Basic y
            """)
        expectBridged(sent)
        #expect(sent.values("authorization_") == ["Bearer x"])
    }

    @Test("a page's own address is sent on without the token")
    func referer() throws {
        let token = TokenForwardingTests.encoded
        let sent = try way().sent(
            "GET /e?access_token=\(token) HTTP/1.1\nHost: h\nReferer: http://h/page?x=1&access_token=\(token)&y=2#access_token=\(token)")
        expectBridged(sent)
        #expect(sent.values("referer").first?.hasPrefix("http://h/page?x=1&y=2") == true)
        let clean = try way().sent("GET /e HTTP/1.1\nHost: h\nReferer: http://h/page?x=1")
        #expect(clean.values("referer") == ["http://h/page?x=1"])
    }

    @Test("with Authorization beside a token the route says which wins, and the URL is cleaned in each case")
    func conflict() throws {
        let text = "GET /e?access_token=\(TokenForwardingTests.encoded) HTTP/1.1\nHost: h\nAuthorization: bearer own"
        let refusal = try #require(try way().refusal(text))
        #expect(refusal.status == 400 && refusal.cause == .credentialsRefused)
        let field = way(conflict: .preferAuthorization)
        let sent = try field.sent(text)
        #expect(sent.values("authorization") == ["bearer own"] && sent.firstLine == "GET /e HTTP/1.1")
        let request = try field.forwarded(text)
        #expect(request.token?.origin == .authorization && request.isBridged)
        let own = try Way().forwarded("GET / HTTP/1.1\nHost: h\nAuthorization: Bearer own")
        #expect(request.token?.fingerprint == own.token?.fingerprint && !own.isBridged && own.token?.origin == .authorization)
    }

    @Test(
        "what is refused is answered as RFC 6750 asks, and the answer holds nothing of the token",
        arguments: [
            ("/e?access_token=a&access_token=a", 400), ("/e?access_token=s3cr%", 400),
            ("/e?access_token=s3cr3t%20x", 400), ("/e?access_token=s3cr3t%0D%0AX:1", 400), ("/e", 401),
        ])
    func refusals(_ target: String, _ status: Int) throws {
        let refusal = try #require(try way(missing: .refuse).refusal("GET \(target) HTTP/1.1\nHost: h"))
        #expect(refusal.status == status && !refusal.closes)
        let answer = refusal.response(
            isHead: false, urlHeldToken: true, strictTransportSecuritySeconds: nil,
            date: HTTPDate.text(unixSeconds: 0)
        ).rendered()
        #expect(!contains(answer, "s3cr"))
        let challenge = try #require(try ReadHead(answer).values("www-authenticate").first)
        #expect(challenge.hasPrefix("Bearer realm=\"tests\""))
        // RFC 6750 section 3.1: without credentials there is no error code.
        #expect(challenge.contains("error=\"invalid_request\"") == (status == 400))
    }

    @Test("two sources are refused, and a preflight is asked for no token")
    func edges() throws {
        let both = "GET /e?access_token=a HTTP/1.1\nHost: h\nCookie: session=b"
        #expect(try way().refusal(both)?.status == 400)
        let strict = way(missing: .refuse)
        #expect(try strict.refusal("OPTIONS /e HTTP/1.1\nHost: h\nOrigin: http://a\nAccess-Control-Request-Method: GET") == nil)
        for fields in ["", "\nOrigin: http://a", "\nAccess-Control-Request-Method: GET", "\nAuthorization:", "\nAuthorization: Bearer "] {
            #expect(try strict.refusal("OPTIONS /e HTTP/1.1\nHost: h" + fields)?.status == 401, "\(fields)")
        }
        #expect(try strict.refusal("GET /e HTTP/1.1\nHost: h\nOrigin: http://a\nAccess-Control-Request-Method: GET")?.status == 401)
        #expect(try strict.refusal("OPTIONS /e?access_token=%25 HTTP/1.1\nHost: h")?.status == 400)
    }

    @Test("TRACE carries neither a token nor a cookie nor Authorization, and passes nowhere where credentials are demanded")
    func trace() throws {
        let text = "TRACE /e?access_token=s3cr3t&a HTTP/1.1\nHost: h\nCookie: session=s3cr3t; a=b"
        let sent = try way().sent(text)
        #expect(sent.firstLine == "TRACE /e?a HTTP/1.1" && sent.values("authorization").isEmpty && sent.values("cookie").isEmpty)
        #expect(try way(missing: .refuse).refusal(text)?.status == 401)
        let own = text.replacing("access_token=s3cr3t&", with: "") + "\nAuthorization: Bearer own"
        #expect(try way().sent(own).values("authorization").isEmpty)
        #expect(try way(missing: .refuse).refusal(own)?.status == 401)
    }

    @Test("equal tokens have equal fingerprints wherever they came from, and no token has none")
    func fingerprints() throws {
        let query = try way().forwarded("GET /?access_token=abc HTTP/1.1\nHost: h")
        let cookie = try way().forwarded("GET / HTTP/1.1\nHost: h\nCookie: session=abc")
        let field = try way().forwarded("GET / HTTP/1.1\nHost: h\nAuthorization: Bearer abc")
        let other = try way().forwarded("GET /?access_token=abd HTTP/1.1\nHost: h")
        #expect(query.token?.fingerprint == cookie.token?.fingerprint && cookie.token?.fingerprint == field.token?.fingerprint)
        #expect(query.token?.fingerprint != other.token?.fingerprint)
        let none = try way().forwarded("GET / HTTP/1.1\nHost: h\nAuthorization: Basic abc")
        #expect(none.token?.fingerprint == nil && none.token?.origin == nil && !none.isBridged)
    }
}

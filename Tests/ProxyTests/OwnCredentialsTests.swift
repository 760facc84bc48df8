// What a server gets in place of what the client brought.

import Configuration
import Credentials
import Testing

@testable import Exchanges
@testable import Proxy

@Suite("A route with credentials of its own")
struct OwnCredentialsTests {
    private func way(
        _ authorization: ServerCredentials.Authorization, fields: [(String, String)] = [], sources: [TokenSource]? = [.query(name: "t")]
    ) -> Way {
        var credentials = ServerCredentials()
        credentials.authorization = authorization
        credentials.fields = fields.map { ServerCredentials.Field(name: $0, value: Array($1.utf8)) }
        var way = Way(bearer: sources.map { BearerPolicy(sources: $0 + [.cookie(name: "c")]) })
        way.serverCredentials = credentials
        return way
    }

    private static let requests = [
        "GET /e HTTP/1.1\nHost: h", "GET /e?t=abc HTTP/1.1\nHost: h", "GET /e HTTP/1.1\nHost: h\nCookie: c=abc; d=1",
        "GET /e HTTP/1.1\nHost: h\nAuthorization: Bearer abc", "POST /e HTTP/1.1\nHost: h\nAuthorization: Basic YTpi",
        "GET /e HTTP/1.1\nHost: h\nAuthorization: Bearer abc\nCookie: c=xyz",
    ]

    @Test("sends them in place of the client's", arguments: requests)
    func replaced(request: String) throws {
        let own = way(.value(Array("Basic b3du".utf8)))
        #expect(try own.sent(request).values("authorization") == ["Basic b3du"])
        #expect(try way(.remove).sent(request).values("authorization").isEmpty)
        #expect(try way(.remove, sources: nil).sent(request).values("authorization").isEmpty)
        let plain = try way(.pass, fields: [("X-A", "1")]).sent(request)
        var bridge = way(.pass)
        bridge.serverCredentials = nil
        let expected = try bridge.sent(request).values("authorization")
        #expect(plain.values("authorization") == expected && plain.values("x-a") == ["1"])
    }

    @Test("sends the client's token in another field, and nothing that is no token")
    func otherField() throws {
        let field = way(.field("X-Token"))
        let expected = [[], ["abc"], ["abc"], ["abc"], [], ["abc"]]
        for (request, values) in zip(OwnCredentialsTests.requests, expected) {
            let head = try field.sent(request)
            #expect(head.values("x-token") == values && head.values("authorization").isEmpty, "\(request)")
        }
        let twice = "GET /e HTTP/1.1\nHost: h\nAuthorization: Bearer abc\nAuthorization: Bearer xyz"
        let head = try way(.field("X-Token"), sources: nil).sent(twice)
        #expect(head.values("x-token").isEmpty && head.values("authorization").isEmpty)
    }

    @Test(
        "takes its fields from every client, however they are spelt",
        arguments: [
            "X-Service: eve", "x_service: eve", "X.SERVICE: eve", "X-Token: eve", "x_token: eve", "Connection: x-service\nX-Service: eve",
        ])
    func guarded(fields: String) throws {
        for isTrusted in [false, true] {
            var own = way(.field("X-Token"), fields: [("X-Service", "heartwire"), ("X-Key", "k")])
            own.isTrusted = isTrusted
            let head = try own.sent("GET /e?t=abc HTTP/1.1\nHost: h\n\(fields)")
            #expect(head.values("x-service") == ["heartwire"] && head.values("x-key") == ["k"] && head.values("x-token") == ["abc"])
            #expect(!head.fields.contains { $0.value.contains("eve") })
        }
    }

    @Test("sends no secret with TRACE, which a server repeats, and no credentials with a preflight")
    func otherMethods() throws {
        let own = way(.value(Array("Bearer s3cret".utf8)), fields: [("X-Key", "k")])
        let trace = try own.sent("TRACE /e HTTP/1.1\nHost: h\nX-Key: eve")
        #expect(trace.values("authorization").isEmpty && trace.values("x-key").isEmpty)
        let preflight = try own.sent("OPTIONS /e HTTP/1.1\nHost: h\nOrigin: http://a\nAccess-Control-Request-Method: PUT")
        #expect(preflight.values("authorization").isEmpty && preflight.values("x-key") == ["k"])
        #expect(try own.sent("OPTIONS /e HTTP/1.1\nHost: h").values("authorization") == ["Bearer s3cret"])
    }

    @Test("logs the client's token, and not the proxy's")
    func logged() throws {
        let own = way(.value(Array("Bearer s3cret".utf8)))
        let request = try own.forwarded("GET /e?t=abc HTTP/1.1\nHost: h")
        #expect(request.token?.origin == .query && request.urlHeldToken)
        #expect(try own.forwarded("GET /e HTTP/1.1\nHost: h").token == nil)
    }
}

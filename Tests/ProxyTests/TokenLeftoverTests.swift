// Copies of the token elsewhere in the request: the token reaches the server only in Authorization.

import Configuration
import Credentials
import HTTP
import Testing

@testable import Exchanges
@testable import Proxy

@Suite("A token that also stands elsewhere")
struct TokenLeftoverTests {
    private static let secret = "s3cr3t-T0ken_~+/=="
    private static let encoded = "s3cr3t-T0ken_~%2B%2F%3d="
    private static let nested = "s3cr3t-T0ken_~%252B%252F%253D%253D"
    private static let way = Way(bearer: BearerPolicy(sources: [.query(name: "access_token"), .cookie(name: "session")]), isTrusted: true)

    private static let query = "GET /e?x=1&access_token=\(encoded) HTTP/1.1\nHost: h"
    private static let cookie = "GET /e?x=1 HTTP/1.1\nHost: h\nCookie: a=1; session=\(secret)"

    private func sent(_ fields: String, begin: String) throws -> ReadHead {
        let sent = try TokenLeftoverTests.way.sent("\(begin)\n\(fields)")
        #expect(sent.values("authorization") == ["Bearer \(TokenLeftoverTests.secret)"])
        #expect(!([sent.firstLine] + sent.lines(except: ["authorization"])).contains { $0.contains("s3cr3t") }, "\(sent.lines())")
        return sent
    }

    @Test(
        "as a parameter of a URL is cut out of it, whatever the field is called",
        arguments: [
            "Referer", "X-Original-URI", "X-Original-URL", "X-Forwarded-Uri", "X-Envoy-Original-Path", "HX-Current-URL", "Ping-From",
            "Turbo-Frame",
            "X-Anything", "Origin", "User-Agent", "Forwarded",
        ])
    func urls(name: String) throws {
        for begin in [TokenLeftoverTests.query, TokenLeftoverTests.cookie] {
            for token in [TokenLeftoverTests.secret, TokenLeftoverTests.encoded] {
                let sent = try sent("\(name): http://h/p?y=2&access_token=\(token)&z=3#access_token=\(token)", begin: begin)
                #expect(sent.values(name.lowercased()) == ["http://h/p?y=2&z=3"])
            }
        }
    }

    @Test(
        "within any other longer text takes the field along",
        arguments: [
            "/login?next=%2Fe%3Faccess_token%3D\(nested)", "http://h/p?jwt=\(secret)&a", "{\"token\":\"\(secret)\"}",
            "/login?next=%252Fe%253Faccess_token%253Ds3cr3t%2DT0ken_~%25252B%25252F%25253D%25253D", "http://h/\(secret)",
            "s3cr3t-T0ken_~+/s3cr3t-T0ken_~+/==", "\(secret), /p?jwt=\(secret)", "/p?x=%20\(secret)", "/p?x=%2C\(secret)%20",
        ])
    func otherwise(value: String) throws {
        for begin in [TokenLeftoverTests.query, TokenLeftoverTests.cookie] {
            for name in ["X-Original-URI", "X-Debug", "Referer", "X-Auth-Token"] {
                let sent = try sent("X-Before: 1\n\(name): \(value)\nX-After: 2", begin: begin)
                #expect(sent.values(name.lowercased()).isEmpty, "\(name)")
                #expect(sent.values("x-before") == ["1"] && sent.values("x-after") == ["2"])
            }
        }
    }

    @Test(
        "as a whole value, list element or word is a credential of its own and stays",
        arguments: [
            secret, encoded, "Bearer \(secret)", "a, \(secret)", "\(secret),/b", "%73%33%63%72%33%74-T0ken_~+/==",
        ])
    func onItsOwn(value: String) throws {
        for begin in [TokenLeftoverTests.query, TokenLeftoverTests.cookie] {
            let sent = try TokenLeftoverTests.way.sent("\(begin)\nX-Access-Token: \(value)")
            #expect(sent.values("x-access-token") == [value])
            #expect(sent.values("authorization") == ["Bearer \(TokenLeftoverTests.secret)"])
        }
    }

    @Test(
        "does not take along a field without which the request is another one",
        arguments: [
            "Sec-WebSocket-Protocol: access_token, abcdefghijkl", "sec-websocket-protocol: v1.token=abcdefghijkl",
            "If-Match: \"abcdefghijkl\"",
            "If-None-Match: W/\"abcdefghijkl\"", "If-Range: \"abcdefghijkl\"", "Content-Type: multipart/form-data; boundary=abcdefghijkl",
            "Range: x=abcdefghijkl", "X-Csrf: abcdefghijkl-7",
        ])
    func needed(line: String) throws {
        let sent = try TokenLeftoverTests.way.sent("GET /e HTTP/1.1\nHost: h\nCookie: session=abcdefghijkl\n\(line)")
        #expect(sent.lines().contains { $0.lowercased() == line.lowercased() }, "\(sent.lines())")
        #expect(sent.values("authorization") == ["Bearer abcdefghijkl"])
    }

    @Test(
        "in the target goes with the parameter that repeats it, and the rest stays byte for byte",
        arguments: [
            ("/e?x=%20&access_token=\(encoded)&next=%2Fe%3Faccess_token%3D\(nested)&&y", "/e?x=%20&&y"),
            ("/e?access_token=\(encoded)&next=/p?access_token=\(encoded)", "/e?next=/p"),
            ("/e?jwt=\(secret)&access_token=\(encoded)", "/e"),
            ("/e?access_token=\(encoded)&s3cr3t-T0ken_~", "/e?s3cr3t-T0ken_~"),
        ])
    func targets(_ target: String, _ expected: String) throws {
        let sent = try TokenLeftoverTests.way.sent("GET \(target) HTTP/1.1\nHost: h")
        #expect(sent.firstLine == "GET \(expected) HTTP/1.1")
        #expect(sent.values("authorization") == ["Bearer \(TokenLeftoverTests.secret)"])
    }

    @Test("in a cookie with a name of the server's own, or in the id of an event, is the server's own matter")
    func kept() throws {
        let sent = try TokenLeftoverTests.way.sent(
            "\(TokenLeftoverTests.query)\nCookie: own=\(TokenLeftoverTests.secret)\nLast-Event-ID: \(TokenLeftoverTests.secret):7")
        #expect(
            sent.values("cookie") == ["own=\(TokenLeftoverTests.secret)"]
                && sent.values("last-event-id") == ["\(TokenLeftoverTests.secret):7"])
    }

    @Test("is not taken for what is only like it")
    func unlike() throws {
        let lines = [
            "X-A: s3cr3t-T0ken_~+/=", "X-B: S3CR3T-T0KEN_~+/==", "Referer: http://h/?y=access_token=1", "X-C: access_token",
            "X-D: 100%25 %zz %2",
        ]
        let sent = try TokenLeftoverTests.way.sent("\(TokenLeftoverTests.query)\n\(lines.joined(separator: "\n"))")
        for line in lines { #expect(sent.lines().contains(line)) }
        // Seven bytes are in many texts by chance, and are no secret.
        let short = try TokenLeftoverTests.way.sent("GET /e?access_token=gzip HTTP/1.1\nHost: h\nAccept-Encoding: gzip\nX-A: gzip")
        #expect(short.values("accept-encoding") == ["gzip"] && short.values("x-a") == ["gzip"])
    }

    @Test("is cut out of URLs by its name too where no token is bridged")
    func unbridged() throws {
        let sent = try TokenLeftoverTests.way.sent(
            """
            GET /e HTTP/1.1\nHost: h\nAuthorization: Bearer own\nHX-Current-URL: http://h/p?access_token=old\n\
            Referer: http://h/p#access_token=old
            """
        )
        #expect(sent.values("hx-current-url") == ["http://h/p"] && sent.values("referer") == ["http://h/p"])
        #expect(sent.values("authorization") == ["Bearer own"])
        let without = try Way(isTrusted: true).sent("GET /e HTTP/1.1\nHost: h\nX-Original-URI: /p?access_token=x")
        #expect(without.values("x-original-uri") == ["/p?access_token=x"])
    }

    @Test("does not reach the server in a second Referer")
    func secondReferer() throws {
        let way = Way(bearer: BearerPolicy(sources: [.query(name: "access_token")]))
        let sent = try way.sent("GET /e?access_token=tok HTTP/1.1\nHost: h\nReferer: http://h/\nReferer: http://h/?access_token=tok")
        #expect(!sent.lines(except: ["authorization"]).contains { $0.contains("tok") })
    }
}

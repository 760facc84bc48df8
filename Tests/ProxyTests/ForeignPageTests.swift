// A token in a cookie, in a request that a page of another origin made.

import Configuration
import Credentials
import Testing

@testable import Exchanges
@testable import Proxy

@Suite("A token in a cookie, sent by a page")
struct ForeignPageTests {
    private func status(
        _ fields: String, method: String = "POST", way change: (inout Way) throws -> Void = { _ in }
    ) throws -> Int? {
        var way = Way(bearer: BearerPolicy(sources: [.query(name: "t"), .cookie(name: "session")]))
        try change(&way)
        return try way.refusal("\(method) /e HTTP/1.1\nHost: app.example:8080\nCookie: session=abc\n\(fields)")?.status
    }

    @Test(
        "of another origin is refused, except GET and HEAD",
        arguments: [
            "Origin: http://evil.example", "Origin: null", "Origin: http://app.example", "Origin: http://app.example:8081",
            "Origin: http://app.example:8080.evil.example", "Origin: http://evil.example/app.example:8080",
            "Origin: http://app.example:8080\nOrigin: http://app.example:8080",
            "Origin: http://app.example:+8080", "Origin: http://app.example:99999999999999999999", "Origin:", "Origin: app.example:8080",
            "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Sec-Fetch-Site:",
            "Sec-Fetch-Site: same-origin\nSec-Fetch-Site: cross-site",
            "Origin: http://app.example:8080\nSec-Fetch-Site: cross-site",
            "Origin: http://evil.example\nX-Forwarded-Host: evil.example",
        ])
    func foreign(fields: String) throws {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"] {
            #expect(try status(fields, method: method) == 403, "\(method)")
        }
        for method in ["GET", "HEAD"] {
            #expect(try status(fields, method: method) == nil, "\(method)")
            #expect(try status(fields + "\nConnection: upgrade\nUpgrade: websocket", method: method) == 403, "\(method)")
        }
    }

    @Test(
        "of its own origin, or of none, passes",
        arguments: [
            "", "Origin: http://app.example:8080", "ORIGIN: HTTP://APP.EXAMPLE:8080", "Sec-Fetch-Site: same-origin", "sec-fetch-site: none",
            "Origin: http://app.example:8080\nSec-Fetch-Site: same-origin", "Origin: https://app.example:8080\nSec-Fetch-Site: same-origin",
            "Origin: null\nSec-Fetch-Site: same-origin", "Origin: https://name.before.the.hop\nSec-Fetch-Site: same-origin",
            "Origin: https://app.example:8080",
        ])
    func own(fields: String) throws {
        for method in ["POST", "OPTIONS", "GET"] { #expect(try status(fields, method: method) == nil, "\(method)") }
        #expect(try status(fields + "\nConnection: upgrade\nUpgrade: websocket", method: "GET") == nil)
    }

    @Test("is what the route allows")
    func allowed() throws {
        let patterns = [try #require(OriginPattern("https://other.example")), try #require(OriginPattern("https://*.trusted.example"))]
        for (origin, expected) in [
            ("https://other.example", nil), ("https://a.trusted.example", nil), ("https://trusted.example", 403),
            ("http://other.example", 403),
        ] as [(String, Int?)] {
            for site in ["", "\nSec-Fetch-Site: cross-site"] {
                #expect(try status("Origin: \(origin)" + site) { $0.allowedOrigins = patterns } == expected, "\(origin)")
            }
        }
        #expect(try status("Sec-Fetch-Site: cross-site") { $0.allowedOrigins = patterns } == 403)
    }

    @Test("is not what a route allows that allows no credentials")
    func withoutCredentials() throws {
        let patterns = [try #require(OriginPattern("https://other.example"))]
        for (allows, expected) in [(true, nil), (false, 403)] as [(Bool, Int?)] {
            #expect(
                try status("Origin: https://other.example") {
                    $0.allowedOrigins = patterns
                    $0.allowsCredentials = allows
                } == expected)
        }
    }

    @Test("knows its own origin by what the client sees, from trusted proxies only")
    func forwarded() throws {
        let fields = "X-Forwarded-Proto: https, http\nX-Forwarded-Host: site.example, b\nOrigin: "
        #expect(try status(fields + "https://site.example") { $0.isTrusted = true } == nil)
        #expect(try status(fields + "http://site.example") { $0.isTrusted = true } == 403)
        #expect(try status(fields + "http://site.example\nSec-Fetch-Site: same-origin") { $0.isTrusted = true } == nil)
        #expect(try status(fields + "http://app.example:8080") { $0.isTrusted = true } == 403)
        #expect(try status(fields + "https://site.example:8443\nX-Forwarded-Port: 8443") { $0.isTrusted = true } == nil)
        #expect(try status(fields + "https://site.example:8443") { $0.isTrusted = true } == 403)
        #expect(try status(fields + "https://site.example") == 403)
        #expect(try status("Origin: https://app.example:8080") { $0.isSecured = true } == nil)
        #expect(try status("Origin: http://app.example:8080") { $0.isSecured = true } == 403)
        #expect(try status("X-Forwarded-Proto: https\nX-Forwarded-Host: h:443\nOrigin: https://h") { $0.isTrusted = true } == nil)
    }

    @Test("matters only where the token in use came by cookie")
    func otherTokens() throws {
        let foreign = "POST /e HTTP/1.1\nHost: h\nOrigin: http://evil.example\n"
        let way = Way(bearer: BearerPolicy(sources: [.query(name: "t"), .cookie(name: "session")]))
        #expect(try way.refusal(foreign) == nil)
        #expect(try way.refusal(foreign + "Authorization: Bearer a") == nil)
        #expect(try way.refusal(foreign + "Authorization: Bearer a\nCookie: session=abc") == nil)
        #expect(try way.refusal(foreign + "Cookie: other=abc; session=") == nil)
        #expect(try way.refusal(foreign + "Cookie: session=s%3Asigned") == nil)
        #expect(try way.refusal(foreign.replacing("/e", with: "/e?t=abc")) == nil)
        #expect(try Way().refusal(foreign + "Cookie: session=abc") == nil)
        let preflight =
            "OPTIONS /e HTTP/1.1\nHost: h\nOrigin: http://evil.example\nAccess-Control-Request-Method: POST\nCookie: session=abc"
        #expect(try way.sent(preflight).values("authorization").isEmpty)
        let bridged = Way(bearer: BearerPolicy(sources: [.cookie(name: "session")], onConflict: .preferBridged))
        #expect(try bridged.refusal(foreign + "Authorization: Bearer a\nCookie: session=abc")?.status == 403)
    }
}

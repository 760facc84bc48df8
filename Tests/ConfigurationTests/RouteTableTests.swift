// Which route a request takes.

import Credentials
import Testing

@testable import Configuration

extension RouteTable {
    func match(host: String, path: String) -> Int? { match(host: Array(host.utf8).span, path: Array(path.utf8).span) }
}

private let token = BearerPolicy(sources: [.query(name: "t")])

/// A table of routes that all lead to different upstreams, so that no two are equivalent.
private func table(_ patterns: [String]) throws -> RouteTable {
    RouteTable(
        try patterns.enumerated().map { index, text in
            let pattern = try Pattern.read(text)
            return Route(name: text, host: pattern.host, path: pattern.path, upstreamIndex: index)
        })
}

@Suite("A request's route")
struct RouteTableTests {
    private static let specific = [
        "/*", "/events/*", "/events/private/*", "/events/private/one", "*.example.com/*", "*.b.example.com/events/*",
        "a.example.com/*", "a.example.com/events/*", "a.example.com/events", "[::1]/*",
    ]

    @Test(
        "is the most specific one, whatever the order",
        arguments: [
            ("other.org", "/", "/*"),
            ("", "/x", "/*"),
            ("other.org", "/events/1", "/events/*"),
            ("other.org", "/events/private/1", "/events/private/*"),
            ("other.org", "/events/private/one", "/events/private/one"),
            ("other.org", "/events/private/one/more", "/events/private/*"),
            ("x.example.com", "/events/private/one", "*.example.com/*"),
            ("example.com", "/x", "/*"),
            ("a.example.com", "/x", "a.example.com/*"),
            ("A.Example.COM:8443", "/events/x", "a.example.com/events/*"),
            ("a.example.com.", "/events", "a.example.com/events"),
            ("x.b.example.com", "/events/x", "*.b.example.com/events/*"),
            ("x.b.example.com", "/other", "*.example.com/*"),
            ("[::1]:8080", "/x", "[::1]/*"),
            ("notexample.com", "/x", "/*"),
            (".example.com", "/x", "/*"),
        ])
    func mostSpecific(host: String, path: String, expected: String) throws {
        for patterns in [Self.specific, Self.specific.reversed(), Self.specific.sorted()] {
            let found = try table(patterns).match(host: host, path: path)
            #expect(found.map { patterns[$0] } == expected)
        }
    }

    @Test(
        "with /events/* is for /events and what is below it, not for what begins alike",
        arguments: [
            ("/events", true), ("/events/", true), ("/events/a/b", true), ("/events?x=1", true), ("/events/?/../..", true),
            ("/events-old", false), ("/event", false), ("/", false), ("", false), ("*", false), ("/eventsx/a", false),
        ])
    func prefix(path: String, isMatch: Bool) throws {
        #expect(try table(["/events/*"]).match(host: "h", path: path) == (isMatch ? 0 : nil))
    }

    @Test("with /* is for every path, however strange", arguments: ["", "*", "/", "//", "/a/../../b", "/%2F;x\\", "/%zz%", "%", "/..;/"])
    func everything(path: String) throws {
        #expect(try table(["/*"]).match(host: "h", path: path) == 0)
    }

    @Test("takes an escaped letter for the letter", arguments: ["/%65vents/1", "/events%2D1/..%2ea", "/caf%C3%A9/x", "/caf%c3%a9/x"])
    func escapes(path: String) throws {
        let found = try table(["/*", "/events/*", "/café/*"]).match(host: "h", path: path)
        #expect(found == (path.hasPrefix("/caf") ? 2 : path.hasPrefix("/%65") ? 1 : 0))
    }

    @Test(
        "is none where servers could read the path as one of a guarded and of an open route",
        arguments: [
            "//events/1", "/a/../events/1", "/a/%2e%2e/events/1", "/./events", "/events/../x", "/events;x=1/1", "/a/..;/events",
            "/%2Fevents/1",
            "/events%2F1", "/a\\..\\events", "/EVENTS/1", "/events%5C1", "/x/..%2Fevents/", "/;\\events", "/;%2fevents", "/a%3B/../events",
            "/events%0A", "/events%00", "/events%00.js", "/events%0D%0A/1", "/events%7F", "/eve%09nts", "/events.", "/events../",
            "/events%20",
            "/%20events/1", "/events%20./", "/events%2E", "/events%3F", "/events%3Fx=1", "/events%23x", "/events;%3Fx", "/ev%FFents/1",
            "/events%E3%81",
            "/event%C5%BF/1", "/EVENT%C5%BF", "/%C0%AFevents", "/events%C0%AF", "/%E0%80%AFevents", "/%2565vents", "/%252565vents/1",
            "/%25%36%35vents",
            "/%%36%35vents", "/%25252565vents", "/events%252f1", "/events%253Fx", "/events%250A", "/x/%252e%252e/events", "/..%20/events",
            "/..%FF/events",
            "/%2525252525252565vents", "/events%3B", "//events;%252Fx", "/events%C2%A0", "/%E2%80%A8events/1", "/events%EF%BB%BF%20.",
            "/..%ED%A0%80/events", "/ev%ED%A0%80ents", "/ev%F4%90%80%80ents", "/.%FF.%C2%A0/events",
            "/events%0A%09.", "/events%0Ax", "/%09events", "/%6%0A5vents", "/%256%250A5vents", "/event%C5%0A%BF", "/.%0A./events",
            "/events%01/x", "/x/..%0A/events", "/x/..%0Ay", "/events;%0A", "/q/a%00b", "/%C0%0A%AFevents", "/%09%2Fevents", "/q/a%2500b",
        ])
    func ambiguous(path: String) {
        let routes = RouteTable([
            Route(name: "/*", upstreamIndex: 0),
            Route(name: "/events/*", path: .prefix("/events/"), upstreamIndex: 0, bearer: token),
        ])
        #expect(routes.match(host: "h", path: path) == nil)
        let isAmbiguous = routes.isAmbiguous(host: Array("h".utf8).span, path: Array(path.utf8).span)
        #expect(isAmbiguous)
    }

    @Test(
        "is found for odd paths that no server takes for a guarded one",
        arguments: [
            "/caf%E9", "/caf%C3%A9/x.", "/a%20b", "/wiki/C%23", "/what%3F", "/100%25", "/100%25%20wool", "/http%253A%252F%252Fh",
            "/x%2520y", "/v1.2/a.tar.gz",
            "/eventsource", "/events.js", "/a/events", "/%25", "/%", "/a;b", "/A/b\\c", "/%C3%80/",
            "/wiki/%D0%90.%D0%A1.%D0%9F%D1%83%D1%88%D0%BA%D0%B8%D0%BD", "/f/%D0%BE%D1%82%D1%87%D1%91%D1%82.%D0%B4%D0%BE%D0%BA",
            "/f/%E6%9D%B1%E4%BA%AC.%E5%A4%A7%E9%98%AA", "/wiki/%D0%9F.", "/..%C3%A9/x", "/%F0%9F%8C%8A.",
            "/search/a%0Ab", "/q/a%09b", "/q/a%0D%0A%0D%0Ab%7F%01", "/q/a%250Ab", "/q/100%25%0A", "/q%0A/events", "/%0A", "/x%1F",
        ])
    func odd(path: String) {
        let routes = RouteTable([
            Route(name: "/*", upstreamIndex: 0),
            Route(name: "/events/*", path: .prefix("/events/"), upstreamIndex: 0, bearer: token),
        ])
        #expect(routes.match(host: "h", path: path) == 0)
    }

    @Test("can be written with letters beyond ASCII around a dot", arguments: ["/отчёт.док", "/А.С.Пушкин/*", "/東京.大阪"])
    func lettersAndDots(text: String) throws {
        let routes = try table(["/*", text])
        #expect(routes.match(host: "h", path: text.replacing("/*", with: "/x")) == 1)
    }

    @Test("is none where a reading leads to a route that trusts other pages")
    func trustedPages() throws {
        let trusted = [try OriginPattern.read("https://a.example")]
        let routes = RouteTable([
            Route(name: "/*", upstreamIndex: 0, bearer: token),
            Route(name: "/a/*", path: .prefix("/a/"), upstreamIndex: 0, bearer: token, allowedOrigins: trusted),
        ])
        #expect(routes.match(host: "h", path: "//a/1") == nil)
        #expect(routes.match(host: "h", path: "//b/1") == 0)
    }

    @Test("is none where only some readings of the path lead to a route at all")
    func notEvenOpen() throws {
        let routes = try table(["/public/*"])
        #expect(routes.match(host: "h", path: "/public/../private") == nil)
        #expect(routes.match(host: "h", path: "/public/..;/private") == nil)
        #expect(routes.match(host: "h", path: "/public/..%2fprivate") == nil)
        #expect(routes.match(host: "h", path: "/public/a/../b") == nil)
        #expect(routes.match(host: "h", path: "/public/a%2Fb//c") == 0)
        #expect(routes.match(host: "h", path: "/public/a;b") == 0)
    }

    @Test("is found for an ambiguous path where all readings lead to the same upstream under the same rules")
    func harmless() {
        let routes = RouteTable([
            Route(name: "/*", upstreamIndex: 0),
            Route(name: "/a/*", path: .prefix("/a/"), upstreamIndex: 0, heartbeat: HeartbeatPolicy(intervalMilliseconds: nil)),
            Route(name: "/b/*", path: .prefix("/b/"), upstreamIndex: 1),
        ])
        #expect(routes.match(host: "h", path: "/x//y;z/a") == 0)
        #expect(routes.match(host: "h", path: "/x//y/a%2Fb") == 0)
        #expect(routes.match(host: "h", path: "//a/1") == 0)
        #expect(routes.match(host: "h", path: "//b/1") == nil)
        // With a dot segment even the route for another upstream counts.
        #expect(routes.match(host: "h", path: "/x/../a/1") == nil)
    }

    @Test("tells a slash at the end and upper case apart only if both have routes")
    func lenientTwins() throws {
        let single = try table(["/*", "/stream"])
        #expect(single.match(host: "h", path: "/stream") == 1)
        #expect(single.match(host: "h", path: "/stream/") == nil)
        #expect(single.match(host: "h", path: "/Stream") == nil)
        let twins = try table(["/a/*", "/A/*"])
        #expect(twins.match(host: "h", path: "/a/x") == 0)
        #expect(twins.match(host: "h", path: "/A/x") == 1)
    }

    @Test("is none where there are no routes")
    func empty() { #expect(RouteTable([]).match(host: "h", path: "/") == nil) }
}

@Suite("A reading of a path")
struct PathReadingTests {
    @Test(
        "is as servers read it",
        arguments: [
            ("/a/b", "/a/b", "/a/b"),
            ("/a//b/./c/../d", "/a//b/./c/../d", "/a/b/c/d"),
            ("/%61%2f%25%zz%", "/a%2F%25%zz%", "/a/%25%zz%"),
            ("/a;x=1/b;y", "/a;x=1/b;y", "/a/b"),
            ("/a;x/;y/b\\c", "/a;x/;y/b\\c", "/a/b/c"),
            ("/%252e%252e/a", "/%252e%252e/a", "/%252e%252e/a"),
            ("/a./b%20/%20c.%20", "/a./b / c. ", "/a/b/c"),
            ("/a%3Fb/c", "/a?b/c", "/a"), ("/a%23b", "/a#b", "/a"), ("/a%20;x/b", "/a ;x/b", "/a/b"),
            ("/%C5%BFa%E2%84%AA", "/ſa\u{212A}", "/sak"),
            ("/...", "/...", "/"), ("/%C2%A0a%E3%80%80./", "/\u{A0}a\u{3000}./", "/a/"),
            ("*", "*", "*"),
            ("", "", ""),
        ])
    func readings(path: String, literal: String, lenient: String) {
        let bytes = Array(path.utf8)
        let asWritten = PathReading.literal(bytes.span)
        let asForgiven = PathReading.lenient(bytes.span)
        #expect(asWritten == Array(literal.utf8))
        #expect(asForgiven == Array(lenient.utf8))
        if PathReading.isPlain(bytes.span) { #expect(path == literal && path == lenient) }
    }

    @Test("is unpredictable with dot segments or doubtful parameters, in every spelling, and only then")
    func unforeseeable() {
        func isUnforeseeable(_ path: String) -> Bool { PathReading.isUnforeseeable(Array(path.utf8).span) }
        for path in [
            "/.", "/..", "/a/../b", "/%2e/", "/.%2E", "/a\\..\\b", "/a%2f..", "/a/..;x", "/a/;../b", "/a%5C.%3b", "/a;b\\c", "/a;b%2Fc",
            "/a%2fb;c",
            "/a%00", "/.%1f", "/%7F..", "/.%0A.", "/a;b%3F", "/a%23;b", "/%20../", "/..%20", "/..%FF/", "/%C0%AE", "/%e0%80%af",
            "/%F0%80%80%AF", "/..%3Fx",
            "/a%3bb\\", "/a;b%3B", "/.%C2%A0", "/.%ED%BF%BF.", "/%C3.%D0/", "/%F5%80%80%80..",
        ] {
            #expect(isUnforeseeable(path), "\(path)")
            let bytes = Array(path.utf8)
            let isPlain = PathReading.isPlain(bytes.span)
            #expect(!isPlain, "\(path)")
        }
        for path in [
            "", "/", "/...", "/.a", "/a.", "/.well-known/x", "/a..b/", "/%252e/", "/.%2", "//", "/a;b/c;d", "/a%3Bb", "/a%2Fb\\c%5c",
            "/a%20b", "/%C3%80", "/%C0", "/a%3Fb", "/%20", "/%1f", "/%7Fa", "/%D0%9F.", "/..%C3%A9", "/П.", "/東京.大阪",
        ] {
            #expect(!isUnforeseeable(path), "\(path)")
        }
    }
}

@Suite("The spellings of a path")
struct PathSpellingsTests {
    @Test(
        "are the path itself, decoded once more, cut at a control character and without control characters",
        arguments: [
            ("/a%20b", ["/a%20b"]), ("/a%0Ab%09c", ["/a%0Ab%09c", "/a", "/abc"]), ("/a%250Ab", ["/a%250Ab", "/a%0Ab", "/a", "/ab"]),
            ("/%6%7F1", ["/%6%7F1", "/%6", "/%61"]), ("/%2525252525", nil),
        ] as [(String, [String]?)])
    func found(path: String, expected: [String]?) {
        let spellings = PathReading.spellings(Array(path.utf8).span)
        #expect(spellings?.map { String(decoding: $0, as: UTF8.self) } == expected)
    }
}

@Suite("A path decoded more than once")
struct SinglyEscapedTests {
    @Test(
        "is the inner escapes, however deep",
        arguments: [
            ("/a%20b%2F", "/a%20b%2F"), ("/%2565", "/%65"), ("/%252565", "/%65"), ("/%25%36%35", "/%65"), ("/%%36%35", "/%65"),
            ("/%252%35%36", "/%25%36"),
            ("/%25", "/%25"), ("/%25zz%25", "/%25zz%25"), ("%", "%"), ("/%25252565", "/%65"), ("/%2525252565", nil),
            ("/100%25%20", "/100%25%20"),
        ] as [(String, String?)])
    func inner(path: String, expected: String?) {
        let result = PathReading.singlyEscaped(Array(path.utf8).span)
        #expect(result.map { String(decoding: $0, as: UTF8.self) } == expected)
    }
}

@Suite("A range of addresses")
struct AddressRangeTests {
    private func contains(_ range: String, _ address: [UInt8]) -> Bool? { AddressRange(range)?.contains(address.span) }

    @Test("contains what its prefix says, at the edges too")
    func edges() {
        #expect(contains("10.0.0.0/8", [10, 255, 255, 255]) == true)
        #expect(contains("10.0.0.0/8", [11, 0, 0, 0]) == false)
        #expect(contains("0.0.0.0/0", [255, 1, 2, 3]) == true)
        #expect(contains("192.0.2.7", [192, 0, 2, 7]) == true)
        #expect(contains("192.0.2.7/32", [192, 0, 2, 8]) == false)
        #expect(contains("2001:db8::/33", [0x20, 1, 0xd, 0xb8, 0x7f, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255]) == true)
        #expect(contains("2001:db8::/33", [0x20, 1, 0xd, 0xb8, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) == false)
        #expect(contains("::/0", [UInt8](repeating: 9, count: 16)) == true)
    }

    @Test("takes an IPv4 address and its IPv4-mapped form for the same client")
    func mapped() {
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3]
        #expect(contains("10.0.0.0/8", mapped) == true)
        #expect(contains("::ffff:10.0.0.0/104", [10, 9, 9, 9]) == true)
        #expect(contains("10.0.0.0/8", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 1, 2, 3]) == false)
        #expect(contains("0.0.0.0/0", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]) == false)
    }

    @Test("contains only addresses", arguments: [0, 3, 5, 15, 17])
    func otherLengths(count: Int) { #expect(contains("::/0", [UInt8](repeating: 0, count: count)) == false) }

    @Test(
        "is refused where it is none",
        arguments: [
            "", "/", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/+8", "::/129", "::1/64", "10.0.0", "a/8",
            "10.0.0.0/8/8", "010.0.0.0/8",
        ])
    func malformed(text: String) { #expect(AddressRange(text) == nil) }
}

// Every kind of error, at its exact place.

import Testing

@testable import Configuration

@Suite("A mistake")
struct ErrorTests {
    /// A text, and the beginning of the one diagnostic that it must have.
    typealias Case = (text: String, expected: String)

    private static func check(_ one: Case) {
        let found = brief(diagnostics(one.text))
        #expect(found.count == 1, "\(one.text)\n\(found)")
        #expect(found.first?.hasPrefix(one.expected) == true, "\(one.text)\n\(found)")
    }

    private static func route(_ line: String) -> String { "listen a:1\nroute /* {\n upstream b:2\n \(line)\n}" }
    private static func upstream(_ line: String) -> String {
        "listen a:1\nroute /* {\n upstream u\n}\nupstream u {\n server b:2\n \(line)\n}"
    }
    private static func top(_ line: String) -> String { "listen a:1\nroute /* {\n upstream b:2\n}\n\(line)" }

    @Test(
        "in words and quotes is told where it is",
        arguments: [
            (top("realm \"abc"), "5:7 this quote is not closed"),
            (top("stream_log \"a\\nb\""), "5:14 unknown escape"),
            (top("stream_log \"a\"b"), "5:15 a blank is missing after the closing quote"),
            (top("stream_log a\"b"), "5:13 a quote can only begin a word"),
            (top("stream_log a{"), "5:13 '{' needs blanks around it"),
            (top("stream_log {a"), "5:12 '{' needs blanks around it"),
            (top("stream_log a}"), "5:13 '}' needs blanks around it"),
            (top("stream_log a\u{1b}b"), "5:13 a control character (U+001B)"),
            (top("stream_log a\u{202e}b"), "5:13 a control character (U+202E)"),
            (top("stream_log a\rb"), "5:13 a control character (U+000D)"),
            (top("stream_log {$"), "5:12 the variable is not closed"),
            (top("stream_log é{$A"), "5:13 the variable is not closed"),
            (top("stream_log {$}"), "5:12 '' is not the name of an environment variable"),
            (top("stream_log {$1a}"), "5:12 '1a' is not the name of an environment variable"),
            (top("stream_log \"x{$NOT_SET}\""), "5:14 the environment variable NOT_SET is not set; write {$NOT_SET:default}"),
        ] as [Case])
    func words(_ one: Case) { Self.check(one) }

    @Test("that is not UTF-8 is reported at its place")
    func encoding() {
        let errors = #expect(throws: ConfigurationErrors.self) {
            try ConfigurationFile.parse(Array("listen a:1\nabc ".utf8) + [0xff, 0x0a], fileName: "f") { _ in nil }
        }
        #expect(brief(errors?.diagnostics ?? []) == ["2:5 this is not UTF-8 text"])
    }

    @Test("that the environment makes is reported at the variable")
    func environment() {
        let text = "listen {$A}\nroute /* {\n upstream b:2\n}"
        #expect(brief(diagnostics(text, environment: ["A": "x"])) == ["1:8 'x' has no port; write HOST:PORT"])
        #expect(brief(diagnostics(text, environment: ["A": "a\nb"])) == ["1:8 the environment variable A holds a control character"])
        #expect(brief(diagnostics(text, environment: ["A": ""])).first?.hasPrefix("1:8 '' has no port") == true)
    }

    @Test(
        "in braces is told where it is",
        arguments: [
            (top("}"), "5:1 this '}' closes nothing"),
            (top("limits {\n} x"), "6:3 a '}' stands alone on its line"),
            (top("limits { connections 1 }"), "5:8 a '{' is the last word of its line"),
            (top("limits {\nconnections 1 }\n}"), "6:15 a '}' stands alone on its line"),
            (top("{\n}"), "5:1 this '{' follows no directive"),
            (top("limits {"), "5:1 the block of 'limits' is not closed"),
            (top("limits"), "5:1 'limits' needs a block; write: limits { ... }"),
            (top("grace 1s {\n}"), "5:1 'grace' has no block; write: grace DURATION"),
            (top("a {\nb {\nc {\nd {\ne {"), "9:3 blocks are nested too deeply"),
        ] as [Case])
    func braces(_ one: Case) {
        if one.text.hasSuffix("e {") {
            // The blocks are not read any more, and the missing listener is not reported either.
            #expect(brief(diagnostics(one.text)).contains { $0.hasPrefix(one.expected) })
        } else {
            Self.check(one)
        }
    }

    @Test(
        "in a directive is told where it is",
        arguments: [
            (top("lissten b:1"), "5:1 unknown directive 'lissten' at the top level; did you mean 'listen'?"),
            (top("banana"), "5:1 unknown directive 'banana' at the top level; known here: listen, upstream,"),
            (top("\"grace\" 1s"), "5:1 unknown directive 'grace' at the top level; did you mean 'grace'?"),
            (top("heartbeat 1s"), "5:1 'heartbeat' belongs in a 'route' block, not at the top level"),
            (top("connect_timeout 1s"), "5:1 'connect_timeout' belongs in an 'upstream' block, not at the top level"),
            (route("listen b:1"), "4:2 'listen' belongs at the top level, not in a 'route' block"),
            (top("request_head 1"), "5:1 'request_head' belongs in a 'limits' block or in a 'timeouts' block, not at the top level"),
            (top("grace 1s\ngrace 2s"), "6:1 'grace' is already said on line 5"),
            (top("grace"), "5:1 'grace' needs more; write: grace DURATION"),
            (top("grace 1s 2s"), "5:10 this is one word too many for 'grace'; write: grace DURATION"),
            (top("grace 2h"), "5:7 '2h' is out of range; it may be from 0s to 1h"),
            (top("workers two"), "5:9 'two' is not a whole number; it may be from 0 to 1024"),
            (top("workers 1.5"), "5:9 '1.5' is too large or not a whole number"),
            (top("limits {\nrequest_head 1023\n}"), "6:14 '1023' is out of range; it may be from 1KiB to 1MiB"),
            (top("limits {\nrequest_head 16KB\n}"), "6:14 '16KB' is not a size"),
            (
                top("limits {\nrequest_target 17KiB\n}"),
                "6:16 a request target cannot be larger than a request head (request_head is 16KiB)"
            ),
            (top("timeouts {\nkeep_alive 5d\n}"), "6:12 '5d' is not a duration"),
            (top("stream_log stdot"), "5:12 did you mean 'stdout'? For a file of that name, write \"stdot\" in quotes"),
            (top("stream_log \"\""), "5:12 the name of the file is empty"),
            (top("fingerprint_key short"), "5:17 the key has 5 bytes; it needs 16 to 256"),
            (top("trusted_proxies 10.0.0.0/8 10.0.0.1/8"), "5:28 '10.0.0.1/8' is not a range of addresses"),
            ("route /* {\n upstream b:2\n}", "3:1 there is no 'listen' directive"),
            ("listen a:1", "1:1 there is no 'route'"),
        ] as [Case])
    func directives(_ one: Case) { Self.check(one) }

    @Test(
        "in an address is told where it is",
        arguments: [
            (top("listen b:1 a:1"), "5:12 a:1 is already listened on, line 1"),
            (top("listen 8080"), "5:8 '8080' has no host; write 127.0.0.1:8080, or *:8080"),
            (top("listen a:0"), "5:8 'a:0': the port must be a number from 1 to 65535"),
            (top("listen a:65536"), "5:8 'a:65536': the port must be a number"),
            (top("listen a:+80"), "5:8 'a:+80': the port must be a number"),
            (top("listen ::1:80"), "5:8 '::1:80': write an IPv6 address in brackets"),
            (top("listen [::1:80"), "5:8 '[::1:80': the bracket around the IPv6 address is not closed"),
            (top("listen [::g]:80"), "5:8 '::g' is not an IPv6 address"),
            (top("listen [a]:80"), "5:8 '[a]:80': brackets are for IPv6 addresses only"),
            (top("listen 127.0.0.256:80"), "5:8 '127.0.0.256' is not an IPv4 address"),
            (top("listen http://b:1"), "5:8 'http://b:1' is a URL"),
            (top("listen -b:1"), "5:8 '-b' cannot be the name of a host"),
            (top("listen bü:1"), "5:8 'bü' cannot be the name of a host; write an international name in its xn-- form"),
            (upstream("server c"), "7:9 'c' has no port"),
            (upstream("server c:1 b:2"), "7:13 the server b:2 is named twice"),
            (upstream("server https://c"), "7:9 the servers of one upstream are all http:// or all https://"),
            (upstream("server ftp://c"), "7:9 'ftp://c': the scheme 'ftp' is not supported"),
            (upstream("server http://u:p@c"), "7:9 a server's address cannot hold a user name or a password"),
            (upstream("server http://c/x"), "7:9 a server's address cannot hold a path ('/x')"),
            (upstream("server c:1?x"), "7:9 a server's address cannot hold a path ('?…')"),
            (upstream("server *:1"), "7:9 '*:1' names no host"),
            (upstream("server http://"), "7:9 'http://' names no host"),
            (upstream("server unix:app.sock"), "7:9 'unix:app.sock' names no UNIX socket; write unix:/PATH"),
            (upstream("server unix://run/app.sock"), "7:9 'unix://run/app.sock' names no UNIX socket"),
            (upstream("server unix:"), "7:9 'unix:' names no UNIX socket"),
            (upstream("server unix:@"), "7:9 'unix:@' names no UNIX socket"),
            (upstream("server unix:/run/"), "7:9 'unix:/run/' names no UNIX socket"),
            (
                upstream("server unix:/\(String(repeating: "x", count: 107))"),
                "7:9 the path of a UNIX socket has 108 bytes; at most 107 are possible"
            ),
            (upstream("server unix:/run/a unix:///run/a"), "7:21 the server unix:/run/a is named twice"),
            (upstream("server https://unix:/run/a"), "7:9 a UNIX socket is spoken to in plain HTTP"),
            (top("upstream v {\nserver https://c unix:/run/a\n}"), "6:18 the servers of one upstream are all http:// or all https://"),
            (top("listen unix:/run/a"), "5:8 'unix:/run/a': clients are accepted over TCP only"),
            (top("listen b:1 {\nproxy_protocol yes\n}"), "6:16 'yes' is none of on, off"),
        ] as [Case])
    func addresses(_ one: Case) { Self.check(one) }

    @Test(
        "in an upstream or a route is told where it is",
        arguments: [
            (upstream("balance random"), "7:10 'random' is none of round_robin, least_connections"),
            (upstream("stream_silence_timeout 1ms"), "7:25 '1ms' is out of range; it may be from 100ms to 24h"),
            (top("upstream u {\n}"), "5:10 upstream 'u' has no server"),
            (top("upstream a.b {\nserver c:1\n}"), "5:10 'a.b' cannot name an upstream"),
            (upstream("}\nupstream u {\nserver b:3"), "8:10 the upstream 'u' is already described on line 5"),
            (route("heartbeat 99ms"), "4:12 '99ms' is out of range; it may be from 100ms to 1h"),
            (route("heartbeat 61m"), "4:12 '61m' is out of range; it may be from 100ms to 1h"),
            (route("heartbeat 1s evnt"), "4:15 'evnt' is none of comment, event, both; did you mean 'event'?"),
            (route("heartbeat 1s comment x"), "4:23 a comment has no name; write: heartbeat 1s event 'x'"),
            (route("heartbeat 1s event \" x\""), "4:21 the name of an event has 1 to 64 bytes"),
            (route("heartbeat off event"), "4:16 nothing can follow 'heartbeat off'"),
            (route("heartbeat_comment \"\(String(repeating: "x", count: 257))\""), "4:20 the text has 257 bytes; at most 256"),
            (route("heartbeat_form lines"), "4:17 'lines' is none of auto, line, block; did you mean 'line'?"),
            (route("accept_encoding gzip"), "4:18 'gzip' is none of pass, identity"),
            (route("via no"), "4:6 'no' is none of on, off"),
            (route("opening yes"), "4:10 'yes' is none of on, off"),
            (route("log_events no"), "4:13 'no' is none of on, off"),
            (route("host keep"), "4:7 'keep' is none of preserve, server"),
            (route("bearer_from header x"), "4:14 'header' is none of query, cookie"),
            (route("bearer_from query \"\""), "4:20 the name of a query parameter has 1 to 128 bytes"),
            (route("bearer_from cookie a=b"), "4:21 'a=b' cannot be the name of a cookie"),
            (route("bearer_from cookie a\nbearer_from cookie a"), "5:20 this source is named twice"),
            (route("bearer_from query"), "4:2 'bearer_from' needs more; write: bearer_from query|cookie|ticket NAME"),
            (route("bearer_missing refuse"), "4:2 'bearer_missing' means nothing without 'bearer_from'"),
            (route("realm x"), "4:2 'realm' means nothing without 'bearer_from'"),
            (route("bearer_from query t\nrealm \"a\\\"b\""), "5:7 a realm has 1 to 128 printable ASCII characters"),
            (route("allow_origin app.example.com"), "4:15 'app.example.com' is no origin; write it as browsers send it"),
            (route("allow_origin null"), "4:15 'null' is no origin"), (route("allow_origin *"), "4:15 '*' is no origin"),
            (route("allow_origin ftp://a"), "4:15 'ftp://a' is no origin"),
            (route("allow_origin https://a/"), "4:15 'https://a/': an origin has no path"),
            (route("allow_origin https://u@a"), "4:15 "),
            (route("allow_origin https://a.*.b"), "4:15 'https://a.*.b': a '*' can only be"),
            (route("allow_origin https://*"), "4:15 'https://*': a '*'"),
            (route("allow_origin https://a:0"), "4:15 'https://a:0': '0' is no port"),
            (route("allow_origin https://a:+1"), "4:15 'https://a:+1': '+1' is no port"),
            (route("allow_origin https://a https://A:443"), "4:25 this origin is named twice"),
            (route("last_event_id_from cookie a"), "4:21 'cookie' is none of query"),
            (route("last_event_id_from query \"\""), "4:27 the name of a query parameter has 1 to 128 bytes"),
            (route("bearer_from query t\nlast_event_id_from query t"), "5:26 this parameter is a token, as 'bearer_from' says"),
            (route("allow_credentials off"), "4:2 'allow_credentials' means nothing without 'allow_origin'"),
            (route("allow_origin https://a\nallow_credentials no"), "5:19 'no' is none of on, off"),
            (route("bearer_from query t\nbearer_limit 1"), "5:14 '1' is out of range; it may be from 16 to 64KiB"),
            (top("route /x {\nupstream nowhere\n}"), "6:10 there is no upstream 'nowhere'; an address needs a port"),
            (top("route /x {\n}"), "5:7 this route has no upstream"),
            (top("route /x {\nupstream c:1 c:1\n}"), "6:14 the server c:1 is named twice"),
            (top("route */* {\nupstream c:1\n}"), "5:7 a route for the same requests is on line 2"),
            (top("route A/b {\nupstream c:1\n}\nroute a./%62 {\nupstream c:1\n}"), "8:7 a route for the same requests is on line 5"),
        ] as [Case])
    func blocks(_ one: Case) { Self.check(one) }

    @Test(
        "in a route's pattern is told where it is",
        arguments: [
            ("example.com", "'example.com' has no path; write example.com/*"), ("*", "'*' has no path; write /* for"),
            ("http://a/", "'http://a/' is a URL"), ("/a*", "'/a*': a '*' can only be the last piece"),
            ("/*/a", "'/*/a': a '*' can only be"),
            ("/a?b", "'/a?b': '?' cannot stand in the path of a route; a route is chosen by the path alone"),
            ("/a;b", "'/a;b': ';' cannot stand"),
            ("/a./b", "'/a./b': dot segments"), ("/a%20", "'/a%20': dot segments"), ("/a%0A", "'/a%0A': dot segments"),
            ("/%2565", "'/%2565': dot segments"),
            ("/a%3F", "'/a%3F': dot segments"), ("/%FF", "'/%FF': dot segments"),
            ("/a//b", "'/a//b': dot segments"), ("/a/../b", "'/a/../b': dot segments"), ("/a%2fb", "'/a%2fb': dot segments"),
            ("/a/%2e/b", "'/a/%2e/b': dot segments"), ("\"/a b\"", "'/a b': ' ' cannot stand in the path of a route; write a blank as %20"),
            ("a:80/b", "'a:80': the host of a route has no port"), ("*a.b/c", "'*a.b': a wildcard can only be the first label"),
            ("*.*.b/c", "'*.*.b': a wildcard host is"), ("a..b/c", "'a..b' cannot be the name of a host"),
            ("/\(String(repeating: "a", count: 1_024))", "the pattern is longer than 1024 bytes"),
        ])
    func patterns(pattern: String, expected: String) {
        Self.check((Self.top("route \(pattern) {\nupstream c:1\n}"), "5:7 \(expected)"))
    }
}

@Suite("A number with a unit")
struct QuantityTests {
    private func read(_ text: String, _ quantity: Quantity) -> Int? { try? quantity.read(text) }

    @Test("is read exactly")
    func values() {
        let duration = Quantity.milliseconds(0...Int.max)
        let size = Quantity.bytes(0...Int.max)
        #expect(read("250ms", duration) == 250)
        #expect(read("15s", duration) == 15_000)
        #expect(read("2m", duration) == 120_000)
        #expect(read("1.5h", duration) == 5_400_000)
        #expect(read("0.001s", duration) == 1)
        #expect(read("64k", size) == 65_536)
        #expect(read("16KiB", size) == 16_384)
        #expect(read("1.5MiB", size) == 1_572_864)
        #expect(read("7b", size) == 7)
        #expect(read("2g", size) == 2_147_483_648)
        #expect(read("9223372036854775807", .count(0...Int.max)) == Int.max)
    }

    @Test(
        "is refused where it is none, or would have to be rounded, or overflows",
        arguments: [
            "", "s", "-1s", "+1s", "1 s", "1S", "1.s", ".5s", "1..5s", "1.5.5s", "0.0005s", "1e3s", "99999999999999999999s",
            "9223372036854775807h", "1.9999999999s",
            "٣s", "1s2s",
        ])
    func refused(text: String) { #expect(read(text, .milliseconds(0...Int.max)) == nil) }

    @Test("is written so that it reads back", arguments: [0, 1, 999, 1_000, 1_024, 1_500, 60_000, 65_536, 3_600_000, 1 << 30])
    func writing(value: Int) {
        for quantity in [Quantity.milliseconds(0...Int.max), .bytes(0...Int.max), .count(0...Int.max)] {
            #expect(read(quantity.text(value), quantity) == value)
        }
    }
}

// The configuration language, from text to value.

import Credentials
import EventStream
import Glibc
import Testing

@testable import Configuration

@Suite("A configuration file")
struct LanguageTests {
    @Test("becomes the value that it describes, every directive of it")
    func everything() throws {
        let parsed = try parse(
            """
            \u{feff}workers 3
            listen 127.0.0.1:8080 [2001:DB8::1]:443 *:81
            listen :82
            stream_log "/var/log/a b.jsonl"   # a comment
            access_log stderr
            event_log events.jsonl
            fingerprint_key {$KEY}
            trusted_proxies 10.0.0.0/8
            trusted_proxies ::1
            grace 1.5s
            resolve_interval 1m
            limits {
                request_head 32KiB
                connections 10
            }
            timeouts {
                client_stall 500ms
            }
            route Example.COM/a/* {
                upstream chat
                heartbeat 250ms both alive
                heartbeat_comment "x # y"
                heartbeat_form line
                opening off
                bearer_from query {$NAME:access_token}
                bearer_from cookie sid
                bearer_missing refuse
                bearer_conflict bridged
                bearer_characters visible
                bearer_limit 1k
                realm "my realm"
                host server
            }
            route /* {
                upstream 127.0.0.1:1 http://b/
                heartbeat off
            }
            route /again {
                upstream 127.0.0.1:1 b:80
                heartbeat 1h event
                log_events off
            }
            upstream chat {
                server a:1 b:2
                server [::1]:3
                balance least_connections
                connect_timeout 1s
                response_timeout 2s
                idle_timeout 3s
                stream_silence_timeout 4s
                idle_connections 5
                keep_alive 6s
                failure_cooldown 0s
            }\r
            """, environment: ["KEY": "0123456789abcdef"])
        #expect(parsed.warnings == [])
        let chat = Upstream(
            name: "chat", servers: [.init(host: "a", port: 1), .init(host: "b", port: 2), .init(host: "::1", port: 3)],
            balance: .leastConnections, connectTimeoutMilliseconds: 1_000, responseTimeoutMilliseconds: 2_000,
            idleTimeoutMilliseconds: 3_000, streamSilenceTimeoutMilliseconds: 4_000, idleConnections: 5,
            idleConnectionMilliseconds: 6_000, failureCooldownMilliseconds: 0)
        let inline = Upstream(name: "127.0.0.1:1,b:80", servers: [.init(host: "127.0.0.1", port: 1), .init(host: "b", port: 80)])
        let bearer = BearerPolicy(
            sources: [.query(name: "access_token"), .cookie(name: "sid")], whenMissing: .refuse, onConflict: .preferBridged,
            characters: .visible, realm: "my realm", maximumTokenBytes: 1_024)
        var expected = Configuration(
            workerCount: 3,
            listeners: [
                Listener(host: "127.0.0.1", port: 8080), Listener(host: "2001:db8::1", port: 443), Listener(host: "*", port: 81),
                Listener(host: "*", port: 82),
            ],
            upstreams: [chat, inline],
            routes: [
                Route(
                    name: "Example.COM/a/*", host: .exact("example.com"), path: .prefix("/a/"), upstreamIndex: 0,
                    heartbeat: HeartbeatPolicy(
                        intervalMilliseconds: 250, kind: .both(name: "alive"), commentText: "x # y", opening: false, form: .line),
                    bearer: bearer),
                Route(name: "/*", upstreamIndex: 1, heartbeat: HeartbeatPolicy(intervalMilliseconds: nil)),
                Route(
                    name: "/again", path: .exact("/again"), upstreamIndex: 1,
                    heartbeat: HeartbeatPolicy(intervalMilliseconds: 3_600_000, kind: .event(name: "heartbeat")), logsEvents: false),
            ],
            limits: Limits(requestHeadBytes: 32_768, connections: 10),
            timeouts: Timeouts(clientStallMilliseconds: 500),
            streamLog: .file("/var/log/a b.jsonl"), accessLog: .standardError, eventLog: .file("events.jsonl"),
            fingerprintKey: Array("0123456789abcdef".utf8),
            trustedProxies: [try #require(AddressRange("10.0.0.0/8")), try #require(AddressRange("::1/128"))],
            graceMilliseconds: 1_500, resolveIntervalMilliseconds: 60_000)
        expected.routes[0].hostField = .server
        #expect(parsed.configuration == expected)
    }

    @Test("warns of an upstream to which no route leads")
    func unusedUpstream() throws {
        let parsed = try parse("listen a:1\nupstream idle {\n server b:1\n}\nroute /* {\n upstream b:2\n}\n")
        #expect(brief(parsed.warnings) == ["2:10 no route leads to the upstream 'idle'"])
        #expect(parsed.warnings.first?.description.hasPrefix("test.conf:2:10: warning: no route") == true)
    }

    @Test("takes a variable as one word or a part of one, whatever it holds")
    func variables() throws {
        let text = "listen a:1\nroute /* {\n upstream b:2\n realm \"{$R} \\{$R}\"\n bearer_from query x{$Q:y}{$E:z}\n}"
        let route = try #require(try parse(text, environment: ["R": "} # {", "E": ""]).configuration.routes.first)
        #expect(route.bearer?.realm == "} # { {$R}")
        #expect(route.bearer?.sources == [.query(name: "xyz")])
    }

    @Test("is shown with its line and a caret below the column, tabs kept")
    func shown() {
        let text = "listen a:1\nroute /* {\n\tupstream b:2\n\thearbeat 15s\n}\n"
        let errors = ConfigurationErrors(diagnostics: diagnostics(text))
        #expect(
            errors.description == """
                test.conf:4:2: unknown directive 'hearbeat' in a 'route' block; did you mean 'heartbeat'?
                    \thearbeat 15s
                    \t^
                """)
    }

    @Test("tells all of its errors at once, in their order")
    func several() {
        let text = """
            listen 127.0.0.1
            upstream u {
                server ftp://a
                balance round_robbin
            }
            route /a {
                upstream v
                heartbeat 15
            }
            route a {
            }
            """
        #expect(
            brief(diagnostics(text)) == [
                "1:8 '127.0.0.1' has no port; write HOST:PORT",
                "3:12 'ftp://a': the scheme 'ftp' is not supported; write http://HOST:PORT or https://HOST:PORT",
                "4:13 'round_robbin' is none of round_robin, least_connections; did you mean 'round_robin'?",
                "7:14 there is no upstream 'v'; did you mean 'u'?",
                "8:15 the duration '15' has no unit: write 15s, or 15ms, 15m, 15h",
                "10:7 'a' has no path; write a/* for every path",
                "10:7 this route has no upstream; write: upstream NAME|ADDRESS...",
            ])
    }

    @Test("names UNIX sockets by their paths")
    func unixSockets() throws {
        let text = """
            listen a:1
            upstream u {
                server unix:/run/a.sock b:2 unix:@name "unix:/run/with a blank" unix:///run/c@d.sock
            }
            route /* {
                upstream u
            }
            route /b {
                upstream unix:/run/a.sock
            }
            """
        let configuration = try parse(text).configuration
        let servers = configuration.upstreams[0].servers
        #expect(servers.map(\.description) == ["unix:/run/a.sock", "b:2", "unix:@name", "unix:/run/with a blank", "unix:/run/c@d.sock"])
        #expect(servers.map(\.isUnix) == [true, false, true, true, true] && servers.map(\.authority)[..<2] == ["localhost", "b:2"])
        #expect(
            configuration.upstreams[1].name == "unix:/run/a.sock"
                && configuration.upstreams[1].servers == [Upstream.Server(unixPath: "/run/a.sock")])
    }

    @Test("accepts the PROXY protocol on the addresses of one line, and warns if no proxy may send it")
    func proxyProtocol() throws {
        let text = "listen a:1 a:2 {\nproxy_protocol on\n}\nlisten a:3 {\nproxy_protocol off\n}\nlisten a:4\nroute /* {\nupstream b:2\n}\n"
        let lonely = try parse(text)
        #expect(lonely.configuration.listeners.map(\.takesProxyProtocol) == [true, true, false, false])
        #expect(brief(lonely.warnings).count == 1 && brief(lonely.warnings)[0].hasPrefix("2:1 nobody can connect here: the PROXY protocol"))
        #expect(try parse(text + "trusted_proxies 10.0.0.0/8\n").warnings.isEmpty)
    }

    @Test("with very many errors gets a bounded report")
    func bounded() {
        let all = diagnostics(String(repeating: "nonsense\n", count: 5_000))
        #expect(all.count == Report.maximumDiagnostics)
        #expect(ConfigurationErrors(diagnostics: all).description.hasSuffix("... and 970 more"))
        let long = diagnostics("x" + String(repeating: " y", count: 10_000))
        #expect(long.allSatisfy { $0.description.utf8.count < 1_000 })
    }

    @Test("larger than 1 MiB is refused")
    func tooLarge() {
        #expect(brief(diagnostics(String(repeating: "#", count: Lexer.maximumBytes + 1))) == ["1:1 the file is larger than 1MiB"])
    }

    @Test("that is missing is reported in one line")
    func missing() throws {
        #expect {
            try ConfigurationFile.load(path: "/nonexistent/heartwire.conf")
        } throws: {
            "\($0)" == "cannot read the configuration file '/nonexistent/heartwire.conf': No such file or directory"
        }
        #expect {
            try ConfigurationFile.load(path: "/")
        } throws: { "\($0)" == "cannot read the configuration file '/': Is a directory" }
    }

    @Test("that comes from a pipe is read whole at a start, if data comes, and not again")
    func pipes() throws {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        let path = "/proc/self/fd/\(ends[0])"
        #expect {
            try ConfigurationFile.load(path, on: .start, patienceMilliseconds: 50)
        } throws: { ($0 as? OperatorFile.Failure)?.reason == "nothing came within 0 s" }
        try #require(write(ends[1], "workers 1\n", 10) == 10)
        close(ends[1])
        ends[1] = -1
        #expect(try ConfigurationFile.load(path: path) == Array("workers 1\n".utf8))
        #expect {
            try ConfigurationFile.load(path: path, on: .reload)
        } throws: { "\($0)" == "cannot read the configuration file '\(path)': it is a pipe, and cannot be read again" }
    }

    @Test("that never ends is refused while the proxy serves, and bounded before")
    func endless() throws {
        #expect(try ConfigurationFile.load(path: "/dev/zero").count > Lexer.maximumBytes)
        #expect { try ConfigurationFile.load(path: "/dev/zero", on: .reload) } throws: { "\($0)".hasSuffix("it is no regular file") }
        #expect(OperatorFile.objection(to: "/dev/zero") == "it is no regular file")
        #expect(OperatorFile.objection(to: "/") == "Is a directory")
        #expect(OperatorFile.objection(to: "/etc/passwd") == nil)
    }
}

@Suite("A misspelt word")
struct SuggestionTests {
    @Test("is near to the word that was meant")
    func near() {
        #expect(nearestWord(to: "lisen", in: ["listen", "limits"]) == "listen")
        #expect(nearestWord(to: "LISTEN", in: ["listen", "limits"]) == "listen")
        #expect(nearestWord(to: "ehartbeat", in: ["heartbeat"]) == "heartbeat")
        #expect(nearestWord(to: "banana", in: ["listen", "limits"]) == nil)
        #expect(nearestWord(to: "", in: ["of"]) == nil)
        #expect(nearestWord(to: String(repeating: "a", count: 65), in: [String(repeating: "a", count: 65)]) == nil)
    }

    @Test("has a distance that counts insertions, removals, replacements and swaps")
    func distance() {
        func distance(_ left: String, _ right: String) -> Int { editDistance(Array(left.utf8), Array(right.utf8)) }
        #expect(distance("", "abc") == 3)
        #expect(distance("abc", "abc") == 0)
        #expect(distance("abc", "acb") == 1)
        #expect(distance("abc", "ab") == 1)
        #expect(distance("kitten", "sitting") == 3)
    }

    @Test(
        "answers that are an outage are statuses and ranges, or none",
        arguments: [
            ("429 502-504 530", [429...429, 502...504, 530...530]), ("none", []), ("400-999", [400...999]), ("500", [500...500]),
        ])
    func outageAnswers(_ text: String, _ expected: [ClosedRange<Int>]) throws {
        let configuration = try parse("listen 127.0.0.1:80\nroute /* {\n    upstream 127.0.0.1:9000\n    outage_answers \(text)\n}\n")
            .configuration
        #expect(configuration.routes[0].outageAnswers.ranges == expected)
    }

    @Test(
        "nothing else is an answer that is an outage",
        arguments: ["200", "399", "1000", "504-502", "50x", "", "502-", "-502", "502-503-504", "+502", "none 502", "５０２", "5 02"])
    func malformedOutageAnswers(_ text: String) {
        #expect(throws: (any Error).self) {
            try parse(
                "listen 127.0.0.1:80\nroute /* {\n    upstream 127.0.0.1:9000\n    outage_answers \(text.isEmpty ? "\"\"" : text)\n}\n")
        }
    }
}

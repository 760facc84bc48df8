// What routes keep for clients that come back, and whose stream it is.

import Credentials
import Testing

@testable import Configuration

@Suite("A route that keeps its streams")
struct ContinuityTests {
    private static let issuer = "issuer i {\nname i\naudience any\nkeys_file k\n}"
    private static let service = "forward_auth a {\nurl http://c\ntake X-User\n}"

    private func file(_ route: String, top: String = "") -> String { "listen a:1\n\(top)\nroute /* {\nupstream b:2\n\(route)\n}\n" }

    private func continuity(_ route: String, top: String = "") throws -> Continuity {
        let parsed = try parse(file(route, top: top))
        #expect(parsed.warnings == [])
        return try #require(parsed.configuration.routes.first?.continuity)
    }

    private func messages(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) -> [String] {
        diagnostics(text, sourceLocation: sourceLocation).map(\.message)
    }

    @Test("has the documented defaults, and no other route keeps anything")
    func defaults() throws {
        #expect(try parse(file("")).configuration.routes[0].continuity == nil)
        let plain = try continuity("history {\n}")
        #expect(plain == Continuity() && plain.identity == .values([.credentials]) && plain.gap == .event(name: "stream_gap"))
        #expect(plain.history.events == 1_000 && plain.history.bytes == 256 << 10 && plain.history.ageMilliseconds == 300_000)
        #expect(plain.history.awayMilliseconds == 30_000 && plain.history.ids == .keep && !plain.isResumable)
        #expect(plain.variedFields == [] && plain.ignoredParameters == [])
        let limits = try parse(file("")).configuration.limits
        #expect(limits.historyBytes == 256 << 20 && limits.eventBytes == 1 << 20)
        #expect(limits.keptStreams == 10_000 && limits.keptStreamsPerClient == 0)
    }

    @Test("is what it says")
    func everything() throws {
        let continuity = try continuity(
            """
            identity token
            identity cookie session
            identity header X-Forwarded-User
            identity client_certificate
            vary Accept-Language X-Tenant
            vary x-shard
            ignore_query _ cache%20buster
            gap event lost
            resumable on
            history {
                events 50
                size 64KiB
                age 1m
                away 5s
                ids suffix
            }
            """,
            top: """
                trusted_proxies 10.0.0.0/8
                listen c:2 {
                tls {
                certificate c k
                client_certificates optional
                client_authority ca.pem
                }
                }
                """)
        #expect(
            continuity.identity == .values([.token, .cookie("session"), .header("x-forwarded-user"), .clientCertificate]))
        #expect(continuity.variedFields == ["accept-language", "x-tenant", "x-shard"])
        #expect(continuity.ignoredParameters == ["_", "cache%20buster"] && continuity.isResumable)
        #expect(continuity.gap == .event(name: "lost") && continuity.history.ids == .suffix)
        #expect(continuity.history.events == 50 && continuity.history.bytes == 65_536)
        #expect(continuity.history.ageMilliseconds == 60_000 && continuity.history.awayMilliseconds == 5_000)
    }

    @Test(
        "tells of a gap as it says",
        arguments: [
            ("gap event", GapNotice.event(name: "stream_gap")), ("gap event \"a b\"", .event(name: "a b")), ("gap reconnect", .reconnect),
            ("gap off", .off),
        ])
    func gaps(line: String, gap: GapNotice) throws { #expect(try continuity("\(line)\nhistory {\n}").gap == gap) }

    @Test("can be public")
    func everybody() throws {
        #expect(try continuity("identity public\nhistory {\nids own\n}").identity == .everybody)
        #expect(try continuity("upstream_authorization bearer abc\nidentity public\nhistory {\n}").identity == .everybody)
    }

    @Test("believes a field that the proxy itself writes, without trusted proxies")
    func writtenFields() throws {
        let claim = "bearer_check i\nclaim_field X-Subject sub\nidentity header x-subject\nhistory {\n}"
        #expect(try continuity(claim, top: Self.issuer).identity == .values([.header("x-subject")]))
        let told = "forward_auth a\nidentity header X-User\nhistory {\n}"
        #expect(try continuity(told, top: Self.service).identity == .values([.header("x-user")]))
    }

    @Test(
        "is refused where it would mean nothing, or mix the streams of clients",
        arguments: [
            ("identity token", "'identity' means nothing without a 'history' block in this route"),
            ("vary X-A", "'vary' means nothing without"), ("ignore_query a", "'ignore_query' means nothing without"),
            ("gap off", "'gap' means nothing without"), ("resumable off", "'resumable' means nothing without"),
            ("history", "'history' needs a block"), ("history 5 {\n}", "this is one word too many for 'history'"),
            ("identity user\nhistory {\n}", "'user' is none of credentials, token"),
            ("identity token a\nhistory {\n}", "nothing can follow 'identity token'"),
            ("identity public a\nhistory {\n}", "nothing can follow 'identity public'"),
            ("identity cookie\nhistory {\n}", "which cookie? Write: identity cookie NAME"),
            ("identity header\nhistory {\n}", "which field? Write: identity header NAME"),
            ("identity cookie \"a b\"\nhistory {\n}", "'a b' cannot be the name of a cookie"),
            ("identity header \"a b\"\nhistory {\n}", "'a b' cannot be the name of a field"),
            ("identity header X-User\nhistory {\n}", "any client could write this field"),
            ("identity header Cookie\nhistory {\n}", "for credentials there is 'identity'"),
            ("identity client_certificate\nhistory {\n}", "no listener asks clients for a certificate"),
            ("identity token\nidentity token\nhistory {\n}", "this is named twice"),
            ("identity public\nidentity token\nhistory {\n}", "'public' stands alone"),
            ("identity credentials\nidentity cookie a\nhistory {\n}", "'identity credentials' holds this already"),
            ("bearer_from query t\nidentity public\nhistory {\n}", "a public stream depends on no credentials"),
            ("upstream_authorization field X-Key\nidentity public\nhistory {\n}", "a public stream depends on no credentials"),
            ("vary Authorization\nhistory {\n}", "for credentials there is 'identity'"),
            ("vary X-Real-IP\nhistory {\n}", "what 'X-Real-IP' claims of a client is taken from trusted proxies only"),
            ("vary Origin\nhistory {\n}", "streams of another origin are told apart always"),
            ("vary Host\nhistory {\n}", "streams of another host are told apart always"),
            ("vary Last-Event-ID\nhistory {\n}", "a client that comes back has another last event id"),
            ("vary Connection\nhistory {\n}", "the proxy does not pass on the field 'Connection' as it comes"),
            ("vary X-A x-a\nhistory {\n}", "this field is named twice"), ("vary \"\"\nhistory {\n}", "'' cannot be the name of a field"),
            ("ignore_query a a\nhistory {\n}", "this parameter is named twice"),
            ("ignore_query \"\"\nhistory {\n}", "the name of a query parameter has 1 to 128 bytes"),
            ("bearer_from query t\nignore_query t\nhistory {\n}", "this parameter is a token, as 'bearer_from' says"),
            ("ignore_query lastEventId\nhistory {\n}", "this parameter is a last event id"),
            ("last_event_id_from query id\nignore_query id\nhistory {\n}", "this parameter is a last event id"),
            ("bearer_from query lastEventId\nhistory {\n}", "with 'history' the parameter 'lastEventId' is a last event id"),
            ("gap comment\nhistory {\n}", "'comment' is none of event, reconnect, off"),
            ("gap off x\nhistory {\n}", "nothing can follow 'gap off'"),
            ("gap event \"\"\nhistory {\n}", "the name of an event has 1 to 64"),
            ("history {\nevents 0\n}", "'0' is out of range; it may be from 1 to 1000000"),
            ("history {\nsize 1KiB\n}", "'1KiB' is out of range; it may be from 4KiB to 1GiB"),
            ("history {\nage 1ms\n}", "'1ms' is out of range; it may be from 1s to 24h"),
            ("history {\naway 2h\n}", "'2h' is out of range; it may be from 0s to 1h"),
            ("history {\nids none\n}", "'none' is none of keep, suffix, own"),
            ("history {\ngap off\n}", "'gap' belongs in a 'route' block, not in a 'history' block"),
            ("events 5", "'events' belongs in a 'history' block, not in a 'route' block"),
            ("history {\nsize 512MiB\n}", "a history cannot be larger than all of them may be together"),
        ])
    func refused(lines: String, message: String) {
        let found = messages(file(lines))
        #expect(found.count == 1 && found[0].hasPrefix(message), "\(found)")
    }

    @Test("is refused where the rest of the file takes its identity away")
    func refusedWithOthers() {
        let check = "bearer_check i\nidentity public\nhistory {\n}"
        #expect(messages(file(check, top: Self.issuer)).first?.hasPrefix("a public stream depends on no credentials") == true)
        let asked = "forward_auth a\nidentity public\nhistory {\n}"
        #expect(messages(file(asked, top: Self.service)).first?.hasPrefix("a public stream depends on no credentials") == true)
        let trusted = "trusted_proxies 10.0.0.0/8"
        let elsewhere = "\(trusted)\n\(Self.service)\nroute /a {\nupstream b:2\nforward_auth a\n}"
        let taken = messages(file("identity header X_User\nhistory {\n}", top: elsewhere))
        #expect(taken.count == 1 && taken[0].hasPrefix("this field is taken from all clients"), "\(taken)")
        let tls = "tls {\ncertificate c k\nclient_certificates optional\nclient_authority ca.pem\nclient_subject_field X-Subject\n}"
        let subject = "\(trusted)\nlisten c:2 {\n\(tls)\n}"
        let ofListener = messages(file("identity header X-Subject\nhistory {\n}", top: subject))
        #expect(ofListener.count == 1 && ofListener[0].hasSuffix("write: identity client_certificate"), "\(ofListener)")
        let variedSubject = messages(file("vary X-Subject\nhistory {\n}", top: subject))
        #expect(variedSubject.count == 1 && variedSubject[0].hasSuffix("write: identity client_certificate"), "\(variedSubject)")
        let varied = messages(file("vary X-User\nhistory {\n}", top: elsewhere))
        let advice = "this field is taken from all clients; where this route writes it, write: identity header X-User"
        #expect(varied == [advice], "\(varied)")
        #expect(messages(file("upstream_field X_User a\nvary X-User\nhistory {\n}")) == [advice])
        let ticket = "ticket t {\nsealing_key \(String(repeating: "A", count: 43))\n}"
        let ofTicket = messages(file("bearer_from ticket t\nidentity cookie __Host-heartwire\nhistory {\n}", top: ticket))
        #expect(ofTicket.count == 1 && ofTicket[0].hasPrefix("this cookie is a ticket of 't', which changes"), "\(ofTicket)")
    }

    @Test("has bounds in all")
    func limits() throws {
        let written = "limits {\nhistory 1GiB\nevent 64KiB\nkept_streams 5\nkept_per_client 2\n}"
        let limits = try parse(file("history {\nsize 512MiB\n}", top: written)).configuration.limits
        #expect(limits.historyBytes == 1 << 30 && limits.eventBytes == 65_536)
        #expect(limits.keptStreams == 5 && limits.keptStreamsPerClient == 2)
        for block in ["history 1MiB\nevent 2MiB", "event 2MiB\nhistory 1MiB"] {
            let found = messages(file("", top: "limits {\n\(block)\n}"))
            #expect(found == ["an event cannot be larger than all histories (history is 1MiB)"], "\(found)")
        }
    }

    @Test("finds streams under a key of 16 to 256 bytes, which is never shown")
    func key() throws {
        let key = String(repeating: "S3CRET", count: 3)
        #expect(try parse(file("", top: "history_key \(key)")).configuration.historyKey == Array(key.utf8))
        #expect(try parse(file("", top: "history_key {$K}"), environment: ["K": key]).configuration.historyKey == Array(key.utf8))
        #expect(try parse(file("")).configuration.historyKey == nil)
        for line in ["history_key S3CRET", "history_key \(key) x", "history-key \(key)", "history_key=\(key)", "history_key\n\(key)"] {
            let all = ConfigurationErrors(diagnostics: diagnostics(file("", top: line))).description
            #expect(all.contains("test.conf:") && !all.contains("S3C"), "\(all)")
        }
        let short = messages(file("", top: "history_key abc"))
        #expect(short == ["the key has 3 bytes; it needs 16 to 256"])
    }
}

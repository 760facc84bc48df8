// Which clients read a stream together, and which of its events they get.

import Testing

@testable import Configuration

@Suite("A route whose clients share streams")
struct SharingTests {
    private static let service = "forward_auth a {\nurl http://c\ntake X-User\n}"
    private static let issuer = "issuer i {\nname i\naudience any\nkeys_file k\n}"

    /// A file in which `route` begins on line 7.
    private func file(_ route: String, top: String = "") -> String {
        "listen a:1\nroute /* {\nupstream b:2\nhistory {\nevents 100\n}\n\(route)\n}\n\(top)\n"
    }

    private func continuity(_ route: String) throws -> Continuity {
        let parsed = try parse(file(route))
        #expect(parsed.warnings == [])
        return try #require(parsed.configuration.routes.first?.continuity)
    }

    private func warnings(_ route: String, top: String = "") throws -> [String] { brief(try parse(file(route, top: top)).warnings) }

    @Test("says so: by default each client has its own stream, and all of its events")
    func defaults() throws {
        let plain = try continuity("identity token")
        #expect(plain.share == nil && plain.lag == .gap && plain.filterParameter == nil)
        #expect(try continuity("identity token\nshare off") == plain)
        #expect(try continuity("share off") == Continuity(events: 100))
    }

    @Test(
        "gives those who join later what it says",
        arguments: [
            ("share live", Sharing.live), ("share latest", .latest), ("share replay 1", .replay(1)), ("share replay 100", .replay(100)),
        ])
    func kinds(line: String, sharing: Sharing) throws { #expect(try continuity("identity token\n\(line)").share == sharing) }

    @Test("is what it says")
    func everything() throws {
        let shared = try continuity("share live\nlag close\nidentity public\nfilter query types")
        #expect(shared.share == .live && shared.lag == .close && shared.filterParameter == "types" && shared.identity == .everybody)
        #expect(try continuity("identity cookie a\nshare live\nlag gap").lag == .gap)
        #expect(try continuity("identity credentials\nshare live").share == .live)
        let alone = try continuity("filter query t")
        #expect(alone.filterParameter == "t" && alone.share == nil)
    }

    @Test(
        "is refused where it would mean nothing, or mix the streams of clients",
        arguments: [
            (
                "share live",
                "7:1 which clients may read one stream? Write, for example: identity token, or, where all clients may: identity public"
            ),
            ("identity token\nshare", "8:1 'share' needs more; write: share live|latest|replay COUNT|off"),
            ("identity token\nshare all", "8:7 'all' is none of live, latest, replay, off"),
            ("identity token\nshare relay 5", "8:7 'relay' is none of live, latest, replay, off; did you mean 'replay'?"),
            ("identity token\nshare live 5", "8:12 nothing can follow 'share live'"),
            ("identity token\nshare latest 5", "8:14 nothing can follow 'share latest'"),
            ("identity token\nshare off 5", "8:11 nothing can follow 'share off'"),
            ("identity token\nshare replay", "8:7 how many events? Write, for example: share replay 10"),
            ("identity token\nshare replay 0\nlag gap", "8:14 '0' is out of range; it may be from 1 to 1000000"),
            ("identity token\nshare replay x", "8:14 'x' is not a whole number; it may be from 1 to 1000000"),
            ("identity token\nshare replay 101", "8:14 only 100 events are kept ('events' in 'history')"),
            ("lag gap", "7:1 'lag' means nothing without 'share'; write, for example: share live"),
            ("identity token\nshare off\nlag close", "9:1 'lag' means nothing without 'share'; write, for example: share live"),
            ("identity token\nshare live\nlag drop", "9:5 'drop' is none of gap, close"),
            ("filter types", "7:1 'filter' needs more; write: filter query NAME"),
            ("filter cookie types", "7:8 'cookie' is none of query"),
            ("filter query \"\"", "7:14 the name of a query parameter has 1 to 128 bytes"),
            ("filter query lastEventId", "7:14 this parameter is a last event id, and names no types of events"),
            ("last_event_id_from query id\nfilter query id", "8:14 this parameter is a last event id, and names no types of events"),
            ("bearer_from query t\nfilter query t", "8:14 this parameter is a token, as 'bearer_from' says"),
            (
                "filter query t\nignore_query a t",
                "7:14 the parameter of 'filter' tells no streams apart; leave it out of 'ignore_query'"
            ),
            ("filter query t\nfilter query u", "8:1 'filter' is already said on line 7"),
            (
                "identity token\nshare live\nvary X-Forwarded-Proto",
                "9:6 a proxy writes this field for each client, so requests for shared streams lack it"
            ),
        ])
    func refused(lines: String, message: String) { #expect(brief(diagnostics(file(lines))) == [message]) }

    @Test("means nothing where nothing is kept", arguments: ["share live", "lag gap", "filter query t"])
    func withoutHistory(line: String) {
        let name = line.split(separator: " ")[0]
        let found = brief(diagnostics("listen a:1\nroute /* {\nupstream b:2\n\(line)\n}"))
        #expect(found == ["4:1 '\(name)' means nothing without a 'history' block in this route"])
    }

    @Test("warns of a token that shared requests lack")
    func missingToken() throws {
        let shared = "identity cookie session\nshare live"
        let told = "8:1 requests for shared streams lack the token of a client, by which streams do not differ; write: identity token"
        for line in ["bearer_from query t", "bearer_from query t\nupstream_authorization field X-Key"] {
            let found = try warnings("\(shared)\n\(line)")
            #expect(found.count == 1 && found[0].hasPrefix(told), "\(found)")
        }
        let checked = try warnings("\(shared)\nbearer_check i", top: Self.issuer)
        #expect(checked.count == 1 && checked[0].hasPrefix(told), "\(checked)")
        for line in ["", "upstream_authorization bearer abc", "bearer_from query t\nupstream_authorization remove"] {
            #expect(try warnings("\(shared)\n\(line)") == [], "\(line)")
        }
        #expect(try warnings("identity token\nshare live\nbearer_from query t\nbearer_check i", top: Self.issuer) == [])
        #expect(try warnings("identity cookie session\nbearer_from query t") == [])
    }

    @Test("warns of fields that shared requests lack")
    func missingFields() throws {
        let claims = "upstream_authorization remove\nbearer_check i\nclaim_field X-User sub\nclaim_field X-Tenant t"
        #expect(
            try warnings("identity header x-tenant\nshare live\n\(claims)", top: Self.issuer)
                == ["11:13 requests for shared streams lack this field, by which streams do not differ; write: identity header X-User"])
        #expect(try warnings("identity token\nshare live\n\(claims)", top: Self.issuer) == [])
        #expect(
            try warnings("identity token\nshare live\nforward_auth a", top: Self.service) == [
                "9:14 requests for shared streams lack the field 'X-User' of this service, by which streams do not differ; write: "
                    + "identity header X-User"
            ])
        #expect(try warnings("identity token\nidentity header X-User\nshare live\nforward_auth a", top: Self.service) == [])
        #expect(try warnings("identity token\nforward_auth a", top: Self.service) == [])
    }
}

extension Continuity {
    fileprivate init(events: Int) {
        self.init()
        history.events = events
    }
}

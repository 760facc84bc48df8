// Blocks of `ticket`, and the routes that use them.

import Credentials
import Testing

@testable import Configuration

@Suite("A block of tickets")
struct TicketTests {
    private static let key = "S3CRETS3CRETS3CRETS3CRETS3CRETS3CRETS3CRETA"
    private static let other = String(repeating: "A", count: 43)

    private func file(_ lines: String, _ route: String = "bearer_from ticket events", top: String = "") -> String {
        "listen a:1\n\(top)\nticket events {\n\(lines)\n}\nroute /* {\nupstream b:2\n\(route)\n}\n"
    }

    private func messages(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) -> [String] {
        diagnostics(text, sourceLocation: sourceLocation).map(\.message)
    }

    @Test("is what it says, and without words the documented defaults")
    func everything() throws {
        let parsed = try parse(
            file(
                """
                sealing_key \(Self.key)
                sealing_key \(Self.other)
                path /tickets
                lifetime 1m
                cookie session
                query ticket
                renew off
                limit 1h
                bind address
                allow_origin https://app.example.com https://*.example.org
                """))
        let block = try #require(parsed.configuration.tickets.first)
        #expect(parsed.warnings == [])
        #expect(block.keys.count == 2 && block.keys[1] == [UInt8](repeating: 0, count: 32) && block.path == "/tickets")
        #expect(block.places == TicketPlaces(name: "events", cookie: "__Host-session", query: "ticket"))
        #expect(block.lifetimeMilliseconds == 60_000 && block.limitMilliseconds == 3_600_000 && !block.renews && block.bond == .address)
        #expect(block.allowedOrigins.count == 2)
        #expect(parsed.configuration.routes[0].bearer?.sources == [.ticket(name: "events")])
        let plain = try #require(try parse(file("sealing_key \(Self.key)")).configuration.tickets.first)
        #expect(plain.places == TicketPlaces(name: "events", cookie: "__Host-heartwire", query: nil) && plain.path == "/-/ticket")
        #expect(plain.lifetimeMilliseconds == 300_000 && plain.limitMilliseconds == 43_200_000 && plain.renews && plain.bond == .origin)
    }

    @Test(
        "is refused where it would protect nothing or could not work",
        arguments: [
            ("", "these tickets have no key"), ("sealing_key abc", "the key must be 32 bytes in base64url"),
            ("sealing_key \(String(repeating: "A", count: 44))", "the key must be 32 bytes in base64url"),
            ("sealing_key \(String(repeating: "A", count: 42))=", "the key must be 32 bytes in base64url"),
            ("sealing_key \(other)\nsealing_key \(other)", "this key is named twice"),
            ("sealing_key \(other)\ncookie off", "where do browsers put these tickets?"),
            ("sealing_key \(other)\ncookie __Host-x", "the prefix '__Host-' is added"),
            ("sealing_key \(other)\ncookie \"a b\"", "'a b' cannot be the name of a cookie"),
            ("sealing_key \(other)\npath tickets", "'tickets' is not a plain path"),
            ("sealing_key \(other)\npath /tickets/", "'/tickets/' is not a plain path"),
            ("sealing_key \(other)\nlifetime 1h\nlimit 1m", "'limit' is shorter than 'lifetime'"),
            ("sealing_key \(other)\nlifetime 10500ms", "tickets count in whole seconds"),
            ("sealing_key \(other)\nlifetime 5s", "'5s' is out of range"), ("sealing_key \(other)\nbind ip", "'ip' is none of origin"),
            ("sealing_key \(other)\nallow_origin app.example.com", "'app.example.com' is no origin"),
            ("sealing_key \(other)\nbind certificate", "these tickets are bound to certificates"),
        ])
    func refused(lines: String, message: String) {
        let found = messages(file(lines))
        #expect(found.count == 1 && found[0].hasPrefix(message), "\(found)")
    }

    @Test("shares its parameter with no last event id, which a server would get")
    func eventID() {
        let lines = "sealing_key \(Self.key)\nquery ticket"
        let found = messages(
            file(lines).replacing("bearer_from ticket events", with: "bearer_from ticket events\nlast_event_id_from query ticket"))
        #expect(found.count == 1 && found[0].contains("takes last event ids from the place of these tickets"), "\(found)")
    }

    @Test("never shows a key")
    func secrets() {
        for line in [
            "sealing_key \(Self.key)x", "sealing_key \(Self.key) x", "sealing_key=\(Self.key)", "sealing-key \(Self.key)",
            "seal_key \(Self.key)", "sealing_key\n\(Self.key)", "key \(Self.key)", "key \(Self.key)=", "key \"\(Self.key)\"",
        ] {
            let all = ConfigurationErrors(diagnostics: diagnostics(file("sealing_key \(Self.other)\n\(line)"))).description
            #expect(all.contains("test.conf:") && !all.contains("S3C") && !all.contains("AAA"), "\(all)")
        }
        let ofIssuer = ConfigurationErrors(diagnostics: diagnostics("listen a:1\nissuer i {\nkey RS265 the-file\n}\n")).description
        #expect(ofIssuer.contains("key RS265 the-file"))
    }

    @Test("has its places for itself")
    func places() throws {
        let another = { (lines: String) in "ticket other {\nsealing_key \(Self.other)\n\(lines)\n}" }
        let mine = "sealing_key \(Self.key)\nquery t"
        #expect(messages(file(mine, top: another("cookie c")))[0].contains("have the same path '/-/ticket'"))
        #expect(messages(file(mine, top: another("path /t")))[0].contains("have the same cookie"))
        #expect(messages(file(mine, top: another("path /t\ncookie c\nquery t")))[0].contains("have the same parameter"))
        for route in ["bearer_from query t", "bearer_from cookie __Host-heartwire"] {
            #expect(messages(file(mine, route))[0].hasPrefix("the route '/*' takes tokens from the place of these tickets"))
        }
        #expect(messages(file(mine, top: "probe_endpoint /-/ticket secret_file f"))[0].hasPrefix("at '/-/ticket' probes are answered"))
        let parsed = try parse(file(mine, top: another("path /t\ncookie c")))
        #expect(parsed.warnings.map(\.message) == ["no route uses the tickets 'other'; write: bearer_from ticket other"])
    }

    @Test("has a name of its own, and a route names it")
    func names() {
        let good = "sealing_key \(Self.key)"
        #expect(messages(file(good, "bearer_from ticket event"))[0].hasPrefix("there are no tickets 'event'; did you mean 'events'"))
        #expect(messages(file(good, "bearer_from ticket events\nbearer_from ticket events")) == ["this source is named twice"])
        #expect(
            messages(file(good, top: "ticket events {\n\(good)\npath /t\n}"))[0].hasPrefix("the tickets 'events' are already described"))
        #expect(messages(file(good, top: "ticket a.b {\n\(good)\npath /t\ncookie c\n}"))[0].hasPrefix("'a.b' cannot name tickets"))
        // A mistake in the block is the only message.
        #expect(messages(file("\(good)\nlifetime x")).count == 1)
    }

    @Test("is named where a reload has changed it, without its keys")
    func changes() throws {
        let old = try parse(file("sealing_key \(Self.key)")).configuration
        let new = try parse(file("sealing_key \(Self.other)\nsealing_key \(Self.key)")).configuration
        #expect(new.changes(since: old) == ["ticket events changed"])
    }
}

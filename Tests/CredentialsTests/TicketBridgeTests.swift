// Tickets in requests: found on the routes that use them, and removed on all others.

import Testing

@testable import Credentials

@Suite("Tickets in a request")
struct TicketBridgeTests {
    private static let tickets = [
        TicketPlaces(name: "events", cookie: "__Host-heartwire", query: "ticket"),
        TicketPlaces(name: "other", cookie: "__Host-other", query: nil), TicketPlaces(name: "links", cookie: nil, query: "link"),
    ]
    private let using = TokenBridge(
        policy: BearerPolicy(
            sources: [.query(name: "access_token"), .cookie(name: "session"), .ticket(name: "events")], whenMissing: .refuse),
        tickets: tickets)
    private let another = TokenBridge(policy: BearerPolicy(sources: [.cookie(name: "session")]), tickets: tickets)
    private let none = TokenBridge(policy: nil, tickets: tickets)

    private func ticket(_ result: BridgeResult) -> Int? {
        if case .forward(let request) = result { request.ticket } else { nil }
    }

    @Test("are found where the route uses them, as tickets and not as tokens")
    func found() {
        let inURL = examine(using, "/events?a=1&ticket=abc&b=2")
        #expect(summary(inURL) == "forward abc from query to /events?a=1&b=2" && ticket(inURL) == 0)
        let inCookie = examine(using, "/events", cookies: ["a=1; __Host-heartwire=abc; b=2"])
        #expect(summary(inCookie) == "forward abc from cookie with a=1; b=2" && ticket(inCookie) == 0)
        let token = examine(using, "/events?access_token=abc")
        #expect(summary(token) == "forward abc from query to /events" && ticket(token) == nil)
    }

    @Test("may be longer than tokens, and hold only what a ticket holds")
    func syntax() {
        let long = String(repeating: "a", count: 20_000)
        #expect(ticket(examine(using, "/events", cookies: ["__Host-heartwire=\(long)"])) == 0)
        #expect(summary(examine(using, "/events?ticket=a%20b")) == "400 forbiddenCharacter")
        #expect(summary(examine(using, "/events?ticket=\(long)\(long)")) == "400 tokenTooLong")
    }

    @Test("count like tokens when there are too many credentials")
    func conflicts() {
        #expect(summary(examine(using, "/e?ticket=a&ticket=b")) == "400 repeatedToken")
        #expect(summary(examine(using, "/e?ticket=a&access_token=b")) == "400 severalSources")
        #expect(summary(examine(using, "/e?ticket=a", cookies: ["__Host-heartwire=b"])) == "400 severalSources")
        #expect(summary(examine(using, "/e?ticket=a", authorizations: ["Bearer b"])) == "400 conflictsWithAuthorization")
        #expect(
            summary(examine(using, "/e", cookies: ["__Host-heartwire=a; x=1"], authorizations: ["Bearer b"]))
                == "forward - from - with x=1")
        #expect(summary(examine(using, "/e?ticket=", cookies: ["__Host-heartwire="])) == "401 missing")
    }

    @Test("go to no server on routes that do not use them")
    func removed() {
        for bridge in [another, none] {
            let result = examine(bridge, "/x?ticket=abc&a=1&link=d", cookies: ["__Host-heartwire=b; a=1", "__Host-other=%%; c=2"])
            #expect(summary(result) == "forward - from - to /x?a=1 with a=1; c=2" && ticket(result) == nil)
            #expect(summary(examine(bridge, "/x", cookies: ["__Host-heartwire=b"])) == "forward - from - with ")
            #expect(summary(examine(bridge, "/x?a=1", cookies: ["a=1"])) == "untouched")
        }
        #expect(
            summary(examine(another, "/x?ticket=abc", cookies: ["session=tok; __Host-heartwire=b"]))
                == "forward tok from cookie to /x with ")
        #expect(summary(examine(using, "/x?link=a")) == "401 missing")
        // Without a policy nothing is judged.
        #expect(summary(examine(none, "/x", authorizations: ["a", "b"])) == "untouched")
    }

    @Test("are cut out of URLs in other fields, and out of paths in logs")
    func redaction() {
        for bridge in [using, another, none] {
            let redacted = bridge.redact(url: Array("https://a/x?ticket=abc&b=1#link=c".utf8).span)
            #expect(redacted == Array("https://a/x?b=1".utf8) || redacted == Array("https://a/x?b=1#".utf8))
        }
        let paths = PathRedaction([], tickets: Self.tickets)
        #expect(paths.redacted(Array("/events;ticket=abc;a=1".utf8)[...]) == Array("/events;a=1".utf8)[...])
    }

    @Test("protect the URL that holds them, and say nothing about caches for cookies that were only removed")
    func secrecy() {
        guard case .forward(let request) = examine(none, "/x?ticket=abc", cookies: ["__Host-heartwire=b"]) else {
            Issue.record("it was not changed")
            return
        }
        #expect(request.urlHeldToken && !request.cookieHeldToken)
    }

    @Test("come back in a redirect only where they are used")
    func redirects() {
        guard case .forward(let request) = examine(using, "/x?ticket=abc"), let parameter = request.parameter else {
            Issue.record("no ticket was found")
            return
        }
        #expect(parameter.isTaken(by: using) && !parameter.isTaken(by: another) && !parameter.isTaken(by: none))
    }
}

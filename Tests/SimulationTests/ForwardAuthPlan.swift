// What one seed decides about a service that is asked before requests go to a server: for how long its answers count, how often it is asked
// again, how it fails, and who asks.

import Configuration
import Credentials
import TestSupport

/// The service of one world.
struct ForwardAuthPlan {
    /// The paths about which it is asked.
    static let path = "/asked/"
    static let host = "10.0.0.101"
    static let target = "/verify"
    /// The cookie that names a session.
    static let cookie = "sid"
    /// The fields in which it says who somebody is, and the number of its answer.
    static let memberField = "X-Member"
    static let answerField = "X-Answer"
    private static let name = "gate"

    let cacheMilliseconds: Int
    let deniedCacheMilliseconds: Int
    /// Nil where living streams are not asked about.
    let recheckMilliseconds: Int?
    let graceMilliseconds: Int
    let timeoutMilliseconds: Int
    /// How many questions in a thousand it does not answer well in good times.
    let moodiness: Int
    /// Whether it is in trouble at times.
    let hasTroubles: Bool
    /// Whether it lets requests without a session pass.
    let passesNobody: Bool
    let eventSourceCount: Int
    let clientCount: Int
    /// How many ask for the same room again and again; two of them share a session.
    let guestCount: Int

    /// Two worlds of five have a service. Nothing of the world itself follows from these choices.
    init?(ofWorld seed: UInt64) {
        var chance = Chance(seed: seed &+ 15_015)
        guard chance.permille(400) else { return nil }
        cacheMilliseconds = chance.pick([0, 500, 3_000, 10_000])
        deniedCacheMilliseconds = chance.pick([0, 500, 2_000])
        recheckMilliseconds = chance.permille(750) ? chance.pick([1_000, 1_000, 2_000, 4_000]) : nil
        graceMilliseconds = chance.pick([0, 1_000, 4_000, 20_000])
        timeoutMilliseconds = chance.pick([1_000, 2_000])
        moodiness = chance.permille(300) ? chance.number(10...150) : 0
        hasTroubles = chance.permille(600)
        passesNobody = chance.permille(300)
        eventSourceCount = chance.number(1...4)
        clientCount = chance.number(1...4)
        guestCount = chance.permille(700) ? chance.number(2...6) : 0
    }

    /// How many clients there are.
    var regulars: Int { eventSourceCount + clientCount + guestCount }

    var service: ForwardAuth {
        let url = ServiceURL(
            server: Upstream.Server(host: ForwardAuthPlan.host, port: 80), isSecure: false, target: ForwardAuthPlan.target,
            authority: ForwardAuthPlan.host)
        var terms = ForwardAuthTerms()
        terms.taken = [ForwardAuthPlan.memberField, ForwardAuthPlan.answerField]
        terms.cacheMilliseconds = cacheMilliseconds
        terms.deniedCacheMilliseconds = deniedCacheMilliseconds
        terms.recheckMilliseconds = recheckMilliseconds
        terms.recheckGraceMilliseconds = graceMilliseconds
        return ForwardAuth(
            name: ForwardAuthPlan.name,
            service: ServiceEndpoint(name: "forward_auth \(ForwardAuthPlan.name)", url: url, timeoutMilliseconds: timeoutMilliseconds),
            terms: terms)
    }

    /// The route whose requests it is asked about, in every other way like the one about whose requests nobody is asked.
    func route(like route: Route) -> Route {
        var route = route
        route.name = ForwardAuthPlan.path + "*"
        route.path = .prefix(ForwardAuthPlan.path)
        route.forwardAuth = ForwardAuthPlan.name
        route.bearer = BearerPolicy(sources: [])
        route.bearer?.asksService = true
        return route
    }

    /// What somebody sends who wants to be taken for somebody else, or wants the service to be asked about something else; often nothing.
    static func forgedFields(_ chance: inout Chance, isHTTP2: Bool = false) -> String {
        var lines = ""
        if chance.permille(250) { lines += "\(chance.pick(["X-Member", "x_member", "X.Member", "x-MEMBER"])): admin\r\n" }
        if chance.permille(150) { lines += "\(chance.pick(["X-Answer", "X_Answer"])): 0\r\n" }
        if chance.permille(150) {
            lines += chance.pick([
                "X-Forwarded-Uri: /asked/admin\r\n", "X-Original-URL: /asked/admin\r\n", "X-Forwarded-Method: TRACE\r\n",
                "X-Forwarded-For: 203.0.113.9\r\n", "X_Forwarded_Uri: /asked/admin\r\n",
            ])
        }
        // A field that the client names here would be dropped by a proxy that obeys.
        if !isHTTP2, chance.permille(80) { lines += "Connection: X-Member\r\n" }
        return lines
    }
}

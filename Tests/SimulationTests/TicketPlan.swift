// What one seed decides about tickets: for how long they open streams, for whom, and who asks for them. Their tokens are those of the
// world's issuers.

import Configuration
import Credentials
import TestSupport

/// The tickets of one world.
struct TicketPlan {
    /// The paths that they open.
    static let path = "/ticketed/"
    /// Where pages ask for them.
    static let endpoint = "/-/ticket"
    static let cookie = "__Host-heartwire"
    static let parameter = "ticket"
    /// The pages of another origin that get tickets, and pages that get none.
    static let friend = "https://app.example"
    static let foreigner = "https://evil.example"
    private static let name = "events"

    let lifetimeSeconds: Int64
    let limitSeconds: Int64
    let renews: Bool
    let bond: TicketBlock.Bond
    let eventSourceCount: Int
    let clientCount: Int

    /// Half of the worlds with tokens have tickets. Nothing of the world itself follows from these choices.
    init?(ofWorld seed: UInt64) {
        var chance = Chance(seed: seed &+ 16_016)
        guard chance.permille(500) else { return nil }
        lifetimeSeconds = Int64(chance.pick([2, 6, 20, 300]))
        limitSeconds = Int64(chance.pick([10, 40, 600]))
        renews = chance.permille(700)
        bond = chance.pick([.origin, .origin, .address, .off])
        eventSourceCount = chance.number(1...4)
        clientCount = chance.number(0...3)
    }

    /// How many clients there are, each with a connection for its tickets.
    var regulars: Int { 2 * (eventSourceCount + clientCount) }

    var block: TicketBlock {
        var block = TicketBlock(name: TicketPlan.name)
        block.keys = [[UInt8](repeating: 3, count: 32), [UInt8](repeating: 4, count: 32)]
        block.path = TicketPlan.endpoint
        block.query = TicketPlan.parameter
        block.lifetimeMilliseconds = Int(lifetimeSeconds) * 1_000
        block.limitMilliseconds = Int(limitSeconds) * 1_000
        block.renews = renews
        block.bond = bond
        block.allowedOrigins = [OriginPattern(TicketPlan.friend)].compactMap { $0 }
        return block
    }

    /// The route that tickets open, in every other way like the one that wants tokens.
    func route(like route: Route) -> Route {
        var route = route
        route.name = TicketPlan.path + "*"
        route.path = .prefix(TicketPlan.path)
        route.bearer = BearerPolicy(
            sources: [.ticket(name: TicketPlan.name)], whenMissing: route.bearer?.whenMissing ?? .refuse, checksTokens: true)
        route.allowedOrigins = block.allowedOrigins
        return route
    }
}

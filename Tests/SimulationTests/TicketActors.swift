// Pages and programs with tickets: they ask for one with their token, open streams with it, take the fresh ones that streams give, ask
// again when it is over, and take it back. Others bring one that is somebody else's, or changed.

import Configuration
import Foundation
import Reactor
import TestSupport

/// One page's or program's ticket.
final class TicketHolderActor: CredentialHolder {
    /// A request for a ticket, or to take one back.
    final class Call {
        let token: SimulatedToken?
        let origin: String
        let asksForCookie: Bool
        let askedAt: Int64
        fileprivate(set) var heardAt: Int64?
        fileprivate(set) var reader = ResponseReader()
        fileprivate(set) var crowding: Crowding?

        init(_ token: SimulatedToken?, _ origin: String, asksForCookie: Bool, at moment: Int64) {
            (self.token, self.origin, self.asksForCookie, askedAt) = (token, origin, asksForCookie, moment)
        }

        var response: Response? { reader.responses.first }
    }

    let pathPrefix = TicketPlan.path
    let isInURL: Bool
    let getsOthers: Bool
    let user: String
    private let origin: String
    private let host: String
    private let world: SimulatedWorld
    private let mint: Mint
    private let plan: TicketPlan
    private let readings: (Int64, Int64) -> [ClosedRange<Int64>]
    private let connect: () -> Wire
    /// Whose ticket it brings in place of one of its own.
    private let victim: TicketHolderActor?
    private let garbles: Bool
    private let lifetimeSeconds: ClosedRange<Int>
    private(set) var current: SimulatedTicket?
    /// The one that was taken back, which somebody may have copied before.
    private var old: SimulatedTicket?
    private(set) var calls: [Call] = []

    init(
        _ world: SimulatedWorld, _ mint: Mint, _ plan: TicketPlan, user: String, host: String, victim: TicketHolderActor?,
        readings: @escaping (Int64, Int64) -> [ClosedRange<Int64>], connect: @escaping () -> Wire
    ) {
        (self.world, self.mint, self.plan, self.user, self.host) = (world, mint, plan, user, host)
        (self.readings, self.connect) = (readings, connect)
        self.victim = world.chance.permille(300) ? victim : nil
        garbles = world.chance.permille(150)
        isInURL = world.chance.permille(400)
        getsOthers = world.chance.permille(700)
        let isThief = self.victim != nil
        // A page of a foreign origin has no cookies of this one.
        origin =
            isThief && isInURL && world.chance.permille(500)
            ? TicketPlan.foreigner : world.chance.permille(300) ? TicketPlan.friend : ""
        lifetimeSeconds = world.chance.pick([3...10, 20...60, 600...3_000])
    }

    // MARK: Asking

    private func call(_ method: String, _ lines: String, body: String, _ call: Call, then: @escaping (Response) -> Void) {
        calls.append(call)
        let wire = connect()
        wire.changed = { [unowned self, unowned wire] in
            guard call.heardAt == nil else { return }
            call.reader.receive(wire.read())
            call.crowding = wire.socket.crowding
            if let response = call.response, response.isComplete {
                call.heardAt = world.now
                then(response)
                wire.end(.left)
            } else if wire.isBroken || wire.hasEnded {
                wire.end(.left)
            }
        }
        let page = call.origin.isEmpty ? "" : "Origin: \(call.origin)\r\n"
        let framing = "Content-Length: \(body.utf8.count)\r\n\r\n"
        wire.send(Array("\(method) \(TicketPlan.endpoint) HTTP/1.1\r\nHost: a\r\n\(page)\(lines)\(framing)\(body)".utf8))
    }

    /// Asks for a ticket with a token, a good one in most cases.
    func renew() {
        guard victim == nil else { return }
        let token = world.chance.permille(150) ? mint.makeBad(for: user) : mint.make(for: user, lifetimeSeconds: lifetimeSeconds)
        let asksForCookie = !isInURL
        let path = world.chance.permille(60) ? "\(TicketPlan.path)es/0" : nil
        // Some pages are of an origin that gets none.
        let asking = world.chance.permille(60) ? TicketPlan.foreigner : origin
        let call = Call(token, asking, asksForCookie: asksForCookie, at: world.now)
        // A browser that has a ticket sends it along: the new one is of the same family.
        let present = asksForCookie && world.chance.permille(700) ? current : nil
        let cookie = present.map { "Cookie: \(TicketPlan.cookie)=\($0.text)\r\n" } ?? ""
        var members = [isInURL ? "\"as\":\"query\"" : "\"as\":\"cookie\""]
        if let path { members.append("\"path\":\"\(path)\"") }
        world.count("asked for a ticket")
        self.call(
            "POST", "Authorization: Bearer \(token.text)\r\n\(cookie)", body: "{\(members.joined(separator: ","))}", call
        ) { [self] response in
            guard let text = ticketText(in: response) else { return }
            let moments = readings(call.askedAt, world.now)
            guard let first = moments.map(\.lowerBound).min(), let last = moments.map(\.upperBound).max() else { return }
            let limit = min(first + plan.limitSeconds, token.expires)...min(last + plan.limitSeconds, token.expires)
            var family = TicketFamily(after: present?.family)
            if let present, present.family.takenBackAt == nil, first < present.expires.upperBound {
                // Of one that was over by then it is none. Where nobody can say, the page throws it away.
                guard last < present.expires.lowerBound else { return current = nil }
                family = present.family
            }
            current = SimulatedTicket(
                text: text, token: token, family: family,
                expires: expires(first, last, limit), limit: limit, path: path, origin: call.origin, host: host)
        }
    }

    private func expires(_ first: Int64, _ last: Int64, _ limit: ClosedRange<Int64>) -> ClosedRange<Int64> {
        min(first + plan.lifetimeSeconds, limit.lowerBound)...min(last + plan.lifetimeSeconds, limit.upperBound)
    }

    private func ticketText(in response: Response) -> String? {
        if response.status == 204 { return cookieValue(in: response) }
        guard response.status == 200 else { return nil }
        let body = String(decoding: response.body, as: UTF8.self)
        return body.split(separator: "\"").first { $0.count > 60 }.map(String.init)
    }

    private func cookieValue(in response: Response) -> String? {
        let cookie = response.fields.first { $0.name == "set-cookie" && $0.value.hasPrefix("\(TicketPlan.cookie)=") }?.value
        return cookie.flatMap { $0.split(separator: ";").first.map { String($0.dropFirst(TicketPlan.cookie.count + 1)) } }
    }

    /// The user logs out.
    func takeBack() {
        guard let ticket = current, ticket.family.takenBackAt == nil, victim == nil else { return }
        world.count("ticket taken back")
        ticket.family.takeBack(at: world.now)
        (old, current) = (ticket, nil)
        let call = Call(nil, ticket.origin, asksForCookie: false, at: world.now)
        let lines = isInURL ? "" : "Cookie: \(TicketPlan.cookie)=\(ticket.text)\r\n"
        let body = isInURL ? "{\"ticket\":\"\(ticket.text)\"}" : ""
        self.call("DELETE", lines, body: body, call) { [world, readings] response in
            if response.status == 204 { ticket.family.toldAt = world.now }
            ticket.family.mayBeForgotten = readings(call.askedAt, world.now).contains { $0.upperBound >= ticket.expires.lowerBound }
        }
    }

    // MARK: Requests

    func bring(for truth: Truth, isEventSource: Bool, isHTTP2: Bool) -> (query: String, lines: String) {
        var brought = BroughtCredentials(isEventSource: isEventSource)
        let page = origin.isEmpty ? "" : "Origin: \(origin)\r\n"
        let forged = CredentialPlan.forgedField(&world.chance)
        defer { truth.credentials = brought }
        let copied = world.chance.permille(700) ? old : nil
        guard var ticket = victim.map({ $0.current ?? $0.old }) ?? current ?? copied else {
            if mint.plan.passesNobody { brought.isNobody = true } else { brought.faults = ["missing"] }
            return ("", page + forged)
        }
        if garbles, world.chance.permille(500) { garble(&ticket) }
        brought.token = ticket.token
        brought.ticket = BroughtTicket(ticket: ticket, path: truth.path, origin: origin, host: host, isInCookie: !isInURL)
        world.count(victim == nil ? "ticket brought" : "somebody else's ticket brought")
        if isInURL { return ("?\(TicketPlan.parameter)=\(ticket.text)", page + forged) }
        return ("", "\(page)Cookie: a=b; \(TicketPlan.cookie)=\(ticket.text)\r\n\(forged)")
    }

    private func garble(_ ticket: inout SimulatedTicket) {
        var bytes = Array(ticket.text.utf8)
        let place = world.chance.number(0...bytes.count - 1)
        bytes[place] = bytes[place] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
        ticket.text = String(decoding: bytes, as: UTF8.self)
        ticket.isGarbled = true
    }

    /// A stream has given a fresh cookie, which a browser sends from then on.
    func heard(_ response: Response, to truth: Truth) {
        guard let text = cookieValue(in: response), let brought = truth.credentials?.ticket, let askedAt = truth.askedAt else { return }
        world.count("fresh ticket from a stream")
        let (old, moments) = (brought.ticket, readings(askedAt, world.now))
        guard let first = moments.map(\.lowerBound).min(), let last = moments.map(\.upperBound).max() else { return }
        guard victim == nil, current?.family === old.family else { return }
        current = old
        current?.text = text
        current?.expires = expires(first, last, old.limit)
    }
}

extension Scenario {
    func addTickets() {
        // Where keys are fetched, it is not known when a ticket's token could be checked.
        guard let rules = plan.credentials, let tickets = plan.tickets, house == nil else { return }
        register(Truth(path: TicketPlan.endpoint, isStream: false))
        let mint = Mint(rules, world, house: nil, clock: { [unowned self] in kernel.unixMilliseconds() / 1_000 })
        var last: TicketHolderActor?
        func makeHolder(_ number: Int, _ user: String) -> TicketHolderActor {
            let holder = TicketHolderActor(
                world, mint, tickets, user: user, host: "192.0.2.\(1 + number % plan.addressCount)", victim: last,
                readings: { [unowned self] in kernel.clockReadings(from: $0, to: max($0, $1)) },
                connect: { [unowned self] in connection(from: number) })
            last = last ?? holder
            ticketHolders.append(holder)
            world.after(Int64(world.chance.number(0...1_000))) { holder.renew() }
            if world.chance.permille(250) { world.after(Int64(world.chance.number(5_000...35_000))) { holder.takeBack() } }
            return holder
        }
        for number in 0..<tickets.eventSourceCount {
            addEventSource(number: 3_000 + number, holder: makeHolder(3_100 + number, "ticketed-\(number)"))
        }
        for number in 0..<tickets.clientCount {
            addClient(number: 3_500 + number, makeHolder(3_500 + number, "ticketed-program-\(number)"))
        }
    }
}

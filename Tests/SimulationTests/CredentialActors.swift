// Those who bring credentials: EventSources and programs with tokens in every place, and members, who all ask for the same rooms.

import Reactor
import ReferenceEventSource
import TestSupport

/// One of several users who ask for the same path again and again, each with tokens of his own. What one of them gets must never be
/// another one's.
final class Member {
    static let path = "\(CredentialPlan.path)room/"

    /// One request and its answer.
    final class Visit {
        let path: String
        let askedAt: Int64
        let credentials: BroughtCredentials
        fileprivate(set) var heardAt: Int64?
        fileprivate(set) var reader = ResponseReader()
        fileprivate(set) var crowding: Crowding?

        init(_ path: String, _ credentials: BroughtCredentials, at moment: Int64) {
            (self.path, self.credentials, askedAt) = (path, credentials, moment)
        }

        var response: Response? { reader.responses.first }
    }

    let wallet: Wallet
    private let world: SimulatedWorld
    private let connect: () -> Wire
    private let asked: (String) -> Void
    private var wire: Wire?
    private(set) var visits: [Visit] = []
    private var isDone = false

    init(_ world: SimulatedWorld, _ wallet: Wallet, connect: @escaping () -> Wire, asked: @escaping (String) -> Void) {
        (self.world, self.wallet, self.connect, self.asked) = (world, wallet, connect, asked)
    }

    func begin() {
        guard !isDone else { return }
        let path = "\(Member.path)\(world.chance.number(0...1))"
        let wire = connect()
        self.wire = wire
        let brought = wallet.bring(isEventSource: wallet.place != .authorization, isHTTP2: wire.version == "2")
        asked(path)
        let visit = Visit(path, brought.credentials, at: world.now)
        visits.append(visit)
        wire.changed = { [unowned self] in look(visit) }
        let usual = "Host: a\r\nAccept: text/event-stream\r\n"
        wire.send(Array("GET \(path)\(brought.query) HTTP/1.1\r\n\(usual)\(brought.lines)\r\n".utf8))
        world.after(Int64(world.chance.number(300...6_000))) { [self] in if self.wire === wire { leave(.left) } }
    }

    private func look(_ visit: Visit) {
        guard let wire, visits.last === visit else { return }
        visit.reader.receive(wire.read())
        visit.crowding = wire.socket.crowding
        if visit.response != nil { visit.heardAt = visit.heardAt ?? world.now }
        if wire.isBroken || wire.hasEnded || visit.response?.isComplete == true { leave(.left) }
    }

    private func leave(_ deed: Deed) {
        guard let wire else { return }
        wire.end(deed)
        self.wire = nil
        if world.chance.permille(wallet.renewal == .never ? 100 : 400) { wallet.renew() }
        world.after(Int64(world.chance.number(50...2_000))) { [self] in begin() }
    }

    /// It does not come back any more.
    func retire() { isDone = true }
}

extension Scenario {
    /// Seconds since 1970, as the proxy reads them.
    private var clock: () -> Int64 { { [unowned self] in kernel.unixMilliseconds() / 1_000 } }

    func addCredentials() {
        guard let credentials = plan.credentials else { return }
        let mint = Mint(credentials, world, house: house, clock: clock)
        for number in 0..<credentials.eventSourceCount {
            let wallet = makeWallet(mint, "page-\(number)", [.query, .cookie, .cookie])
            addEventSource(number: 1_000 + number, holder: wallet)
        }
        for number in 0..<credentials.clientCount {
            addClient(number: 1_000 + number, makeWallet(mint, "program-\(number)", [.query, .cookie, .authorization, .authorization]))
        }
        for number in 0..<2 where credentials.memberCount > 0 { register(Truth(path: "\(Member.path)\(number)", isStream: true)) }
        for number in 0..<credentials.memberCount {
            let wallet = makeWallet(mint, "member-\(number)", [.query, .cookie, .authorization])
            let isHTTP2 = plan.speaksHTTP2 && world.chance.permille(500)
            let member = Member(
                world, wallet, connect: { [unowned self] in ownConnection(1_200 + number, isHTTP2: isHTTP2) },
                asked: { [unowned self] in truths[$0]?.askedAt = truths[$0]?.askedAt ?? world.now })
            members.append(member)
            world.after(Int64(world.chance.number(0...10_000))) { member.begin() }
        }
        if house != nil { addFlood(mint) }
    }

    private func makeWallet(_ mint: Mint, _ user: String, _ places: [Wallet.Place]) -> Wallet {
        Wallet(world, mint, user: user, places: places, clock: clock)
    }

    /// A program that asks for a few things, one after the other or all at once, and for a stream at last.
    func addClient(number: Int, _ holder: any CredentialHolder) {
        let isSlow = world.chance.permille(100)
        var requests: [(truth: Truth, bytes: [UInt8])] = []
        // Tokens are made when they are needed.
        world.after(Int64(world.chance.number(0...20_000))) { [self] in
            for index in 0..<world.chance.number(0...3) {
                requests.append(ordinaryRequest("\(number)/\(index)", isSlow: isSlow, holder))
            }
            if world.chance.permille(700) || requests.isEmpty {
                let truth = Truth(path: "\(holder.pathPrefix)stream/\(number)", isStream: true, isSlow: isSlow)
                let brought = holder.bring(for: truth, isEventSource: true, isHTTP2: false)
                if world.chance.permille(300), let token = truth.credentials?.token?.text { truth.token = Array(token.utf8) }
                let head = "GET \(truth.path)\(brought.query) HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\(brought.lines)\r\n"
                requests.append((truth, Array(head.utf8)))
            }
            for (truth, _) in requests { register(truth) }
            let client = SimulatedClient(
                world, connection(from: number), truths: requests.map(\.truth), requests: requests.map(\.bytes), isSlow: isSlow,
                sendsAllAtOnce: world.chance.permille(300))
            clients.append(client)
            guard world.chance.permille(200) else { return }
            world.after(Int64(world.chance.number(0...20_000))) { client.leave(.left) }
        }
    }
}

// Those about whose requests a service is asked: EventSources and programs with sessions, and guests, who ask for the same rooms again and
// again, some of them with the same session.

import Reactor
import TestSupport

/// A page's or a program's session.
final class Badge: CredentialHolder {
    let pathPrefix = ForwardAuthPlan.path
    let isInURL = false
    private(set) var getsOthers: Bool
    private let world: SimulatedWorld
    private let service: SimulatedAuthService
    private let user: String
    private var session: Session

    init(_ world: SimulatedWorld, _ service: SimulatedAuthService, user: String, mayBeField: Bool) {
        (self.world, self.service, self.user) = (world, service, user)
        getsOthers = world.chance.permille(600)
        session = world.chance.permille(80) ? service.nobody : service.makeSession(user, mayBeField: mayBeField)
    }

    func renew() { session = service.logIn(user) }

    func bring(for truth: Truth, isEventSource: Bool, isHTTP2: Bool) -> (query: String, lines: String) {
        truth.session = session
        truth.isPlainlyRefused = isEventSource && !session.isField
        return ("", session.lines(&world.chance) + ForwardAuthPlan.forgedFields(&world.chance, isHTTP2: isHTTP2))
    }
}

/// One of several who ask for the same rooms. What the service says of one of them must never become another one's.
final class Guest {
    static let path = "\(ForwardAuthPlan.path)room/"

    /// One request and its answer.
    final class Visit {
        let path: String
        let session: Session
        let askedAt: Int64
        let isPlain: Bool
        /// When its first bytes came, when it ended on the other side, and when the guest left.
        fileprivate(set) var heardAt: Int64?
        fileprivate(set) var endedAt: Int64?
        fileprivate(set) var leftAt: Int64?
        fileprivate(set) var client = ""
        fileprivate(set) var reader = ResponseReader()
        fileprivate(set) var crowding: Crowding?

        init(_ path: String, _ session: Session, at moment: Int64, isPlain: Bool) {
            (self.path, self.session, askedAt, self.isPlain) = (path, session, moment, isPlain)
        }

        var response: Response? { reader.responses.first }
    }

    let session: Session
    /// Another tab of the same page, which often comes back in the same moment.
    weak var twin: Guest?
    /// Whether it is an EventSource, and not a page that can show a login.
    private let isPlain: Bool
    private let world: SimulatedWorld
    private let connect: () -> Wire
    private let asked: (String) -> Void
    private var wire: Wire?
    private(set) var visits: [Visit] = []
    private var isDone = false

    init(_ world: SimulatedWorld, _ session: Session, connect: @escaping () -> Wire, asked: @escaping (String) -> Void) {
        (self.world, self.session, self.connect, self.asked) = (world, session, connect, asked)
        isPlain = world.chance.permille(600)
    }

    func begin() {
        let path = "\(Guest.path)\(world.chance.number(0...1))"
        ask(for: path)
        if world.chance.permille(600) { twin?.ask(for: path) }
    }

    private func ask(for path: String) {
        guard !isDone, wire == nil else { return }
        let wire = connect()
        self.wire = wire
        asked(path)
        let visit = Visit(path, session, at: world.now, isPlain: isPlain)
        visits.append(visit)
        visit.client = wire.socket.client.map { "\($0)" } ?? ""
        wire.changed = { [unowned self] in look(visit) }
        let shown = session.lines(&world.chance) + ForwardAuthPlan.forgedFields(&world.chance, isHTTP2: wire.version == "2")
        wire.send(Array("GET \(path) HTTP/1.1\r\nHost: a\r\nAccept: \(isPlain ? "text/event-stream" : "text/html")\r\n\(shown)\r\n".utf8))
        let isPatient = world.chance.permille(400)
        world.after(Int64(world.chance.number(isPatient ? 5_000...25_000 : 300...6_000))) { [self] in
            if self.wire === wire { leave() }
        }
    }

    private func look(_ visit: Visit) {
        guard let wire, visits.last === visit else { return }
        visit.reader.receive(wire.read())
        visit.crowding = wire.socket.crowding
        if visit.response != nil { visit.heardAt = visit.heardAt ?? world.now }
        guard wire.isBroken || wire.hasEnded || visit.response?.isComplete == true else { return }
        visit.endedAt = world.now
        leave()
    }

    private func leave() {
        guard let wire else { return }
        visits.last?.leftAt = world.now
        wire.end(.left)
        self.wire = nil
        world.after(Int64(world.chance.number(50...2_000))) { [self] in begin() }
    }

    /// It does not come back any more.
    func retire() { isDone = true }
}

extension Scenario {
    func addForwardAuth() {
        guard let rules = plan.forwardAuth else { return }
        let service = SimulatedAuthService(rules, world, kernel)
        authService = service
        service.begin()
        for number in 0..<rules.eventSourceCount {
            addEventSource(number: 2_000 + number, holder: Badge(world, service, user: "visitor-\(number)", mayBeField: false))
        }
        for number in 0..<rules.clientCount {
            addClient(number: 2_000 + number, Badge(world, service, user: "caller-\(number)", mayBeField: true))
        }
        for number in 0..<2 where rules.guestCount > 0 { register(Truth(path: "\(Guest.path)\(number)", isStream: true)) }
        var last: Session?
        for number in 0..<rules.guestCount {
            let session = number % 2 == 1 ? last ?? service.nobody : service.makeSession("guest-\(number)", mayBeField: false)
            last = session
            let isHTTP2 = plan.speaksHTTP2 && world.chance.permille(500)
            // Two of them come from one address, or the service would be asked two questions.
            let place = 2_200 + number / 2 + number % 2 * 10 * plan.addressCount
            let guest = Guest(
                world, session, connect: { [unowned self] in ownConnection(place, isHTTP2: isHTTP2) },
                asked: { [unowned self] in truths[$0]?.askedAt = truths[$0]?.askedAt ?? world.now })
            if number % 2 == 1 { guests.last?.twin = guest }
            guests.append(guest)
            world.after(Int64(world.chance.number(0...10_000))) { guest.begin() }
        }
    }
}

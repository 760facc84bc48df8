// An EventSource that follows WHATWG HTML 9.2 exactly: whatever breaks, it comes back after its reconnection time with its last event
// id. It stops for good at any answer that is no event stream of status 200. Invariant: each attempt asks for its own path, so that
// servers and logs can tell the attempts apart.

import Reactor
import ReferenceEventSource
import TestSupport

final class SimulatedEventSource {
    /// One connection or reconnection.
    final class Attempt {
        let truth: Truth
        let beganAt: Int64
        /// How many connections the proxy had when it accepted the connection.
        var crowding: Crowding? { truth.socket?.crowding }
        fileprivate var reader = ResponseReader()
        fileprivate(set) var endedAt: Int64?
        /// The longest time without a byte between the head and the end.
        fileprivate(set) var longestSilence: Int64 = 0
        fileprivate(set) var silenceBeganAt: Int64 = 0

        init(_ truth: Truth, at moment: Int64) {
            self.truth = truth
            beganAt = moment
        }

        /// What came; nil before a head has come.
        var response: Response? { reader.responses.first }
        /// The broken rule of HTTP; nil without one.
        var violation: String? { reader.violation ?? (reader.responses.count > 1 ? "two responses to one request" : nil) }
        /// Whether the stream ended with the event about an expired token.
        var wasToldExpiry: Bool { read.events.last?.type == Array(CredentialChecks.expiryEvent.utf8) }
        /// What an EventSource read from the body.
        var read: ReferenceEventSource { ReferenceEventSource(reading: response?.body ?? [], after: truth.lastEventID) }
    }

    /// The page's settings for its EventSource.
    struct Manner {
        /// The page's origin differs from the request's.
        var isForeign = false
        var hasCookie = false
        /// Names another client in X-Forwarded-For, as a proxy does.
        var claimsAnotherClient = false
        /// Whether it reuses a connection that the last answer has left open.
        var reusesConnections = false
        var isSlow = false
        /// Whether it may read nothing for seconds, as a page that computes.
        var isBusy = false
        /// Whether it comes through a Varnish and a Squid.
        var comesThroughHops = false
    }

    /// The client that requests claim to come from.
    static let claimedClient = "203.0.113.200"

    let number: Int
    let manner: Manner
    private let world: SimulatedWorld
    private let connect: () -> Wire
    private let register: (Truth) -> Void
    /// Its page's credentials; nil where it asks for what is not checked.
    private let holder: (any CredentialHolder)?
    /// What its paths begin with.
    var path: String { "\(holder?.pathPrefix ?? "/")es/\(number)" }
    private(set) var attempts: [Attempt] = []
    private(set) var isDead = false
    private(set) var hasLeft = false
    private var hasRetired = false
    private static let usualReconnectionMilliseconds: Int64 = 3_000
    private var reconnectionMilliseconds = SimulatedEventSource.usualReconnectionMilliseconds
    /// When it comes back.
    private var comesBackAt: Int64 = 0
    private var lastEventID: [UInt8] = []
    private var wire: Wire?
    private var isReading = false

    init(
        _ world: SimulatedWorld, number: Int, manner: Manner, holder: (any CredentialHolder)? = nil, connect: @escaping () -> Wire,
        register: @escaping (Truth) -> Void
    ) {
        self.holder = holder
        self.world = world
        self.number = number
        self.manner = manner
        self.connect = connect
        self.register = register
    }

    // MARK: Requests

    /// Opens a connection, or takes the open one, and sends a request.
    func begin() {
        guard !hasLeft, !isDead, !hasRetired else { return }
        let truth = Truth(path: "\(path)/\(attempts.count)", isStream: true, isSlow: manner.isSlow, lastEventID: lastEventID)
        register(truth)
        truth.isRich = manner.isBusy
        truth.askedAt = world.now
        let attempt = Attempt(truth, at: world.now)
        attempts.append(attempt)
        if wire?.isUsable != true || wire?.hasEnded == true {
            wire?.end(.left)
            wire = connect()
        }
        guard let wire else { return }
        truth.wire = wire
        truth.version = wire.version
        wire.truth = truth
        wire.socket.keepsReadTimes = manner.isSlow
        wire.changed = { [unowned self] in look() }
        let resuming = lastEventID.isEmpty ? "" : "Last-Event-ID: \(String(decoding: lastEventID, as: UTF8.self))\r\n"
        truth.agent = "node"
        if manner.comesThroughHops { truth.hops = ["varnish", "squid"] }
        let via = manner.comesThroughHops ? "Via: 1.1 varnish (Varnish/7.1), 1.1 squid.example\r\n" : ""
        let origin = manner.isForeign ? "Origin: https://elsewhere.example\r\n" : ""
        let cookie = manner.hasCookie ? "Cookie: c=d\r\n" : ""
        let claim = manner.claimsAnotherClient ? "X-Forwarded-For: \(SimulatedEventSource.claimedClient)\r\n" : ""
        let usual = "Host: a\r\nAccept: text/event-stream\r\nUser-Agent: node\r\n"
        let brought = holder?.bring(for: truth, isEventSource: true, isHTTP2: wire.version == "2")
        let target = truth.path + (brought?.query ?? "")
        let lines = usual + via + origin + cookie + claim + (brought?.lines ?? "") + resuming
        wire.send(Array("GET \(target) HTTP/1.1\r\n\(lines)\r\n".utf8))
    }

    // MARK: Reading

    private func look() {
        guard let attempt = attempts.last, attempt.endedAt == nil, let wire else { return }
        noteSilence(attempt, wire)
        guard !isReading else { return }
        isReading = true
        world.after(pause()) { [self] in
            isReading = false
            read()
        }
    }

    /// How long it does something else before it reads.
    private func pause() -> Int64 {
        guard manner.isSlow else { return 0 }
        return Int64(world.chance.number(manner.isBusy && world.chance.permille(100) ? 1_000...10_000 : 0...700))
    }

    /// A silence is measured on the network, however slowly this client reads.
    private func noteSilence(_ attempt: Attempt, _ wire: Wire) {
        guard attempt.silenceBeganAt > 0, let arrivedAt = wire.lastArrivalAt else { return }
        let silence = world.now - attempt.silenceBeganAt - wire.congestion(since: attempt.silenceBeganAt)
        attempt.longestSilence = max(attempt.longestSilence, silence)
        attempt.silenceBeganAt = arrivedAt
    }

    private func read() {
        guard let attempt = attempts.last, attempt.endedAt == nil, let wire else { return }
        attempt.reader.receive(wire.read(upTo: manner.isSlow ? world.chance.number(1...3000) : .max))
        if wire.hasEnded, wire.endIsAuthentic { attempt.reader.ended() }
        if attempt.response != nil, attempt.silenceBeganAt == 0 { attempt.silenceBeganAt = world.now }
        if let response = attempt.response, attempt.truth.heardAt == nil {
            attempt.truth.heardAt = world.now
            holder?.heard(response, to: attempt.truth)
        }
        if let response = attempt.response, response.status != 200 || !response.isEventStream { return die(attempt) }
        if wire.isBroken || wire.hasEnded || attempt.response?.isComplete == true { return endOfStream(attempt) }
        if wire.hasMore { look() }
    }

    /// "Fail the connection": never again.
    private func die(_ attempt: Attempt) {
        // The rest of the answer does not matter.
        if attempt.response?.isComplete != true { attempt.truth.clientDeed = attempt.truth.clientDeed ?? .left }
        attempt.endedAt = world.now
        wire?.end(.left)
        guard let holder, attempt.response?.isRefusal == true, holder.getsOthers else {
            isDead = true
            return
        }
        // The user logs in again.
        world.count("a page logs in again")
        makeAnother()
        world.after(Int64(world.chance.number(500...4_000))) { [self] in
            holder.renew()
            begin()
        }
    }

    /// "Reestablish the connection": the stream ended, or the network failed.
    private func endOfStream(_ attempt: Attempt) {
        if let wire { noteSilence(attempt, wire) }
        attempt.endedAt = world.now
        if let response = attempt.response, response["content-encoding"] == nil {
            let read = attempt.read
            lastEventID = read.lastEventID
            if let told = read.reconnectionTimeMilliseconds { reconnectionMilliseconds = Int64(clamping: told) }
        }
        if !manner.reusesConnections || attempt.response?.isComplete != true || attempt.response?["connection"] == "close" {
            wire?.end(.left)
            wire = nil
        }
        if let holder, holder.getsOthers, attempt.wasToldExpiry {
            return renew(holder)
        }
        comeBack(after: reconnectionMilliseconds)
    }

    /// The page makes another EventSource, which knows nothing of the one before.
    private func makeAnother() { (lastEventID, reconnectionMilliseconds) = ([], SimulatedEventSource.usualReconnectionMilliseconds) }

    private func comeBack(after milliseconds: Int64) {
        comesBackAt = world.now + milliseconds
        world.after(milliseconds) { [self] in begin() }
    }

    /// The page has been told that its token has expired.
    private func renew(_ holder: any CredentialHolder) {
        let soon = Int64(world.chance.number(0...3_000))
        world.after(soon) { holder.renew() }
        guard holder.isInURL else { return comeBack(after: reconnectionMilliseconds) }
        // Another URL needs another EventSource.
        makeAnother()
        comeBack(after: soon + 1)
    }

    // MARK: Leaving

    /// The page is closed, or its machine is gone.
    func leave(_ deed: Deed) {
        guard !hasLeft else { return }
        hasLeft = true
        if let attempt = attempts.last, attempt.endedAt == nil {
            // Its connection may have ended before, in another way, and a slow page does not know it yet.
            attempt.truth.clientDeed = attempt.truth.clientDeed ?? deed
            world.count("client \(deed.rawValue)")
            if let wire { noteSilence(attempt, wire) }
            attempt.endedAt = world.now
        }
        wire?.end(deed)
    }

    /// The proxy is about to end, so this EventSource does not come back any more.
    func retire() { hasRetired = true }

    /// Whether a server has served it since that moment, or it does not want anything any more.
    func isContent(since moment: Int64) -> Bool {
        if isDead || hasLeft { return true }
        // It was told to come back later, because of its token, and remembers that (WHATWG HTML 9.2.3); or its page has no other token.
        if holder != nil, let last = attempts.last, last.endedAt != nil, last.wasToldExpiry || comesBackAt > world.now { return true }
        // It was refused, and its page logs in again.
        if holder != nil, let last = attempts.last, last.response?.isRefusal == true { return true }
        // It has come back only now.
        if holder != nil, let last = attempts.last, last.endedAt == nil, world.now - last.beganAt < 8_000 { return true }
        return attempts.isEmpty
            || attempts.contains { attempt in
                guard let arrival = attempt.truth.present else { return false }
                return arrival.cameAt >= moment || (arrival.answer?.isStream == true && attempt.endedAt ?? world.now >= moment)
            }
    }
}

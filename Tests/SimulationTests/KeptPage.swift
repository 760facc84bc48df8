// A page of the world of kept streams.

import ReferenceEventSource
import TestSupport

@testable import Reactor

/// A page whose EventSource comes back by the letter of the standard.
final class KeptPage {
    /// One request and what was read of its response.
    struct Visit {
        let beganAt: Int64
        let broughtID: [UInt8]
        /// Whether that id is another page's.
        let isStolen: Bool
        let version: String
        var endedAt: Int64?
        /// How it left.
        var deed = Deed.left
        /// Whether the other end ended its response, or cut it.
        var isEndedByProxy = false
        var response: Response?
        var read = ReferenceEventSource(reading: [])
    }

    let number: Int
    private unowned let home: KeptStreamsWorld
    private(set) var visits: [Visit] = []
    private var reader = ResponseReader()
    private var wire: Wire?
    /// How its connection ends, also where a whole connection of HTTP/2 does.
    private var truth: Truth?
    private(set) var lastEventID: [UInt8] = []
    private var lastByteAt: Int64 = 0
    /// A page that does not read for seconds.
    private(set) var isBusy = false
    /// When its connection broke, while it was busy.
    private var brokenAt: Int64?
    private(set) var longestSilence: Int64 = 0
    /// Whose it is: two pages may have the same cookie, and then they are of different hosts.
    let (cookie, host): (String, String)
    var owner: String { "\(cookie) at \(host)" }
    let speaksHTTP2: Bool
    /// Whether a request has no answer yet.
    var waitsForAnswer: Bool { wire != nil && visits.last?.response == nil }
    /// Whether it reads a response.
    var hasResponse: Bool { wire != nil && visits.last?.response != nil }
    /// When the server gave another answer than a stream to a request that the page knows nothing of.
    var answeredOtherwiseAt: [Int64] = []
    /// How long nothing has come by now, where a stream is open.
    var silence: Int64 { hasResponse && !isBusy ? home.world.now - lastByteAt : 0 }

    init(_ number: Int, _ home: KeptStreamsWorld) {
        self.number = number
        self.home = home
        (cookie, host) = ("who=\(number / 2)", number % 2 == 0 ? "a" : "b")
        speaksHTTP2 = home.plan.speaksHTTP2 && home.world.chance.permille(700)
    }

    func open() {
        guard home.drainsSince == .max else { return }
        var (id, isStolen) = (lastEventID, false)
        let others = home.pages.filter { $0 !== self && !$0.lastEventID.isEmpty }
        if !others.isEmpty, !home.isCalm, home.world.chance.permille(home.plan.shareOfThefts) {
            (id, isStolen) = (home.world.chance.pick(others).lastEventID, true)
            home.count("ids of others")
        }
        let wire = home.connection(of: self)
        let truth = Truth(path: "/kept", isStream: true, isSlow: false)
        wire.truth = truth
        self.truth = truth
        reader = ResponseReader()
        brokenAt = nil
        visits.append(Visit(beganAt: home.world.now, broughtID: id, isStolen: isStolen, version: wire.version))
        self.wire = wire
        lastByteAt = home.world.now
        wire.changed = { [unowned self] in look() }
        let brought = id.isEmpty ? "" : "Last-Event-ID: \(String(decoding: id, as: UTF8.self))\r\n"
        wire.send(Array("GET /kept HTTP/1.1\r\nHost: \(host)\r\nAccept: text/event-stream\r\nCookie: \(cookie)\r\n\(brought)\r\n".utf8))
        let visit = visits.count
        if !home.isCalm {
            home.world.after(Int64(home.world.chance.number(0...home.world.chance.pick([50, 3_000, 20_000])))) { [self] in
                guard visit == visits.count, visits[visit - 1].endedAt == nil, !home.isCalm else { return }
                leave(home.world.chance.pick([.left, .reset, .vanished]))
            }
        }
        guard home.world.chance.permille(200) else { return }
        home.world.after(Int64(home.world.chance.number(0...2_000))) { [self] in
            isBusy = true
            home.world.after(Int64(home.world.chance.number(100...4_000))) { [self] in
                isBusy = false
                lastByteAt = home.world.now
                look()
            }
        }
    }

    private func look() {
        // A busy page learns late that its connection is gone.
        if isBusy, wire?.isBroken == true { brokenAt = brokenAt ?? home.world.now }
        guard let wire, !isBusy, visits[visits.count - 1].endedAt == nil else { return }
        let bytes = wire.read()
        if !bytes.isEmpty {
            longestSilence = max(longestSilence, silence)
            lastByteAt = home.world.now
        }
        reader.receive(bytes)
        take()
        if reader.responses.first?.isComplete == true || wire.isBroken || wire.hasEnded {
            visits[visits.count - 1].isEndedByProxy = truth?.clientDeed == nil
            leave(.left)
        }
    }

    private func take() {
        let response = reader.responses.first
        visits[visits.count - 1].response = response
        let before = visits[visits.count - 1].broughtID
        visits[visits.count - 1].read = ReferenceEventSource(reading: response?.body ?? [], after: before)
    }

    private func leave(_ deed: Deed) {
        guard let wire else { return }
        visits[visits.count - 1].endedAt = brokenAt ?? home.world.now
        // A machine that vanishes takes all its pages with it, and nobody is told.
        visits[visits.count - 1].deed = truth?.clientDeed ?? deed
        if let violation = reader.violation { home.problems.append("page \(number): \(violation)") }
        let visit = visits[visits.count - 1]
        if visit.response != nil, !visit.isStolen || visit.read.lastEventID != visit.broughtID { lastEventID = visit.read.lastEventID }
        wire.end(deed)
        self.wire = nil
        home.world.after(Int64(home.world.chance.number(0...(home.isCalm ? 1_000 : home.world.chance.pick([20, 2_000, 9_000]))))) {
            [self] in
            open()
        }
    }
}

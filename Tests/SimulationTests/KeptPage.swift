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
        /// When the response's head was read, and each of its events.
        var headReadAt: Int64?
        var eventsReadAt: [Int64] = []
        /// All ids that the page had meanwhile behind an event, and at the end.
        var ids: [[UInt8]] { read.events.map(\.lastEventID) + [read.lastEventID] }
    }

    let number: Int
    private unowned let home: PagesWorld
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
    /// Whose streams it may read.
    let owner: String
    let speaksHTTP2: Bool
    /// Whether a request has no answer yet.
    var waitsForAnswer: Bool { wire != nil && visits.last?.response == nil }
    /// Whether it reads a response.
    var hasResponse: Bool { wire != nil && visits.last?.response != nil }
    /// When the server gave another answer than a stream to a request that the page knows nothing of.
    var answeredOtherwiseAt: [Int64] = []
    /// How long nothing has come by now, where a stream is open.
    var silence: Int64 { hasResponse && !isBusy ? home.world.now - lastByteAt : 0 }

    init(_ number: Int, _ home: PagesWorld, owner: String, speaksHTTP2: Bool) {
        (self.number, self.home, self.owner, self.speaksHTTP2) = (number, home, owner, speaksHTTP2)
    }

    func open() {
        guard home.drainsSince == .max else { return }
        let (id, isStolen) = home.idToBring(self)
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
        wire.send(Array("\(home.request(of: self))\(brought)\r\n".utf8))
        let visit = visits.count
        if !home.isCalm, !home.pagesStay {
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
        let read = ReferenceEventSource(reading: response?.body ?? [], after: before)
        let newCount = read.events.count - visits[visits.count - 1].read.events.count
        visits[visits.count - 1].read = read
        visits[visits.count - 1].eventsReadAt += Array(repeating: home.world.now, count: newCount)
        if response != nil, visits[visits.count - 1].headReadAt == nil { visits[visits.count - 1].headReadAt = home.world.now }
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

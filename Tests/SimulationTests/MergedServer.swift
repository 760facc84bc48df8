// The pods of a world of merged streams. An event has the number of its journal and its place there. A journal is a response's, or that of
// one pod for one stream where pods go on behind an id, or that of a topic for one stream, which all pods say.

import Reactor
import TestSupport

/// A stream of the proxy's: the visit of a page that opened it.
struct MergedStream: Hashable {
    let page: Int
    let visit: Int
}

/// Events that happen one behind the other.
final class MergedJournal {
    let number: Int
    let stream: MergedStream
    /// Whose it is; nil for a topic.
    let pod: Int?
    private(set) var events: [[UInt8]] = []
    var listeners: [MergedServerConnection] = []

    init(_ number: Int, _ stream: MergedStream, pod: Int?) { (self.number, self.stream, self.pod) = (number, stream, pod) }

    /// The id of the event with that number.
    func identifier(_ event: Int) -> String { "s\(number).\(event)" }

    func addEvent(withID hasID: Bool) {
        events.append(Array("\(hasID ? "id: \(identifier(events.count))\n" : "")data: \(number).\(events.count)\n\n".utf8))
    }
}

/// One response of a pod.
final class MergedResponse {
    let pod: Int
    let journal: MergedJournal
    let beganAt: Int64
    /// The first event of the journal that it says, and when it said that and those behind it.
    let first: Int
    private(set) var saidAt: [Int64] = []
    var next: Int { first + saidAt.count }
    let lag: Int64
    /// When the pod ended or broke it, and when the proxy left it.
    var endedAt: Int64?
    var leftAt: Int64?
    var isOpen: Bool { endedAt == nil && leftAt == nil }

    init(_ pod: Int, _ journal: MergedJournal, first: Int, at now: Int64, lag: Int64) {
        (self.pod, self.journal, self.first, beganAt, self.lag) = (pod, journal, first, now, lag)
    }

    /// The bytes of all events that it has not said, up to that one.
    func say(_ end: Int, at now: Int64) -> [UInt8] {
        guard next < end else { return [] }
        let bytes = Array(journal.events[next..<end].joined())
        saidAt += Array(repeating: now, count: end - next)
        return bytes
    }
}

/// A connection to a pod, for one stream.
final class MergedServerConnection {
    let pod: Int
    private let wire: Wire
    private unowned let home: MergedStreamsWorld
    private var request: [UInt8] = []
    private var response: MergedResponse?

    init(_ wire: Wire, pod: Int, _ home: MergedStreamsWorld) {
        (self.wire, self.pod, self.home) = (wire, pod, home)
        wire.changed = { self.look() }
    }

    private func look() {
        request += wire.read()
        if wire.isBroken || wire.hasEnded {
            response?.leftAt = home.world.now
            forget()
            return wire.end(.left)
        }
        guard let end = request.firstRange(of: Array("\r\n\r\n".utf8)) else { return }
        let head = String(decoding: request[..<end.lowerBound], as: UTF8.self)
        request.removeSubrange(..<end.upperBound)
        guard let response = home.respond(pod, to: head) else {
            return wire.send(Array("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".utf8))
        }
        self.response = response
        wire.send(Array("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n".utf8))
        response.journal.listeners.append(self)
        hears()
        mayEnd(response)
    }

    private func forget() {
        response?.journal.listeners.removeAll { $0 === self }
        response = nil
    }

    /// What has happened by now goes out when the connection's lag is over.
    func hears() {
        guard let response else { return }
        let end = response.journal.events.count
        home.world.after(response.lag) { [self] in
            guard self.response === response, wire.isUsable else { return }
            let bytes = response.say(end, at: home.world.now)
            let cut = !bytes.isEmpty && home.world.chance.permille(250) ? home.world.chance.number(1...bytes.count) : bytes.count
            send(bytes[..<cut])
            send(bytes[cut...])
        }
    }

    private func mayEnd(_ response: MergedResponse) {
        home.world.after(Int64(home.world.chance.number(0...3_000))) { [self] in
            guard self.response === response, wire.isUsable, !home.isCalm else { return }
            // A pod that nobody is sent to any more ends what it has, or does not.
            let isLeaving = !home.plan.isSteady && !home.listed.contains(pod)
            guard home.world.chance.permille(isLeaving ? 400 : home.plan.shareOfEnds) else { return mayEnd(response) }
            end(response)
        }
    }

    /// Ends its response, in order or not.
    private func end(_ response: MergedResponse) {
        let isInOrder = home.world.chance.permille(500)
        if !isInOrder, home.world.chance.permille(500) {
            // What goes out last may never come.
            response.journal.addEvent(withID: home.plan.haveIDs)
            send(response.say(response.journal.events.count, at: home.world.now)[...])
        }
        response.endedAt = home.world.now
        forget()
        home.count(isInOrder ? "responses ended in order" : "responses broken")
        if isInOrder { wire.send(Array("0\r\n\r\n".utf8)) } else { wire.end(home.world.chance.pick([.left, .reset])) }
    }

    private func send(_ bytes: ArraySlice<UInt8>) {
        guard !bytes.isEmpty else { return }
        wire.send(Array("\(String(bytes.count, radix: 16))\r\n".utf8) + bytes + Array("\r\n".utf8))
    }
}

extension MergedStreamsWorld {
    /// The pod's response to a request; nil where it has none.
    func respond(_ pod: Int, to head: String) -> MergedResponse? {
        var fields: [String: String] = [:]
        for line in head.split(separator: "\r\n").dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1).map { $0.drop { $0 == " " } }
            if parts.count == 2 { fields[parts[0].lowercased()] = String(parts[1]) }
        }
        guard let page = fields["cookie"].flatMap({ Int($0.dropFirst(4)) }), let visit = fields["x-visit"].flatMap(Int.init) else {
            expect(false, "nobody has asked so: \(head)")
            return nil
        }
        let stream = MergedStream(page: page, visit: visit)
        let id = fields["last-event-id"]
        checkRequest(pod, stream, head, id)
        if unavailable.contains(pod) {
            count("503")
            return nil
        }
        count("responses of pods")
        let journal = journal(of: pod, stream)
        var first = journal.events.count
        if plan.isResumable, let id, let event = id.split(separator: ".").last.flatMap({ Int($0) }) { first = event + 1 }
        let lag = Int64(world.chance.number(0...plan.lagMilliseconds))
        let response = MergedResponse(pod, journal, first: first, at: world.now, lag: lag)
        responses.append(response)
        return response
    }

    private func journal(of pod: Int, _ stream: MergedStream) -> MergedJournal {
        let owner = plan.repetition == nil ? pod : nil
        if plan.isResumable || owner == nil, let old = journals.first(where: { $0.stream == stream && $0.pod == owner }) { return old }
        let journal = MergedJournal(journals.count, stream, pod: owner)
        journals.append(journal)
        beginEvents(of: journal)
        return journal
    }

    /// Events happen from now on, whether somebody listens or not.
    private func beginEvents(of journal: MergedJournal) {
        world.after(Int64(world.chance.number(0...world.chance.pick([20, 1_000, 4_000])))) { [self] in
            guard drainsSince == .max else { return }
            for _ in 0..<world.chance.pick([1, 1, 1, 3]) { journal.addEvent(withID: plan.haveIDs) }
            for listener in journal.listeners { listener.hears() }
            beginEvents(of: journal)
        }
    }
}

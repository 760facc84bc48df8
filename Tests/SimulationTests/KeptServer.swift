// The server of the world of kept streams. Its events stand in journals: each has a number, and its events count from zero, so that what a
// page reads shows what is missing, doubled or another's. Each response has a journal of its own, or all of a user have one together, which
// then also grows while nobody listens.

import Reactor
import TestSupport

/// The events of one response, or of one user.
final class KeptJournal {
    let number: Int
    /// Whose credentials its requests have, and for which host.
    let owner: String
    private(set) var events: [[UInt8]] = []
    /// When each of them happened.
    private(set) var times: [Int64] = []
    /// Who hears at once of each event, where servers broadcast.
    var listeners: [KeptServerConnection] = []
    /// Where the first event with an id stands: a server whose ids are not unique rather says too much again than too little.
    private var places: [String: Int] = [:]
    /// Whether an id is in force behind each event.
    private var haveIdentifiers: [Bool] = []

    init(_ number: Int, owner: String) { (self.number, self.owner) = (number, owner) }

    /// One more event, which happens at that time. `empties` says that it empties the id.
    func add(_ event: [UInt8], _ id: String?, empties: Bool, at time: Int64) {
        if let id, places[id] == nil { places[id] = events.count }
        haveIdentifiers.append(id != nil || !empties && haveIdentifiers.last == true)
        events.append(event)
        times.append(time)
    }

    /// How many events had happened at that time.
    func count(at time: Int64) -> Int { times.firstIndex { $0 > time } ?? times.count }

    /// Whether that event or one before it has set an id, and none behind it has emptied it.
    func hasIdentifier(behind event: Int) -> Bool { haveIdentifiers[event] }

    /// Where the event with that id stands.
    func place(of id: String) -> Int? { places[id] }
}

/// One response of the server's.
final class KeptResponse {
    let number: Int
    let journal: KeptJournal
    let beganAt: Int64
    /// The first event of the journal that it sends, and the next one.
    let first: Int
    var next: Int
    /// When the server ended or broke it; nil if it did not.
    var endedAt: Int64?
    /// Whether its end was in order, so that nothing of it was lost on its way to the proxy.
    var isWhole = false
    /// When the proxy left it.
    var leftAt: Int64?
    var isOpen: Bool { endedAt == nil && leftAt == nil }
    /// Whether it begins where its request's id says.
    let goesOn: Bool
    /// How late events come over its connection.
    let lag: Int64
    /// The part of an event that has not been sent yet.
    var rest: [UInt8] = []

    init(_ number: Int, _ journal: KeptJournal, beganAt: Int64, next: Int, goesOn: Bool, lag: Int64) {
        (self.number, self.journal, self.beganAt, first, self.next) = (number, journal, beganAt, next, next)
        (self.goesOn, self.lag) = (goesOn, lag)
    }
}

/// A connection to the server: one stream after the other.
final class KeptServerConnection {
    let wire: Wire
    unowned let home: KeptStreamsWorld
    var plan: KeptPlan { home.plan }
    private var request: [UInt8] = []
    private(set) var response: KeptResponse?

    init(_ wire: Wire, _ home: KeptStreamsWorld) {
        self.wire = wire
        self.home = home
        wire.changed = { self.look() }
    }

    private func look() {
        request += wire.read()
        if wire.isBroken || wire.hasEnded {
            response?.leftAt = response?.leftAt ?? home.world.now
            forget()
            return wire.end(.left)
        }
        guard let end = request.firstRange(of: Array("\r\n\r\n".utf8)) else { return }
        let head = String(decoding: request[..<end.lowerBound], as: UTF8.self)
        request.removeSubrange(..<end.upperBound)
        answer(head)
    }

    private func forget() {
        response?.journal.listeners.removeAll { $0 === self }
        response = nil
    }

    private func answer(_ head: String) {
        var fields: [String: String] = [:]
        for line in head.split(separator: "\r\n").dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1).map { $0.drop { $0 == " " } }
            if parts.count == 2 { fields[parts[0].lowercased()] = String(parts[1]) }
        }
        let owner = "\(fields["cookie"] ?? "") at \(fields["host"] ?? "")"
        let id = fields["last-event-id"]
        home.checkRequest(of: owner, head, id)
        if let refusal = home.refusal(of: owner) { return wire.send(Array(refusal.utf8)) }
        let response = home.respond(to: owner, id)
        self.response = response
        wire.send(Array("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n".utf8))
        if plan.greets { send(Array("event: connected\ndata: \(response.number)\n\n".utf8)[...]) }
        if plan.maskMilliseconds != nil, home.world.chance.permille(100) {
            send(Array("retry: \(home.world.chance.number(50...500))\n\n".utf8)[...])
        }
        if let cap = plan.capMilliseconds {
            home.world.after(Int64(cap)) { [self] in if self.response === response, !home.isCalm { end(response, inOrder: true) } }
        }
        guard plan.recycling != nil else { return go(on: response) }
        response.journal.listeners.append(self)
        home.broadcast(response.journal)
        mayEnd(response)
    }

    private func go(on response: KeptResponse) {
        home.world.after(Int64(home.world.chance.number(0...home.world.chance.pick([5, 300, 3_000])))) { [self] in
            guard self.response === response, wire.isUsable else { return }
            if !home.isCalm, home.world.chance.permille(plan.shareOfEnds / 10) {
                return end(response, inOrder: home.world.chance.permille(500))
            }
            let new = home.world.chance.pick([1, 1, 1, 3, 20])
            for _ in 0..<new { home.addEvent(to: response.journal) }
            var bytes: [UInt8] = []
            while response.next < response.journal.events.count {
                bytes += response.journal.events[response.next]
                response.next += 1
            }
            // Not always whole events at a time.
            let cut = home.world.chance.permille(300) && !bytes.isEmpty ? home.world.chance.number(1...bytes.count) : bytes.count
            send(bytes[..<cut])
            if cut < bytes.count { send(bytes[cut...]) }
            go(on: response)
        }
    }

    func send(_ bytes: ArraySlice<UInt8>) {
        guard !bytes.isEmpty else { return }
        wire.send(Array("\(String(bytes.count, radix: 16))\r\n".utf8) + bytes + Array("\r\n".utf8))
    }

    func end(_ response: KeptResponse, inOrder: Bool) {
        response.endedAt = home.world.now
        forget()
        // A part of the next event may have left: nobody may read it.
        if plan.maskMilliseconds != nil, response.rest.isEmpty, home.world.chance.permille(400) {
            home.addEvent(to: response.journal)
            home.broadcast(response.journal)
            let half = response.journal.events[response.next...].joined()
            send(Array(half.prefix(home.world.chance.number(1...(half.count - 1))))[...])
        }
        if inOrder {
            home.count("responses ended in order")
            response.isWhole = true
            return wire.send(Array("0\r\n\r\n".utf8))
        }
        home.count("responses broken")
        wire.end(home.world.chance.pick([.left, .reset]))
    }
}

extension KeptStreamsWorld {
    /// A response to a request of that owner that brought that id.
    func respond(to owner: String, _ id: String?) -> KeptResponse {
        count("responses of servers")
        let old = plan.isContinuous ? journals.last { $0.owner == owner } : nil
        let journal = old ?? KeptJournal(journals.count, owner: owner)
        if old == nil {
            journals.append(journal)
            if plan.recycling != nil { beginEvents(of: journal) }
        }
        // Something may have happened since the last response.
        if old != nil { for _ in 0..<world.chance.pick([0, 0, 1, 5]) { addEvent(to: journal) } }
        var next = old == nil ? 0 : journal.events.count
        if let id, let place = journal.place(of: id) {
            switch plan.replay {
            case .none: break
            case .exact: next = place + 1
            case .inclusive: next = place
            case .everything: next = 0
            }
        } else if plan.replay == .everything {
            next = 0
        }
        let goesOn = plan.replay != .none && id.flatMap(journal.place) != nil
        let lag = Int64(world.chance.number(0...(plan.recycling?.lagMilliseconds ?? 0)))
        let response = KeptResponse(responses.count, journal, beganAt: world.now, next: next, goesOn: goesOn, lag: lag)
        responses.append(response)
        watchReplacement(by: response)
        return response
    }

    /// Another event happens.
    func addEvent(to journal: KeptJournal) {
        let number = journal.events.count
        let name = "\(journal.number).\(number)"
        let end = world.chance.permille(800) ? "\n" : "\r\n"
        let (line, id) = identifier(journal.number, number, name)
        var lines = line.map { [$0] } ?? []
        if world.chance.permille(200) { lines.append(": a comment") }
        lines.append("data: \(name)")
        // An id may also stand behind the data.
        if lines.count > 1, world.chance.permille(200) { lines.append(lines.removeFirst()) }
        let length = world.chance.permille(100) ? world.chance.number(0...400) : 0
        if length > 0 { lines.append("data: \(String(repeating: "x", count: length))") }
        let bytes = Array((lines + ["", ""]).joined(separator: end).utf8)
        journal.add(bytes, id, empties: line != nil && id == nil, at: world.now)
    }

    /// The line of an event's id, and the id; nil for none.
    private func identifier(_ journal: Int, _ number: Int, _ name: String) -> (line: String?, id: String?) {
        switch plan.serverIDs {
        case .none: return (nil, nil)
        case .unique: return ("id: s\(name)", "s\(name)")
        case .loose:
            if world.chance.permille(300) { return (nil, nil) }
            if plan.emptiesIDs, world.chance.permille(50) { return ("id", nil) }
            return ("id: r\(journal).\(number / 3 % 5)", "r\(journal).\(number / 3 % 5)")
        }
    }

    /// What a server says instead of a stream: while it is down, or to a request that goes on behind a page's back.
    func refusal(of owner: String) -> String? {
        if isUnavailable {
            count("503")
            return "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
        }
        guard plan.maskMilliseconds != nil, !plan.isSteady, !isCalm, world.chance.permille(50) else { return nil }
        // A page that is told so stops for good, so only those hear it that have a response already.
        guard let page = pages.first(where: { $0.owner == owner }), page.hasResponse else { return nil }
        page.answeredOtherwiseAt.append(world.now)
        count("another answer")
        return world.chance.pick([
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nno",
        ])
    }
}

// The server of the world of kept streams. Each of its responses has a number, and its events count from zero.

import Reactor
import TestSupport

/// One response of the server's.
final class KeptResponse {
    let number: Int
    /// Whose credentials its request had, and for which host.
    let owner: String
    let beganAt: Int64
    /// The id that its request brought.
    let lastEventID: String?
    /// How many events were sent.
    var eventCount = 0
    /// When the server ended or broke it; nil if it did not.
    var endedAt: Int64?
    /// Whether its end was in order, so that nothing of it was lost on its way to the proxy.
    var isWhole = false
    /// When the proxy left it.
    var leftAt: Int64?

    init(_ number: Int, owner: String, beganAt: Int64, lastEventID: String?) {
        self.number = number
        self.owner = owner
        self.beganAt = beganAt
        self.lastEventID = lastEventID
    }
}

/// A connection to the server: one stream after the other.
final class KeptServerConnection {
    private let wire: Wire
    private unowned let home: KeptStreamsWorld
    private var request: [UInt8] = []
    private var response: KeptResponse?

    init(_ wire: Wire, _ home: KeptStreamsWorld) {
        self.wire = wire
        self.home = home
        wire.changed = { self.look() }
    }

    private func look() {
        request += wire.read()
        if wire.isBroken || wire.hasEnded {
            response?.leftAt = response?.leftAt ?? home.world.now
            response = nil
            return wire.end(.left)
        }
        guard let end = request.firstRange(of: Array("\r\n\r\n".utf8)) else { return }
        let head = String(decoding: request[..<end.lowerBound], as: UTF8.self)
        request.removeSubrange(..<end.upperBound)
        answer(head)
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
        let response = KeptResponse(home.responses.count, owner: owner, beganAt: home.world.now, lastEventID: id)
        home.responses.append(response)
        self.response = response
        home.count("responses of servers")
        wire.send(Array("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n".utf8))
        go(on: response)
    }

    private func go(on response: KeptResponse) {
        home.world.after(Int64(home.world.chance.number(0...home.world.chance.pick([5, 300, 3_000])))) { [self] in
            guard self.response === response, wire.isUsable else { return }
            if !home.isCalm, home.world.chance.permille(home.plan.shareOfEnds / 10) { return end(response) }
            var bytes: [UInt8] = []
            for _ in 0..<home.world.chance.pick([1, 1, 1, 3, 20]) { bytes += event(of: response) }
            // Not always whole events at a time.
            let cut = home.world.chance.permille(300) ? home.world.chance.number(1...bytes.count) : bytes.count
            send(bytes[..<cut])
            if cut < bytes.count { send(bytes[cut...]) }
            go(on: response)
        }
    }

    private func event(of response: KeptResponse) -> [UInt8] {
        let name = "\(response.number).\(response.eventCount)"
        response.eventCount += 1
        let end = home.world.chance.permille(800) ? "\n" : "\r\n"
        var lines = identifier(response.number, response.eventCount, name).map { [$0] } ?? []
        if home.world.chance.permille(200) { lines.append(": a comment") }
        lines.append("data: \(name)")
        let length = home.world.chance.permille(100) ? home.world.chance.number(0...400) : 0
        // An id may also stand behind the data.
        if lines.count > 1, home.world.chance.permille(200) { lines.append(lines.removeFirst()) }
        if length > 0 { lines.append("data: \(String(repeating: "x", count: length))") }
        return Array((lines + ["", ""]).joined(separator: end).utf8)
    }

    /// The line of the event's id; nil for none.
    private func identifier(_ response: Int, _ number: Int, _ name: String) -> String? {
        switch home.plan.serverIDs {
        case .none: return nil
        case .unique: return "id: s\(name)"
        case .loose:
            if home.world.chance.permille(300) { return nil }
            if home.plan.emptiesIDs, home.world.chance.permille(50) { return "id" }
            return "id: r\(response).\(number / 3 % 5)"
        }
    }

    private func send(_ bytes: ArraySlice<UInt8>) {
        wire.send(Array("\(String(bytes.count, radix: 16))\r\n".utf8) + bytes + Array("\r\n".utf8))
    }

    private func end(_ response: KeptResponse) {
        response.endedAt = home.world.now
        self.response = nil
        if home.world.chance.permille(500) {
            home.count("responses ended in order")
            response.isWhole = true
            return wire.send(Array("0\r\n\r\n".utf8))
        }
        home.count("responses broken")
        wire.end(home.world.chance.pick([.left, .reset]))
    }
}

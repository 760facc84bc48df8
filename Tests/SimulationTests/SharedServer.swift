// The server of the world of shared streams. Each response has a number, and its events count from zero, so that what a page reads shows
// what is missing, doubled or another's. Whose a response is, is the request for which it was made, byte by byte.

import Foundation
import TestSupport

@testable import Reactor

/// One response of the server's.
final class SharedResponse {
    struct Event {
        let bytes: [UInt8]
        let type: String
        /// How many bytes it has without comments, with LF ends.
        let byteCount: Int
        /// When the server began to send it.
        let sentAt: Int64
    }

    let number: Int
    /// The whole head of its request, except the server's own id.
    let owner: String
    let beganAt: Int64
    /// Whether it says that it is for one client.
    let isVetoed: Bool
    fileprivate(set) var events: [Event] = []
    /// When the server ended or broke it; nil if it did not.
    fileprivate(set) var endedAt: Int64?
    /// Whether its end was in order, so that nothing of it was lost on its way to the proxy.
    fileprivate(set) var isWhole = false
    /// When the proxy left it.
    fileprivate(set) var leftAt: Int64?
    var isOpen: Bool { endedAt == nil && leftAt == nil }

    init(_ number: Int, owner: String, beganAt: Int64, isVetoed: Bool) {
        (self.number, self.owner, self.beganAt, self.isVetoed) = (number, owner, beganAt, isVetoed)
    }
}

/// A connection to the server: one stream after the other.
final class SharedServerConnection {
    private let wire: Wire
    private unowned let home: SharedStreamsWorld
    private var request: [UInt8] = []
    private var response: SharedResponse?

    init(_ wire: Wire, _ home: SharedStreamsWorld) {
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
        let head = String(decoding: request[..<end.upperBound], as: UTF8.self)
        request.removeSubrange(..<end.upperBound)
        answer(head)
    }

    private func answer(_ request: String) {
        let (head, id) = Self.withoutEventID(request)
        home.checkRequest(head, id)
        if !home.isCalm, home.world.chance.permille(home.plan.shareOfRefusals) {
            home.count("another answer")
            home.notForAll.append((head, home.world.now))
            return wire.send(Array(home.world.chance.pick(Self.otherAnswers).utf8))
        }
        let isVetoed = !home.isCalm && home.world.chance.permille(home.plan.shareOfVetoes)
        let response = SharedResponse(home.responses.count, owner: head, beganAt: home.world.now, isVetoed: isVetoed)
        home.responses.append(response)
        if isVetoed { home.notForAll.append((head, home.world.now)) }
        self.response = response
        home.count(isVetoed ? "vetoed responses" : "responses of servers")
        var others = home.plan.varies ? ["Set-Cookie: sid=1", "Vary: *"] : ["Set-Cookie: sid=1", "Vary: *", "Vary: Accept-Language"]
        others.append("Vary: Origin, User-Agent")
        let all = home.plan.varies ? ["X-Nothing: 1", "Vary: Accept-Language, Origin"] : ["X-Nothing: 1", "Vary: Origin"]
        let field = home.world.chance.pick(isVetoed ? others : all)
        let type = "Content-Type: text/event-stream"
        wire.send(Array("HTTP/1.1 200 OK\r\n\(type)\r\n\(field)\r\nTransfer-Encoding: chunked\r\n\r\n".utf8))
        go(on: response)
    }

    /// A head without the id that stands in it, and that id.
    private static func withoutEventID(_ head: String) -> (head: String, id: String?) {
        let name = "Last-Event-ID: "
        var lines = head.components(separatedBy: "\r\n")
        guard let place = lines.firstIndex(where: { $0.hasPrefix(name) }) else { return (head, nil) }
        let id = String(lines.remove(at: place).dropFirst(name.count))
        return (lines.joined(separator: "\r\n"), id)
    }

    private static let otherAnswers = [
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nno",
    ]

    private func go(on response: SharedResponse) {
        home.world.after(Int64(home.world.chance.number(0...home.world.chance.pick([5, 300, 3_000])))) { [self] in
            guard self.response === response, wire.isUsable else { return }
            if !home.isCalm, home.world.chance.permille(home.plan.shareOfEnds / 10) { return end(response) }
            var bytes: [UInt8] = []
            for _ in 0..<home.world.chance.pick([1, 1, 1, 3, 20]) { bytes += addEvent(to: response) }
            // Not always whole events at a time.
            let cut = home.world.chance.permille(300) ? home.world.chance.number(1...bytes.count) : bytes.count
            send(bytes[..<cut])
            if cut < bytes.count { send(bytes[cut...]) }
            go(on: response)
        }
    }

    /// Another event happens.
    private func addEvent(to response: SharedResponse) -> [UInt8] {
        let name = "\(response.number).\(response.events.count)"
        let type = home.world.chance.pick(SharedPlan.types)
        var lines = home.plan.serversSetIDs ? ["id: s\(name)"] : []
        if type != "message" { lines.append("event: \(type)") }
        if home.world.chance.permille(200) { lines.append(": a comment") }
        if home.world.chance.permille(10) { lines.append("retry: \(home.world.chance.pick(["50", "7200000", "9223372036854775808"]))") }
        lines.append("data: \(name)")
        let length = home.world.chance.permille(100) ? home.world.chance.number(0...400) : 0
        if length > 0 { lines.append("data: \(String(repeating: "x", count: length))") }
        let end = home.world.chance.permille(800) ? "\n" : "\r\n"
        let event = SharedResponse.Event(
            bytes: Array((lines + ["", ""]).joined(separator: end).utf8), type: type,
            byteCount: lines.filter { !$0.hasPrefix(":") }.reduce(1) { $0 + $1.utf8.count + 1 }, sentAt: home.world.now)
        response.events.append(event)
        return event.bytes
    }

    private func send(_ bytes: ArraySlice<UInt8>) {
        guard !bytes.isEmpty else { return }
        wire.send(Array("\(String(bytes.count, radix: 16))\r\n".utf8) + bytes + Array("\r\n".utf8))
    }

    private func end(_ response: SharedResponse) {
        response.endedAt = home.world.now
        self.response = nil
        // A part of the next event may have left: nobody may read it.
        if home.world.chance.permille(300) { send(Array("event: price\ndata: half".utf8)[...]) }
        if home.world.chance.permille(500) {
            home.count("responses ended in order")
            response.isWhole = true
            return wire.send(Array("0\r\n\r\n".utf8))
        }
        home.count("responses broken")
        wire.end(home.world.chance.pick([.left, .reset]))
    }
}

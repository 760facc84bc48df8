// One connection of a simulated server: the requests that come, and random answers to them. It records what it did with each request in
// that request's truth.

import Reactor
import TestSupport

/// One connection to a server; it lives as long as its wire calls it.
final class ServerConnection {
    let wire: Wire
    unowned let server: SimulatedServer
    var world: SimulatedWorld { server.world }
    private var received: [UInt8] = []
    private var isAnswering = false
    /// Whether it has decided what to do while a request's body comes, and what it does.
    private var hasDecided = false
    private var readsSlowly = false
    private var headCameAt: Int64 = 0
    private var isPausing = false
    private var isAskedForHead = false
    /// The current answer is close-delimited.
    private var endsByClosing = false
    private var arrival: Arrival?
    /// Whether it has answered an earlier request.
    private var hasServed = false
    /// Whether its certificate is for another name.
    private let isImpostor: Bool
    private var timer: PlantedHop.Timer?

    init(_ wire: Wire, _ server: SimulatedServer, isImpostor: Bool = false) {
        self.wire = wire
        self.server = server
        self.isImpostor = isImpostor
        wire.changed = { [self] in look() }
    }

    // MARK: Requests

    private func look() {
        if wire.isBroken || wire.isEnding { arrival?.isProxyGone = true }
        guard !isPausing else { return }
        received += wire.read(upTo: readsSlowly ? world.chance.number(1...8_000) : .max)
        if wire.isBroken || wire.hasEnded {
            arrival?.isProxyGone = true
            arrival = nil
            return end(.finished)
        }
        guard !isAnswering, let head = Text.head(in: received) else { return }
        guard let body = head.body(in: received) else { return hasHead(head) }
        received.removeFirst(head.count + body.count)
        isAnswering = true
        take(head, body.bytes)
        if readsSlowly { arrival?.headCameAt = headCameAt }
        (hasDecided, readsSlowly) = (false, false)
    }

    /// A request's head has come, and its body not completely. Some servers read the rest slowly; some answer already, and the rest does
    /// not matter.
    private func hasHead(_ head: Text.RequestHead) {
        if !hasDecided {
            hasDecided = true
            headCameAt = world.now
            readsSlowly = world.chance.permille(4 * server.habits.breaks)
            guard let truth = server.truths(head.path), truth.version == "2", server.state == .serving else { return }
            if world.chance.permille(3 * server.habits.breaks) { return answerEarly(truth) }
        }
        guard readsSlowly else { return }
        isPausing = true
        world.after(Int64(world.chance.number(0...60))) { [self] in
            isPausing = false
            look()
        }
    }

    private func answerEarly(_ truth: Truth) {
        isAnswering = true
        let arrival = truth.begin(at: server.address, world.now)
        self.arrival = arrival
        arrival.isPOST = true
        world.after(Int64(world.chance.number(0...300))) { [self] in
            guard wire.isUsable else { return }
            world.count("answered in front of the body's end")
            arrival.answered(Answer(status: 413, contentType: "text/plain"), at: world.now)
            let answer = "HTTP/1.1 413 Too much\r\nContent-Length: 4\r\nContent-Type: text/plain\r\n\r\nmuch"
            wire.send(Array(answer.utf8), noting: { arrival.did(.finished) })
        }
    }

    private func take(_ head: Text.RequestHead, _ body: [UInt8]) {
        guard let truth = server.truths(head.path) else { return world.problems.append("a request that nobody sent: \(head.path)") }
        let arrival = truth.begin(at: server.address, world.now)
        self.arrival = arrival
        arrival.isByImpostor = isImpostor
        arrival.isPOST = head.method == "POST"
        note(head, in: arrival)
        endsByClosing = false
        isAskedForHead = head.method == "HEAD"
        if body != truth.requestBody { world.problems.append("\(truth.path): the body of the request is not what was sent") }
        if head.lastEventID != truth.lastEventID {
            world.problems.append("\(truth.path): the server was told the last event id '\(head.lastEventID)'")
        }
        if hasServed, world.chance.permille(server.habits.partings) {
            world.count("server closes a kept connection when a request comes")
            return end(world.chance.permille(500) ? .wentWithoutAnswer : .reset)
        }
        if server.state == .closing, world.chance.permille(500) { return end(world.chance.permille(500) ? .wentWithoutAnswer : .reset) }
        let isSlow = world.chance.permille(server.habits.slowness)
        world.after(Int64(world.chance.number(0...(isSlow ? 7_000 : 300)))) { [self] in
            guard wire.isUsable else { return }
            answer(arrival, truth)
        }
    }

    private func note(_ head: Text.RequestHead, in arrival: Arrival) {
        arrival.isClaimed = head.forwardedFor == SimulatedEventSource.claimedClient
        arrival.authorizations = Text.values(like: "authorization", in: head.lines)
        arrival.users = Text.values(like: CredentialPlan.userField.lowercased(), in: head.lines)
        arrival.method = head.method
        arrival.members = Text.values(like: ForwardAuthPlan.memberField.lowercased(), in: head.lines)
        arrival.answerNumbers = Text.values(like: ForwardAuthPlan.answerField.lowercased(), in: head.lines)
        arrival.hasOthersOfService = !Text.values(like: "x-admin", in: head.lines).isEmpty
        arrival.cookieHoldsToken = Text.values(like: "cookie", in: head.lines).contains {
            $0.contains("\(CredentialPlan.cookie)=") || $0.contains(TicketPlan.cookie)
        }
    }

    private func answer(_ arrival: Arrival, _ truth: Truth) {
        if server.hangCount > 0 {
            server.hangCount -= 1
            return world.count("a request hangs")
        }
        if case .failing(let status) = server.state { return refuse(status, arrival) }
        if truth.path.hasPrefix(Pesterer.path) { return refuse(503, arrival) }
        if server.state == .closing { return end(world.chance.permille(500) ? .wentWithoutAnswer : .reset) }
        if world.chance.permille(server.habits.nonsense) { return babble(arrival) }
        if truth.isStream { stream(arrival, truth) } else { ordinary(arrival, truth) }
    }

    private func refuse(_ status: Int, _ arrival: Arrival) {
        world.count("answered \(status)")
        arrival.answered(Answer(status: status, contentType: "text/plain"), at: world.now)
        let length = status == 204 ? "" : "Content-Length: 6\r\n"
        let body = status == 204 || isAskedForHead ? "" : "sorry\n"
        let answer = "HTTP/1.1 \(status) Sorry\r\n\(length)Content-Type: text/plain\r\n\r\n\(body)"
        wire.send(Array(answer.utf8), noting: { arrival.did(.finished) }) { [self] in done() }
    }

    private func babble(_ arrival: Arrival) {
        world.count("server talks nonsense")
        arrival.did(.babbled)
        wire.send(
            Array(
                world.chance.pick([
                    "SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n",
                ]).utf8))
    }

    /// The answer is complete: what follows on the connection, if anything.
    private func done() {
        timer?.stop()
        arrival = nil
        hasServed = true
        if world.chance.permille(100) { return end(.finished) }
        isAnswering = false
        look()
        guard !isAnswering, world.chance.permille(3 * server.habits.babble) else { return }
        world.betweenTurns.append { [self] in
            guard !isAnswering, received.isEmpty, wire.sendUnasked(Text.unasked) else { return }
            world.count("bytes that nobody asked for, later")
        }
    }

    // MARK: Ordinary answers

    private func ordinary(_ arrival: Arrival, _ truth: Truth) {
        if server.habits.breaks > 0, !arrival.isPOST, world.chance.permille(150) { return bodiless(arrival) }
        let count =
            server.habits.breaks > 0 && world.chance.permille(200) ? world.chance.number(0...200_000) : world.chance.number(0...2000)
        let body = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ truth.path.utf8.count &+ Int(truth.path.utf8.last!)) }
        let isChunked = world.chance.permille(500)
        let isHEAD = isAskedForHead
        arrival.answered(Answer(contentType: "application/octet-stream"), at: world.now)
        let hint = world.chance.permille(100) ? "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" : ""
        let framing = isChunked ? "Transfer-Encoding: chunked" : "Content-Length: \(count)"
        let identity = "\(readers(truth))\(CredentialChecks.identityField): \(arrival.identity)"
        var answer = Array("\(hint)HTTP/1.1 200 OK\r\n\(framing)\r\n\(identity)\r\n\r\n".utf8)
        if !isHEAD { answer += isChunked ? Text.chunks(body, &world.chance) + Array("0\r\n\r\n".utf8) : body }
        arrival.body = isHEAD ? [] : body
        let breaksOff = world.chance.permille(server.habits.breaks) && !isHEAD
        if breaksOff {
            answer.removeLast(min(answer.count - 1, world.chance.number(1...40)))
        } else if world.chance.permille(server.habits.babble) {
            // In one piece, because later bytes might be taken for the answer to the next request.
            if wire.sendAtOnce(answer + Text.unasked) {
                world.count("bytes that nobody asked for")
                arrival.did(.finished)
                return
            }
        }
        wire.send(answer, noting: { if !breaksOff { arrival.did(.finished) } }) { [self] in
            if breaksOff { return end(world.chance.permille(500) ? .cutOff : .reset) }
            done()
        }
    }

    /// 204, or 304 with the length of what it does not send.
    private func bodiless(_ arrival: Arrival) {
        let status = world.chance.pick([204, 304])
        world.count("answered \(status)")
        arrival.answered(Answer(status: status, contentType: ""), at: world.now)
        let fields = status == 204 ? "" : "ETag: \"a\"\r\n\(world.chance.permille(500) ? "Content-Length: 5000\r\n" : "")"
        wire.send(Array("HTTP/1.1 \(status) Nothing\r\n\(fields)\r\n".utf8), noting: { arrival.did(.finished) }) { [self] in done() }
    }

    /// What the server says about pages that may read, where its word does not count; often nothing.
    private func readers(_ truth: Truth) -> String {
        guard let ask = truth.crossOrigin, world.chance.permille(500) else { return "" }
        let origin = world.chance.pick(["*", ask.origin.isEmpty ? "*" : ask.origin, "https://evil.example"])
        return "Access-Control-Allow-Origin: \(origin)\r\nAccess-Control-Allow-Credentials: true\r\nVary: Accept-Language\r\n"
    }

    // MARK: Streams

    private func stream(_ arrival: Arrival, _ truth: Truth) {
        if world.chance.permille(server.habits.oddity), !odd(arrival) { return }
        timer = server.hop.map { watch(arrival, truth, $0) }
        let answer = arrival.answer ?? Answer()
        if arrival.answer == nil { arrival.answered(answer, at: world.now) }
        var pieces: [[UInt8]] = []
        for index in 0..<world.chance.number(0...40) {
            pieces.append(answer.isCompressed ? Text.noise(&world.chance) : Text.streamPiece(&world.chance, isFirst: index == 0))
        }
        if truth.isRich, !answer.isCompressed {
            for _ in 0..<world.chance.number(0...3) { pieces.append(Text.largeEvent(&world.chance)) }
        }
        if truth.isForUser, !answer.isCompressed {
            pieces.insert(Array("event: \(CredentialChecks.identityEvent)\ndata: \(arrival.identity)\n\n".utf8), at: 0)
        }
        if let token = truth.token, !answer.isCompressed {
            for _ in 0..<3 { pieces.insert(Array("data: ".utf8) + token + [10, 10], at: world.chance.number(0...pieces.count)) }
        }
        let framing = world.chance.pick([Framing.chunked, .chunked, .chunked, .untilClose, .length(pieces.reduce(0) { $0 + $1.count })])
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: \(answer.contentType)\r\n\(answer.isCompressed ? "Content-Encoding: gzip\r\n" : "")"
            + "\(answer.setsCookie ? "Set-Cookie: a=b\r\n" : "")\(readers(truth))\(framing.field)\r\n"
        var bytes = Array(head.utf8)
        if world.chance.permille(200) { bytes = Array("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".utf8) + bytes }
        endsByClosing = framing == .untilClose
        let noteHead = { [self] in
            arrival.hasGone(at: world.now)
            if framing == .length(0) { arrival.did(.finished) }
        }
        wire.send(bytes, noting: noteHead) { [self] in
            nextPiece(arrival, pieces[...], framing)
        }
    }

    /// Answers something else than a stream, or sends more than a stream's type; false if the answer ends here.
    private func odd(_ arrival: Arrival) -> Bool {
        switch world.chance.number(0...8) {
        case 0: refuse(204, arrival)
        case 1: refuse(world.chance.pick([401, 403]), arrival)
        case 2: refuse(world.chance.pick([404, 410]), arrival)
        case 3: refuse(world.chance.pick([500, 501]), arrival)
        case 4: refuse(world.chance.pick([502, 503, 504]), arrival)
        case 5: refuse(200, arrival)
        case 6:
            world.count("compressed stream")
            arrival.answered(Answer(isCompressed: true), at: world.now)
            return true
        case 7:
            world.count("stream with a cookie")
            arrival.answered(Answer(setsCookie: true), at: world.now)
            return true
        default:
            arrival.answered(Answer(contentType: "text/event-stream; charset=utf-8"), at: world.now)
            return true
        }
        return false
    }

    private func nextPiece(_ arrival: Arrival, _ pieces: ArraySlice<[UInt8]>, _ framing: Framing) {
        guard wire.isUsable else { return }
        guard let piece = pieces.first else { return endStream(arrival, framing) }
        if wire.isSecured, world.chance.permille(server.habits.insecurity / 10) { return spoil(arrival) }
        arrival.goesOn(at: world.now)
        arrival.body += piece
        arrival.lastSentAt = world.now
        let framed = framing == .chunked ? Text.chunks(piece, &world.chance) : piece
        let isWhole = framing.isLength && pieces.count == 1
        let notePiece = { [self] in
            timer?.bytesPass()
            arrival.hasGone(at: world.now)
            if isWhole { arrival.did(.finished) }
        }
        wire.send(framed, noting: notePiece) { [self] in
            if isWhole { return done() }
            let heartbeat = server.habits.heartbeatMilliseconds
            let silence = world.chance.permille(150) ? 3 * heartbeat : world.chance.permille(500) ? 30 : 0
            let pause = Int64(world.chance.number(0...max(0, silence)))
            notePause(arrival, pause)
            world.after(pause) { self.nextPiece(arrival, pieces.dropFirst(), framing) }
        }
    }

    /// Sends a record that nobody can decrypt, or stops in the middle of one.
    private func spoil(_ arrival: Arrival) {
        world.count("server's record spoilt")
        let isWhole = world.chance.permille(500)
        if isWhole { arrival.did(.brokeTLS) }
        wire.sendRaw(Text.spoiltRecord(&world.chance, isWhole: isWhole))
        notePause(arrival, .max)
        guard !isWhole else { return }
        wire.omitsGoodbye = true
        end(world.chance.permille(500) ? .cutOff : .reset)
    }

    /// Nothing can be inserted into an open line.
    private func notePause(_ arrival: Arrival, _ milliseconds: Int64) {
        guard let last = arrival.body.last, last != 10, last != 13 else { return }
        arrival.longestPauseInLine = max(arrival.longestPauseInLine, milliseconds)
    }

    private func endStream(_ arrival: Arrival, _ framing: Framing) {
        if framing.isLength { return done() }
        switch world.chance.number(0...9) {
        case 0...3:
            if framing == .untilClose { return end(.finished) }
            wire.send(Array("0\r\n\r\n".utf8), noting: { arrival.did(.finished) }) { [self] in done() }
        case 4: end(.cutOff)
        case 5: end(.reset)
        case 6: part(server.whenVanishing)
        case 7 where framing == .chunked && server.habits.nonsense > 0:
            world.count("server talks nonsense")
            arrival.did(.babbled)
            wire.send(Array("zz\r\n".utf8))
        default:
            // It stays and is silent until its client is gone.
            notePause(arrival, .max)
        }
    }

    // MARK: Ends

    /// Whether that request's answer is under way.
    func isBusy(with arrival: Arrival) -> Bool { self.arrival === arrival }

    /// The server goes down with all its connections.
    func part(_ deed: Deed) { end(deed) }

    /// A close-delimited body cannot be truncated: any end is its end.
    func end(_ deed: Deed) {
        timer?.stop()
        guard wire.isUsable else { return wire.end(deed) }
        if deed != .finished { world.count("server \(deed.rawValue)") }
        if deed == .vanished, let arrival { notePause(arrival, .max) }
        if !wire.hasSentAll {
            arrival?.isTruncated = true
            // The position inside the body is unknown.
            arrival?.longestPauseInLine = .max
        }
        if world.chance.permille(server.habits.insecurity) { wire.omitsGoodbye = true }
        let isSecured = wire.isSecured
        wire.end(deed)
        // Without close_notify nobody knows whether the end is genuine.
        let isForgeable = isSecured && wire.omitsGoodbye
        let isEnd = endsByClosing && (deed == .finished || deed == .cutOff)
        arrival?.did(!isEnd ? deed : isForgeable ? .cutOff : .finished)
    }

    /// How a stream's body is framed.
    private enum Framing: Equatable {
        case chunked, untilClose
        case length(Int)

        var field: String {
            switch self {
            case .chunked: "Transfer-Encoding: chunked\r\n"
            case .untilClose: "Connection: close\r\n"
            case .length(let count): "Content-Length: \(count)\r\n"
            }
        }

        var isLength: Bool { if case .length = self { true } else { false } }
    }
}

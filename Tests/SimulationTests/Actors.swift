// Who lives in the simulated world beside the proxy: servers that stream, stall and break off at any byte, and clients that
// read slowly, leave or vanish. Each writes down what it did, so that the scenario knows what must have happened.

import Reactor

/// Sends bytes in pieces of chance, as far as the other end has room.
final class Sender {
    private let socket: SimulatedSocket
    private let world: SimulatedWorld
    private var waiting: [UInt8] = []
    private var whenSent: (() -> Void)?
    private(set) var sentCount = 0

    init(_ socket: SimulatedSocket, _ world: SimulatedWorld) {
        self.socket = socket
        self.world = world
    }

    func send(_ bytes: [UInt8], then: @escaping () -> Void = {}) {
        waiting += bytes
        whenSent = then
        pump()
    }

    func pump() {
        while !waiting.isEmpty, socket.window > 0, !socket.isClosed, socket.error == nil {
            let most = min(socket.window, waiting.count)
            let count = world.chance.permille(500) ? most : world.chance.number(1...min(most, 300))
            socket.send(Array(waiting[..<count]))
            waiting.removeFirst(count)
            sentCount += count
        }
        guard waiting.isEmpty, let then = whenSent else { return }
        whenSent = nil
        world.after(0, then)
    }
}

/// How one side ended a stream, of its own accord.
enum Deed: String {
    case finished, cutOff, reset, vanished, left, stalled
}

/// What one server did with a request that came to it.
final class Arrival {
    let path: String
    let isStream: Bool
    /// The body that the server has put on its way so far, framing taken off.
    var body: [UInt8] = []
    var originDeed: Deed?

    init(path: String, isStream: Bool) {
        self.path = path
        self.isStream = isStream
    }
}

/// What is true of one request. Where the proxy had to send it again, the last server's deeds count.
final class Truth {
    let path: String
    let isStream: Bool
    var clientDeed: Deed?
    private(set) var present: Arrival
    private(set) var arrivalCount = 0

    var body: [UInt8] { present.body }
    var originDeed: Deed? { present.originDeed }

    func begin() {
        arrivalCount += 1
        present = Arrival(path: path, isStream: isStream)
    }

    init(path: String, isStream: Bool) {
        self.path = path
        self.isStream = isStream
        present = Arrival(path: path, isStream: isStream)
    }
}

/// A server that answers each request by chance.
final class Origin {
    private let world: SimulatedWorld
    private let truths: (String) -> Truth?
    private let heartbeatMilliseconds: Int

    init(_ world: SimulatedWorld, heartbeatMilliseconds: Int, truths: @escaping (String) -> Truth?) {
        self.world = world
        self.truths = truths
        self.heartbeatMilliseconds = heartbeatMilliseconds
    }

    func accept(_ socket: SimulatedSocket) { _ = OriginConnection(socket, world, self) }

    /// One connection; it lives as long as its socket calls it.
    private final class OriginConnection {
        let socket: SimulatedSocket
        let world: SimulatedWorld
        let origin: Origin
        let sender: Sender
        var received: [UInt8] = []
        var isAnswering = false

        init(_ socket: SimulatedSocket, _ world: SimulatedWorld, _ origin: Origin) {
            self.socket = socket
            self.world = world
            self.origin = origin
            sender = Sender(socket, world)
            socket.changed = { self.look() }
        }

        func look() {
            sender.pump()
            received += socket.read(upTo: .max)
            if socket.error != nil || (socket.hasReceivedEnd && !isAnswering) { return end(.finished, nil) }
            if socket.hasReceivedEnd { return end(.finished, nil) }
            guard !isAnswering, let head = Text.head(in: received) else { return }
            guard received.count >= head.count + head.contentLength else { return }
            received.removeFirst(head.count + head.contentLength)
            isAnswering = true
            answer(head)
        }

        func answer(_ head: Text.RequestHead) {
            guard let truth = origin.truths(head.path) else { preconditionFailure("a request that nobody sent: \(head.path)") }
            truth.begin()
            let arrival = truth.present
            world.after(Int64(world.chance.number(0...300))) { [self] in
                guard !socket.isClosed else { return }
                if arrival.isStream { stream(arrival) } else { ordinary(arrival, head) }
            }
        }

        // MARK: Ordinary answers

        func ordinary(_ truth: Arrival, _ head: Text.RequestHead) {
            let count = world.chance.permille(200) ? world.chance.number(0...200_000) : world.chance.number(0...2000)
            let body = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ truth.path.utf8.count) }
            let isChunked = world.chance.permille(500)
            let isHEAD = head.method == "HEAD"
            var answer = Array("HTTP/1.1 200 OK\r\n\(isChunked ? "Transfer-Encoding: chunked" : "Content-Length: \(count)")\r\n\r\n".utf8)
            if !isHEAD { answer += isChunked ? Text.chunks(body, &world.chance) + Array("0\r\n\r\n".utf8) : body }
            truth.body = isHEAD ? [] : body
            let breaksOff = world.chance.permille(60) && !isHEAD
            if breaksOff { answer.removeLast(min(answer.count - 1, world.chance.number(1...40))) }
            sender.send(answer) { [self] in
                if breaksOff { return end(world.chance.permille(500) ? .cutOff : .reset, truth) }
                if world.chance.permille(200) { return end(.finished, nil) }
                isAnswering = false
                look()
            }
        }

        // MARK: Streams

        func stream(_ truth: Arrival) {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            sender.send(Array(head.utf8)) { self.nextPiece(truth, left: self.world.chance.number(0...40)) }
        }

        func nextPiece(_ truth: Arrival, left: Int) {
            guard !socket.isClosed, socket.error == nil else { return }
            guard left > 0 else { return endStream(truth) }
            let piece = Text.streamPiece(&world.chance, isFirst: truth.body.isEmpty)
            truth.body += piece
            sender.send(Text.chunks(piece, &world.chance)) { [self] in
                let silence = world.chance.permille(150) ? 3 * origin.heartbeatMilliseconds : world.chance.permille(500) ? 30 : 0
                world.after(Int64(world.chance.number(0...max(0, silence)))) { self.nextPiece(truth, left: left - 1) }
            }
        }

        func endStream(_ truth: Arrival) {
            switch world.chance.number(0...9) {
            case 0...3: sender.send(Array("0\r\n\r\n".utf8)) { self.end(.finished, truth) }
            case 4: end(.cutOff, truth)
            case 5: end(.reset, truth)
            case 6:
                world.count("server vanished")
                truth.originDeed = .vanished
                socket.vanish()
            default:
                // It stays, silent, until its client is gone.
                return
            }
        }

        func end(_ deed: Deed, _ truth: Arrival?) {
            truth?.originDeed = truth?.originDeed ?? deed
            if deed == .reset || deed == .cutOff { world.count("server \(deed.rawValue)") }
            socket.close(abortively: deed == .reset)
            socket.changed = {}
        }
    }
}

/// A client: asks for one thing after the other on one connection, reads at its own pace, and may leave at any moment.
final class SimulatedClient {
    let truths: [Truth]
    let isHTTP10: Bool
    let sendsAllAtOnce: Bool
    private let world: SimulatedWorld
    private let socket: SimulatedSocket
    private let sender: Sender
    let isSlow: Bool
    private(set) var received: [UInt8] = []
    /// When the last byte came, and the longest time without one since the first.
    private(set) var longestSilence: Int64 = 0
    private(set) var hasEnded = false
    private(set) var wasReset = false
    private var asked = 0
    private var isReading = false
    private let requests: [[UInt8]]

    init(_ world: SimulatedWorld, _ socket: SimulatedSocket, truths: [Truth], requests: [[UInt8]], isHTTP10: Bool, isSlow: Bool, sendsAllAtOnce: Bool) {
        self.world = world
        self.socket = socket
        self.truths = truths
        self.requests = requests
        self.isHTTP10 = isHTTP10
        self.isSlow = isSlow
        self.sendsAllAtOnce = sendsAllAtOnce
        sender = Sender(socket, world)
        socket.changed = { [unowned self] in look() }
        if sendsAllAtOnce {
            asked = requests.count
            sender.send(Array(requests.joined()))
        } else {
            askNext()
        }
    }

    private func askNext() {
        guard asked < requests.count else { return }
        asked += 1
        sender.send(requests[asked - 1])
    }

    private func look() {
        sender.pump()
        guard !isReading else { return }
        isReading = true
        world.after(isSlow ? Int64(world.chance.number(0...700)) : 0) { [self] in
            isReading = false
            read()
        }
    }

    private func read() {
        guard !socket.isClosed else { return }
        received += socket.read(upTo: isSlow ? world.chance.number(1...3000) : .max)
        if socket.error != nil {
            wasReset = true
            socket.close(abortively: false)
            return
        }
        if !socket.incoming.isEmpty { return look() }
        if socket.hasReceivedEnd {
            hasEnded = true
            socket.close(abortively: false)
            return
        }
        if !sendsAllAtOnce, asked < requests.count, Text.responses(in: received, to: Array(truths[..<asked]), isHTTP10: isHTTP10, hasEnded: false).allSatisfy(\.isComplete) {
            askNext()
        }
    }

    /// Leaves, in whatever way; everything that is under way learns of it.
    func leave(_ deed: Deed) {
        guard !socket.isClosed else { return }
        for truth in truths where truth.clientDeed == nil { truth.clientDeed = deed }
        switch deed {
        case .reset: socket.close(abortively: true)
        case .vanished:
            world.count("client vanished")
            socket.vanish()
        default: socket.close(abortively: false)
        }
    }
}

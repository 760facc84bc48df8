// Links over real loopback sockets: the promises of `Link` that everything above relies on.

import Glibc
import Marks
import Reactor
import TestSupport
import Testing

/// A link that records its callbacks.
private final class NotingLink: Link {
    var received: [UInt8] = []
    var events: [String] = []
    var whenConnected: () -> Void = {}
    var whenReceived: () -> Void = {}
    var turns = 0

    override func linkConnected() {
        events.append("connected")
        whenConnected()
    }
    override func linkReceived(_ bytes: UnsafeMutableRawBufferPointer) {
        received += bytes
        whenReceived()
    }
    override func turnEnded() {
        turns += 1
        super.turnEnded()
    }
    override func linkReachedEnd() { events.append("end") }
    override func linkFailed(_ error: SystemError, while operation: LinkOperation) { events.append("\(operation) \(error.name)") }
    override func linkDrained() { events.append("drained") }
    override func linkPeerLeft(isBroken: Bool) { events.append("left") }
}

/// A worker with a listening socket and its accepted connections.
private final class World {
    let worker: Worker
    let address: SocketAddress
    var accepted: [NotingLink] = []
    private var acceptor: Acceptor?

    init() throws {
        let kernel = LinuxKernel()
        worker = try Worker(number: 0, kernel: kernel)
        let descriptor = try kernel.listen(SocketAddress(numeric: "127.0.0.1", port: 0)!, sharingPort: false)
        address = kernel.localAddress(of: descriptor)!
        acceptor = try Acceptor(
            worker: worker, descriptor: descriptor,
            accepted: { [unowned self] connection in
                let link = NotingLink(worker: worker)
                try? link.adopt(connection.descriptor)
                accepted.append(link)
            }, exhausted: { _ in })
    }

    func connect() throws -> NotingLink {
        let link = NotingLink(worker: worker)
        try link.connect(to: address)
        try turn(until: { link.events.contains("connected") && !self.accepted.isEmpty })
        return link
    }

    func turn(until condition: () -> Bool) throws { try worker.turn(until: condition) }
}

@Suite struct LinkTests {
    @Test("what is sent arrives whole and in order, also when the kernel takes it in pieces")
    func order() throws {
        let world = try World()
        let client = try world.connect()
        let server = world.accepted[0]
        let bytes = (0..<6_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        server.pauseReading()
        client.send(bytes)
        #expect(client.pendingCount > 0)
        server.resumeReading()
        try world.turn { server.received.count == bytes.count }
        #expect(server.received == bytes)
        #expect(client.events == ["connected", "drained"])
        #expect(client.pendingCount == 0)
    }

    @Test("a paused link reads nothing, reports when its peer leaves, and reads everything afterwards")
    func pausing() throws {
        let world = try World()
        let client = try world.connect()
        let server = world.accepted[0]
        server.pauseReading()
        client.send(Array("hello".utf8))
        client.closeWhenDrained()
        try world.turn { server.events == ["left"] }
        #expect(server.received.isEmpty)
        server.resumeReading()
        try world.turn { server.events == ["left", "end"] }
        #expect(server.received == Array("hello".utf8))
    }

    @Test(
        "while a link gathers what it will write, its turn takes in what comes meanwhile, and no endless stream of it",
        arguments: [2, 1000])
    func gathering(arrivals: Int) throws {
        let world = try World()
        let client = try world.connect()
        let server = world.accepted[0]
        // Each arrival is the reason for the next, as if a server sent while its last event is handled.
        var left = arrivals
        server.whenReceived = {
            world.worker.gatherUntilEndOfTurn(server)
            left -= 1
            if left > 0 { client.send([1]) }
        }
        client.send([1])
        world.worker.turn()
        #expect(server.received.count == min(arrivals, 33) && server.turns == 1)
        // The next turn gathers only if it is asked again.
        var reads = 0
        server.whenReceived = {
            reads += 1
            client.send([1])
        }
        client.send([1])
        world.worker.turn()
        #expect(reads == 1 && server.turns == 1)
    }

    @Test("a connection on the same machine is open in the turn that asks for it, and is not reported from within the call")
    func atOnce() throws {
        let world = try World()
        let link = NotingLink(worker: world.worker)
        try link.connect(to: world.address)
        #expect(link.events.isEmpty && !link.isConnected)
        world.worker.mailbox.post { _ in }
        world.worker.turn()
        #expect(link.events == ["connected"] && link.isConnected)
    }

    @Test("a connection that opened at once and is closed in the same turn reports nothing")
    func atOnceAndGone() throws {
        let world = try World()
        let link = NotingLink(worker: world.worker)
        try link.connect(to: world.address)
        link.close()
        world.worker.mailbox.post { _ in }
        world.worker.turn()
        #expect(link.events.isEmpty)
    }

    @Test("neither side of a connection collects small pieces before it sends them")
    func noDelay() throws {
        let world = try World()
        let client = try world.connect()
        for link in [client, world.accepted[0]] {
            var value: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            getsockopt(link.descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &value, &length)
            #expect(value != 0)
        }
    }

    @Test("a refused connection is reported as refused, and not from within the call")
    func refused() throws {
        let world = try World()
        let kernel = world.worker.kernel
        let descriptor = try kernel.listen(SocketAddress(numeric: "127.0.0.1", port: 0)!, sharingPort: false)
        let free = kernel.localAddress(of: descriptor)!
        kernel.close(descriptor, abortively: false)
        let link = NotingLink(worker: world.worker)
        try link.connect(to: free)
        #expect(link.events.isEmpty)
        try world.turn { !link.events.isEmpty }
        #expect(link.events == ["connecting ECONNREFUSED"])
    }

    @Test("an abort reaches the peer as a reset, a close as an end")
    func endings() throws {
        let world = try World()
        let first = try world.connect()
        first.abort()
        try world.turn { !world.accepted[0].events.isEmpty }
        #expect(world.accepted[0].events == ["reading ECONNRESET"])
        let second = try world.connect()
        try world.turn { world.accepted.count == 2 }
        second.close()
        try world.turn { !world.accepted[1].events.isEmpty }
        #expect(world.accepted[1].events == ["end"])
    }

    @Test("a failure while sending is reported once, at the end of the turn, and never from within the call")
    func writeFailure() throws {
        let world = try World()
        let client = try world.connect()
        let server = world.accepted[0]
        client.pauseReading()
        server.abort()
        for _ in 0..<3 { client.send([1, 2, 3]) }
        #expect(!client.events.contains { $0.hasPrefix("writing") })
        try world.turn { client.events.count > 1 }
        #expect(client.events.filter { $0.hasPrefix("writing") || $0 == "left" }.count == 1, "\(client.events)")
    }

    @Test("what an early answer said is read although writing has failed", .reaches(.answerReadAfterFailedWrite))
    func earlyAnswer() throws {
        let world = try World()
        let client = try world.connect()
        let server = world.accepted[0]
        client.pauseReading()
        server.send(Array("no".utf8))
        server.abort()
        client.send([1])
        client.readWhatIsLeft()
        #expect(client.received == Array("no".utf8))
    }

    @Test("slots are reused, and a late report reaches no newer endpoint")
    func slots() throws {
        let world = try World()
        let before = world.worker.endpointCount
        for round in 0..<50 {
            let client = try world.connect()
            try world.turn { world.accepted.count == round + 1 }
            client.close()
            try world.turn { world.accepted[round].events == ["end"] }
            world.accepted[round].close()
        }
        #expect(world.worker.endpointCount == before)
    }
}

// What a process gets at its start, and how listening sockets are handed over. EndToEnd/test_service.py and test_taking_over.py test
// the rest with real processes.

import Glibc
import Testing

@testable import Reactor

@Suite("Handing over")
struct HandingOverTests {
    private func words(_ environment: [String: String], process: Int32 = 100, parent: Int32 = 50) -> Inheritance.Words {
        Inheritance.Words(processID: process, parentID: parent) { environment[$0] }
    }

    @Test("sockets meant for this process are taken, with their names")
    func activation() {
        #expect(words(["LISTEN_PID": "100", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "web:admin"]).names == ["web", "admin"])
        #expect(words(["LISTEN_PID": "100", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "web"]).names == ["web", "", ""])
        #expect(words(["LISTEN_PID": "100", "LISTEN_FDS": "1"]).names == [""])
    }

    @Test(
        "words for another process, and words without sense, give nothing",
        arguments: [
            ["LISTEN_PID": "101", "LISTEN_FDS": "2"], ["LISTEN_FDS": "2"], ["LISTEN_PID": "100"],
            ["LISTEN_PID": "100", "LISTEN_FDS": "-1"],
            ["LISTEN_PID": "100", "LISTEN_FDS": "two"], ["LISTEN_PID": "", "LISTEN_FDS": "2"], [:],
            ["HEARTWIRE_PREDECESSOR": "51:3", "LISTEN_FDS": "2"], ["HEARTWIRE_PREDECESSOR": "50", "LISTEN_FDS": "2"],
            ["HEARTWIRE_PREDECESSOR": "50:x", "LISTEN_FDS": "2"], ["HEARTWIRE_PREDECESSOR": "50:2", "LISTEN_FDS": "2"],
        ])
    func nothing(environment: [String: String]) {
        #expect(words(environment).names.isEmpty && words(environment).predecessorLine == nil)
    }

    @Test("a predecessor is believed when it is the parent")
    func predecessor() {
        let found = words(["HEARTWIRE_PREDECESSOR": "50:5", "LISTEN_FDS": "2"])
        #expect(found.names.count == 2 && found.predecessorLine == 5)
    }

    @Test("a manager holds all sockets that it passes, a predecessor says which ones a manager holds")
    func held() {
        let ofManager = words(["LISTEN_PID": "100", "LISTEN_FDS": "2", "HEARTWIRE_HELD": ""])
        #expect(ofManager.holds(0) && ofManager.holds(1))
        let handed = words(["HEARTWIRE_PREDECESSOR": "50:6", "LISTEN_FDS": "3", "HEARTWIRE_HELD": "0:2"])
        #expect(handed.holds(0) && !handed.holds(1) && handed.holds(2))
        // An older predecessor does not know this variable yet.
        #expect(!words(["HEARTWIRE_PREDECESSOR": "50:6", "LISTEN_FDS": "3"]).holds(0))
    }

    @Test("an absurd number of sockets is bounded")
    func bound() { #expect(words(["LISTEN_PID": "100", "LISTEN_FDS": "99999999999"]).names.count == 8_192) }

    @Test("a service manager is one with a usable address, and its watchdog is ours only if it says so")
    func manager() {
        func manager(_ environment: [String: String]) -> ServiceManager { ServiceManager { environment[$0] } }
        #expect(manager(["NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "5"]).environment == ["NOTIFY_SOCKET=/run/n", "WATCHDOG_USEC=5"])
        #expect(manager(["NOTIFY_SOCKET": "@n"]).environment == ["NOTIFY_SOCKET=@n"])
        for name in ["", "@", "/", "run/n", "vsock:2:3", "/" + String(repeating: "n", count: 108)] {
            #expect(manager(["NOTIFY_SOCKET": name]).environment == [])
        }
        #expect(manager(["WATCHDOG_USEC": "5", "WATCHDOG_PID": "1"]).watchdogMicroseconds == nil)
        #expect(manager(["WATCHDOG_USEC": "0"]).watchdogMicroseconds == nil)
        #expect(manager(["NOTIFY_SOCKET": "/nobody/there"]).notify(["READY=1"]) != nil)
        #expect(ServiceManager().notify(["READY=1"]) == nil)
    }

    @Test("the end of a process is described in words")
    func endings() {
        #expect(Successor.describe(78 << 8) == "ended with status 78")
        #expect(Successor.describe(9) == "was ended by signal 9")
    }

    @Test("an acceptor that closes first accepts what waits, and gets no report of later connections to a shared socket")
    func backlog() throws {
        let kernel = LinuxKernel()
        let worker = try Worker(number: 0, kernel: kernel)
        let socket = try kernel.listen(SocketAddress(numeric: "127.0.0.1", port: 0)!, sharingPort: true)
        let address = try #require(kernel.localAddress(of: socket))
        defer { kernel.close(socket, abortively: false) }
        var accepted: [Int32] = []
        let acceptor = try Acceptor(
            worker: worker, descriptor: try kernel.duplicate(socket), accepted: { accepted.append($0.descriptor) }, exhausted: { _ in })
        let clients = try (0..<100).map { _ in try kernel.connect(to: address).descriptor }
        #expect(accepted.isEmpty)
        acceptor.close()
        #expect(accepted.count == clients.count)
        let late = try kernel.connect(to: address).descriptor
        worker.mailbox.post { _ in }
        worker.turn()
        #expect(accepted.count == clients.count && worker.endpointCount == 0)
        #expect(try kernel.accept(socket) != nil, "the socket itself lives on")
        for descriptor in accepted + clients + [late] { kernel.close(descriptor, abortively: false) }
    }

    @Test("a connection sends small data at once, also one that waited in the backlog")
    func sendsAtOnce() throws {
        let kernel = LinuxKernel()
        let worker = try Worker(number: 0, kernel: kernel)
        let socket = try kernel.listen(SocketAddress(numeric: "127.0.0.1", port: 0)!, sharingPort: true)
        let address = try #require(kernel.localAddress(of: socket))
        var clients = try (0..<40).map { _ in try kernel.connect(to: address).descriptor }
        var accepted: [Int32] = []
        let acceptor = try Acceptor(worker: worker, descriptor: socket, accepted: { accepted.append($0.descriptor) }, exhausted: { _ in })
        func turn(until count: Int) {
            let end = kernel.monotonicMilliseconds() + 5_000
            while accepted.count < count, kernel.monotonicMilliseconds() < end {
                worker.mailbox.post { _ in }
                worker.turn()
            }
            #expect(accepted.count == count)
        }
        turn(until: 40)
        clients.append(try kernel.connect(to: address).descriptor)
        turn(until: 41)
        for descriptor in accepted {
            var isSet: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            #expect(getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &isSet, &length) == 0 && isSet != 0)
        }
        acceptor.close()
        for descriptor in accepted + clients { kernel.close(descriptor, abortively: false) }
    }

    @Test("an acceptor that closes also accepts from a longer backlog than ours, but not without limit")
    func longBacklog() throws {
        final class CrowdedKernel: ForwardingKernel, @unchecked Sendable {
            var waiting = 10_000
            override func accept(_ descriptor: Int32) throws(SystemError) -> AcceptedConnection? {
                waiting -= 1
                return waiting < 0 ? nil : AcceptedConnection(descriptor: -1, peer: SocketAddress(numeric: "127.0.0.1", port: 1)!)
            }
        }
        let kernel = CrowdedKernel()
        let worker = try Worker(number: 0, kernel: kernel)
        for (waiting, taken) in [(10_000, 10_000), (1_000_000, 65_536)] {
            kernel.waiting = waiting
            var count = 0
            let socket = try kernel.listen(SocketAddress(numeric: "127.0.0.1", port: 0)!, sharingPort: true)
            try Acceptor(worker: worker, descriptor: socket, accepted: { _ in count += 1 }, exhausted: { _ in }).close()
            #expect(count == taken)
        }
    }

    @Test("an acceptor that reaches the limit of descriptors pauses, and goes on")
    func exhaustion() throws {
        final class ShortKernel: ForwardingKernel, @unchecked Sendable {
            var refusals = 1
            override func accept(_ descriptor: Int32) throws(SystemError) -> AcceptedConnection? {
                refusals -= 1
                if refusals >= 0 { throw .tooManyFiles }
                return try super.accept(descriptor)
            }
        }
        let kernel = ShortKernel()
        let worker = try Worker(number: 0, kernel: kernel)
        let socket = try kernel.listen(SocketAddress(numeric: "127.0.0.1", port: 0)!, sharingPort: true)
        let address = try #require(kernel.localAddress(of: socket))
        var accepted: [Int32] = []
        var problems = 0
        let acceptor = try Acceptor(
            worker: worker, descriptor: socket, accepted: { accepted.append($0.descriptor) }, exhausted: { _ in problems += 1 })
        let client = try kernel.connect(to: address).descriptor
        let end = kernel.monotonicMilliseconds() + 5_000
        while accepted.isEmpty, kernel.monotonicMilliseconds() < end { worker.turn() }
        #expect(problems == 1 && accepted.count == 1)
        acceptor.close()
        for descriptor in accepted + [client] { kernel.close(descriptor, abortively: false) }
    }
}

/// The real system behind a class that a test can override in one place.
private class ForwardingKernel: Kernel, @unchecked Sendable {
    private let world = LinuxKernel()

    override func monotonicMilliseconds() -> Int64 { world.monotonicMilliseconds() }
    override func listen(_ address: SocketAddress, sharingPort: Bool) throws(SystemError) -> Int32 {
        try world.listen(address, sharingPort: sharingPort)
    }
    override func localAddress(of descriptor: Int32) -> SocketAddress? { world.localAddress(of: descriptor) }
    override func sendAtOnce(_ descriptor: Int32) { world.sendAtOnce(descriptor) }
    override func accept(_ descriptor: Int32) throws(SystemError) -> AcceptedConnection? { try world.accept(descriptor) }
    override func connect(to address: SocketAddress) throws(SystemError) -> Connection { try world.connect(to: address) }
    override func close(_ descriptor: Int32, abortively: Bool) { world.close(descriptor, abortively: abortively) }
    override func makePoller() throws(SystemError) -> Int32 { try world.makePoller() }
    override func watch(_ descriptor: Int32, for interest: Readiness, token: UInt64, poller: Int32) throws(SystemError) {
        try world.watch(descriptor, for: interest, token: token, poller: poller)
    }
    override func unwatch(_ descriptor: Int32, poller: Int32) { world.unwatch(descriptor, poller: poller) }
    override func wait(poller: Int32, into events: UnsafeMutableBufferPointer<PollerEvent>, milliseconds: Int32) -> Int {
        world.wait(poller: poller, into: events, milliseconds: milliseconds)
    }
    override func makeWaker() throws(SystemError) -> Int32 { try world.makeWaker() }
    override func wake(_ waker: Int32) { world.wake(waker) }
    override func clearWaker(_ waker: Int32) { world.clearWaker(waker) }
}

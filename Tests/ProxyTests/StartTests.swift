// A start and a reload, step by step. A step that fails leaves nothing behind. With real processes they are tested in
// EndToEnd/test_reload.py and test_names.py.

import Configuration
import Credentials
import Reactor
import Synchronization
import Telemetry
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy
@testable import Upstreams

@Suite("A start and a reload")
struct StartTests {
    /// A step that fails.
    enum Harm: CaseIterable, Sendable {
        case certificate, logFile, takenAddress, secondListener, lastSocket, copyForLastWorker, logThread
    }

    private static func address(_ port: UInt16) -> SocketAddress { SocketAddress(bytes: [127, 0, 0, 1], port: port) }

    private func configuration(_ ports: [UInt16], logs: (String, String), servers: [String] = ["10.0.0.1"]) -> Configuration {
        Configuration(
            workerCount: 2, listeners: ports.map { Listener(host: "127.0.0.1", port: $0) },
            upstreams: [Upstream(name: "u", servers: servers.map { Upstream.Server(host: $0, port: 1) })],
            routes: [Route(upstreamIndex: 0)], streamLog: .file(logs.0), accessLog: .file(logs.1))
    }

    /// Makes a step fail for a configuration with two new sockets for each of two workers, on ports from `port` on.
    private func harm(_ harm: Harm, _ world: StartWorld, _ wanted: inout Configuration, newSockets: Int) throws {
        switch harm {
        case .certificate:
            let missing = Certificate(certificateFile: "/nowhere/c.pem", keyFile: "/nowhere/k.pem")
            wanted.listeners[wanted.listeners.count - 1].tls = ListenerTLS(certificates: [missing])
        case .logFile: world.missingLog = "c"
        case .takenAddress: _ = try world.kernel.listen(StartTests.address(83), sharingPort: false)
        case .secondListener: wanted.listeners.append(wanted.listeners[0])
        case .lastSocket: world.kernel.fail(.listen, number: newSockets)
        case .copyForLastWorker: world.kernel.fail(.duplicate, number: newSockets)
        case .logThread: world.lacksThreads = true
        }
    }

    @Test("a start gives each worker a copy of its own of each socket, and keeps the sockets themselves")
    func start() throws {
        let world = StartWorld()
        let server = try world.start(configuration([80, 81], logs: ("a", "b")))
        let both = [StartTests.address(80), StartTests.address(81)]
        #expect(server.listeningAddresses == both)
        #expect(world.kernel.addresses.count == 8 && Set(world.kernel.addresses) == Set(both))
        #expect(world.kernel.watchedAddresses.count == 4 && Set(world.kernel.watchedAddresses) == Set(both))
        #expect(Set(server.generation.sockets.descriptors).isDisjoint(with: world.kernel.watched.keys))
        #expect(world.openLogs == ["a", "b"] && world.warnings.isEmpty && world.workers.count == 2)
        server.stop()
        world.bury()
        #expect(world.kernel.addresses.isEmpty)
    }

    @Test("a proxy that ends is out of service, and not where its successor serves", arguments: [true, false])
    func isServing(isSucceeded: Bool) throws {
        let world = StartWorld()
        let server = try world.start(configuration([80], logs: ("a", "b")))
        #expect(server.isServing && !server.isEnding)
        server.stop(isSucceeded: isSucceeded)
        #expect(server.isServing == isSucceeded && server.isEnding)
        world.bury()
    }

    @Test("a reload finds streams under the key of the start, or under the one that it says, and never under that of the fingerprints")
    func historyKeys() throws {
        let world = StartWorld()
        var wanted = configuration([80], logs: ("a", "b"))
        let server = try world.start(wanted)
        func digest(_ key: Fingerprinter) -> KeyedDigest? { key.digest(ofBytes: [1, 2, 3].span) }
        let random = digest(server.generation.shared.historyKey)
        #expect(random != nil && random != digest(server.generation.shared.fingerprinter))
        _ = try server.reload(wanted)
        #expect(digest(server.generation.shared.historyKey) == random)
        wanted.historyKey = Array("sixteen bytes or more".utf8)
        _ = try server.reload(wanted)
        #expect(digest(server.generation.shared.historyKey) == digest(Fingerprinter(key: Array("sixteen bytes or more".utf8))))
        server.stop()
        world.bury()
    }

    @Test("a start that fails at any step leaves nothing open", arguments: Harm.allCases)
    func startFails(_ harm: Harm) throws {
        let world = StartWorld()
        var wanted = configuration([80, 83], logs: ("a", "c"))
        try self.harm(harm, world, &wanted, newSockets: 4)
        let before = world.kernel.open.count
        #expect(throws: StartError.self) { _ = try world.start(wanted) }
        #expect(world.kernel.open.count == before && world.openLogs.isEmpty && world.workers.isEmpty)
    }

    @Test("a start whose workers cannot be made, or cannot watch their sockets, leaves nothing open")
    func workersFail() throws {
        for (call, number) in [(ListeningKernel.Call.makePoller, 2), (.watch, 1), (.watch, 4)] {
            let world = StartWorld()
            world.kernel.fail(call, number: number)
            #expect(throws: StartError.self) { _ = try world.start(configuration([80, 81], logs: ("a", "b"))) }
            world.bury()
            #expect(world.kernel.open.isEmpty && world.openLogs.isEmpty, "\(call) \(number)")
        }
    }

    @Test(
        "a reload that fails at any step changes nothing and leaves nothing, and a good one comes into force after it",
        arguments: Harm.allCases)
    func reloadFails(_ harm: Harm) throws {
        let world = StartWorld()
        let server = try world.start(configuration([80, 81], logs: ("a", "b")))
        var wanted = configuration([81, 83, 84], logs: ("b", "c"))
        try self.harm(harm, world, &wanted, newSockets: 4)
        let (old, open, watched) = (server.generation, Set(world.kernel.open.keys), Set(world.kernel.watched.keys))
        #expect(throws: StartError.self) { _ = try server.reload(wanted) }
        world.turn()
        #expect(server.generation.settings === old.settings && server.generation.shared === old.shared)
        #expect(Set(world.kernel.open.keys) == open && Set(world.kernel.watched.keys) == watched)
        #expect(world.openLogs == ["a", "b"])
        world.missingLog = nil
        world.lacksThreads = false
        let outcome = try server.reload(configuration([81, 84, 85], logs: ("b", "c")))
        #expect(outcome.warnings.isEmpty && server.listeningAddresses == [81, 84, 85].map(StartTests.address))
        server.stop()
        world.bury()
        #expect(world.kernel.addresses.count == (harm == .takenAddress ? 1 : 0), "only the stranger's is left")
        #expect(server.generation.logs.outputs.allSatisfy { !$0.writer.submit([10]) }, "the logs have ended")
    }

    @Test("a reload keeps the sockets and logs that stay, and closes those that go when the workers have taken it")
    func reload() throws {
        let world = StartWorld()
        let server = try world.start(configuration([80, 81], logs: ("a", "b")))
        let old = server.generation
        let outcome = try server.reload(configuration([81, 82], logs: ("b", "c")))
        #expect(outcome.changes.contains("listen 127.0.0.1:82 added") && outcome.changes.contains("listen 127.0.0.1:80 removed"))
        let wanted = [StartTests.address(81), StartTests.address(82)]
        #expect(server.listeningAddresses == wanted)
        #expect(Set(world.kernel.addresses) == Set(wanted) && world.kernel.addresses.count == 8)
        #expect(Set(world.kernel.watchedAddresses) == Set(wanted) && world.kernel.watchedAddresses.count == 4)
        #expect(server.generation.sockets.served[0].descriptors == old.sockets.served[1].descriptors)
        #expect(server.generation.logs.stream === old.logs.access)
        #expect(Set(server.generation.logs.outputs.map(\.name)) == ["b", "c"])
        #expect(old.logs.outputs.first { $0.name == "a" }?.writer.submit([10]) == false, "the log that nobody needs has ended")
        server.stop()
        world.bury()
        #expect(world.kernel.addresses.isEmpty)
    }

    @Test("a reload waits ten seconds for busy workers, and lets the old logs go on where they have not taken it")
    func busy() throws {
        let world = StartWorld()
        let server = try world.start(configuration([80], logs: ("a", "b")))
        let old = server.generation
        world.areWorkersBusy = true
        let beginning = world.kernel.now
        let outcome = try server.reload(configuration([80], logs: ("b", "c")))
        #expect(world.kernel.now - beginning == 10_000)
        #expect(outcome.warnings == ["not every worker has taken the new configuration yet; they are busy"])
        #expect(old.logs.outputs.allSatisfy { $0.writer.submit([10]) }, "workers write to them still")
        world.turn()
        server.stop()
        for output in old.logs.outputs { output.writer.finish(deadlineMilliseconds: 5_000) }
        world.bury()
    }

    @Test("a start waits ten seconds for names and a reload five, and each says which it has waited for")
    func names() throws {
        let world = StartWorld()
        world.kernel.holdsNames.store(true, ordering: .releasing)
        defer { world.kernel.holdsNames.store(false, ordering: .releasing) }
        let server = try world.start(configuration([80], logs: ("a", "b"), servers: ["a.test"]))
        #expect((10_000..<10_010).contains(world.kernel.now))
        #expect(world.warnings == ["the server's name a.test could not be looked up within 10 s; it will be looked up again"])
        let beginning = world.kernel.now
        let outcome = try server.reload(configuration([80], logs: ("a", "b"), servers: ["10.0.0.1", "b.test"]))
        #expect((5_000..<5_010).contains(world.kernel.now - beginning))
        #expect(outcome.warnings == ["the server's name b.test could not be looked up within 5 s; it will be looked up again"])
        let another = world.kernel.now
        _ = try server.reload(configuration([80], logs: ("a", "b")))
        #expect(world.kernel.now - another < 10, "numbers are not waited for")
        server.stop()
        world.bury()
    }

    @Test("inherited sockets are used, closed where nobody needs them, or refuse where a manager has them open too")
    func inherited() throws {
        let world = StartWorld()
        func given(_ port: UInt16, isHeld: Bool) throws -> InheritedSocket {
            let descriptor = try world.kernel.listen(StartTests.address(port), sharingPort: true)
            return InheritedSocket(descriptor: descriptor, name: "", address: StartTests.address(port), isHeldElsewhere: isHeld)
        }
        let sockets = [try given(80, isHeld: false), try given(98, isHeld: true), try given(99, isHeld: false)]
        let server = try world.start(configuration([80], logs: ("a", "b")), inheriting: sockets)
        #expect(server.generation.sockets.served.flatMap(\.descriptors) == [sockets[0].descriptor])
        #expect(server.generation.sockets.refused.flatMap(\.descriptors) == [sockets[1].descriptor])
        #expect(world.kernel.open[sockets[2].descriptor] == nil)
        #expect(
            world.warnings == [
                "no 'listen' fits the inherited socket on 127.0.0.1:98; clients that connect to it are refused",
                "no 'listen' fits the inherited socket on 127.0.0.1:99; it was closed",
            ])
        #expect(server.handedSockets.count == 2 && world.kernel.watchedAddresses.filter { $0.port == 98 }.count == 2)
        // A later configuration may need it.
        #expect(try server.reload(configuration([98], logs: ("a", "b"))).warnings.isEmpty)
        #expect(server.generation.sockets.served.flatMap(\.descriptors) == [sockets[1].descriptor])
        #expect(try server.reload(configuration([80], logs: ("a", "b"))).warnings.count == 1)
        #expect(server.generation.sockets.refused.flatMap(\.descriptors) == [sockets[1].descriptor])
        server.stop()
        world.bury()
        #expect(world.kernel.addresses.isEmpty)
    }
}

// Names that are looked up side by side. With a DNS server that answers nothing it is tested in EndToEnd/test_names.py.

import Configuration
import Reactor
import Synchronization
import Testing

@testable import Upstreams

/// A resolver in which each name takes as long as the test says.
private final class SlowKernel: Kernel, @unchecked Sendable {
    private let counts = Mutex<(now: Int, most: Int, all: Int)>((0, 0, 0))
    let milliseconds: @Sendable (String) -> Int
    /// Whether names are found.
    let knows: Atomic<Bool> = Atomic(true)

    init(_ milliseconds: @escaping @Sendable (String) -> Int) { self.milliseconds = milliseconds }

    /// How many look-ups ran at once at most, and how many in all.
    var most: Int { counts.withLock { $0.most } }
    var all: Int { counts.withLock { $0.all } }

    // Look-ups run on threads of their own, in real time.
    private let clock = LinuxKernel()
    override func monotonicMilliseconds() -> Int64 { clock.monotonicMilliseconds() }
    override func sleep(milliseconds: Int) { clock.sleep(milliseconds: milliseconds) }

    override func resolve(_ host: String, port: UInt16) -> [SocketAddress] {
        counts.withLock { counts in
            counts.now += 1
            counts.all += 1
            counts.most = max(counts.most, counts.now)
        }
        SystemProcess.sleep(milliseconds: milliseconds(host))
        counts.withLock { $0.now -= 1 }
        return knows.load(ordering: .relaxed) ? [SocketAddress(numeric: "10.0.0.1", port: 0)!] : []
    }
}

@Suite("Names are looked up side by side")
struct NameLookupTests {
    private func names(_ count: Int) -> Set<String> { Set((0..<count).map { "server-\($0).test" }) }

    private func seconds(_ body: () -> Void) -> Double {
        let elapsed = ContinuousClock().measure(body).components
        return Double(elapsed.seconds) + Double(elapsed.attoseconds) / 1e18
    }

    @Test("thirty slow names take as long as one")
    func parallel() {
        let kernel = SlowKernel { _ in 300 }
        let lookups = NameLookups(kernel)
        let taken = seconds { #expect(lookups.lookUp(names(30), atMostMilliseconds: 8_000).isEmpty) }
        #expect(taken < 3 && kernel.all == 30)
        #expect(lookups.addresses(of: "server-7.test", port: 81) == [SocketAddress(numeric: "10.0.0.1", port: 81)!])
    }

    @Test("never on more threads than the limit, and each is answered all the same")
    func bounded() {
        let kernel = SlowKernel { _ in 20 }
        let count = NameLookups.threadLimit * 4
        #expect(NameLookups(kernel).lookUp(names(count), atMostMilliseconds: 20_000).isEmpty)
        #expect(kernel.all == count && kernel.most <= NameLookups.threadLimit && kernel.most > 1)
    }

    @Test("a name that is not answered holds nobody up for longer than he waits, and is known later")
    func patience() {
        let kernel = SlowKernel { $0 == "dead.test" ? 1_500 : 10 }
        let lookups = NameLookups(kernel)
        let taken = seconds {
            #expect(lookups.lookUp(["dead.test", "server.test"], atMostMilliseconds: 200) == ["dead.test"])
        }
        #expect(taken < 1.2)
        #expect(lookups.addresses(of: "server.test", port: 1).count == 1 && lookups.addresses(of: "dead.test", port: 1).isEmpty)
        // Who asks again waits for the look-up that is under way, and begins none beside it.
        #expect(lookups.lookUp(["dead.test"], atMostMilliseconds: 10_000).isEmpty)
        #expect(lookups.addresses(of: "dead.test", port: 1).count == 1 && kernel.all == 2)
    }

    @Test("a name that is not answered holds up none that is asked for after it")
    func independence() {
        let isReleased = Atomic(false)
        let kernel = SlowKernel { name in
            while name == "dead.test", !isReleased.load(ordering: .acquiring) { SystemProcess.sleep(milliseconds: 1) }
            return 0
        }
        defer { isReleased.store(true, ordering: .releasing) }
        let lookups = NameLookups(kernel)
        #expect(lookups.lookUp(["dead.test"], atMostMilliseconds: 20) == ["dead.test"])
        #expect(lookups.lookUp(["server.test"], atMostMilliseconds: 5_000).isEmpty)
        // Nor where all of them are asked for again.
        lookups.begin(["dead.test", "server.test"])
        for _ in 0..<5_000 where kernel.all < 3 { SystemProcess.sleep(milliseconds: 1) }
        #expect(kernel.all == 3)
    }

    @Test("a look-up that finds nothing leaves what was found before, until the name is forgotten")
    func keeps() {
        let kernel = SlowKernel { _ in 1 }
        let lookups = NameLookups(kernel)
        #expect(lookups.lookUp(["server.test"], atMostMilliseconds: 5_000).isEmpty)
        kernel.knows.store(false, ordering: .relaxed)
        #expect(lookups.lookUp(["server.test"], atMostMilliseconds: 5_000).isEmpty)
        #expect(lookups.addresses(of: "server.test", port: 1).count == 1)
        lookups.forget(except: ["other.test"])
        #expect(lookups.addresses(of: "server.test", port: 1).isEmpty)
    }

    @Test("what is said of names without an address tells those that were not answered from those that are unknown")
    func warnings() {
        let lookups = NameLookups(SlowKernel { _ in 0 })
        let servers = ["a.test", "a.test", "b.test", "10.0.0.2"].enumerated().map { Upstream.Server(host: $1, port: UInt16(80 + $0)) }
        let names = NameResolver([Upstream(name: "x", servers: servers)])
        #expect(names.names == ["a.test", "b.test"])
        let warnings = names.warnings(about: names.addresses(from: lookups), unanswered: ["b.test"], withinMilliseconds: 5_000)
        #expect(
            warnings == [
                "the server's name a.test has no address yet; it will be looked up again",
                "the server's name b.test could not be looked up within 5 s; it will be looked up again",
            ])
    }
}

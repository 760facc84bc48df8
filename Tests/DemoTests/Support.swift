// What the demo's tests share: a worker with a client link over real loopback sockets; the test runs each turn.

import Reactor
import TestSupport
import Testing

@testable import Demo

/// A client that records its callbacks.
final class Client: Link {
    private(set) var received: [UInt8] = []
    private(set) var lastReceivedAt: Int64 = 0
    private(set) var hasEnded = false
    private(set) var failure: SystemError?
    private(set) var failedAt: Int64 = 0
    private(set) var isReady = false

    var text: String { String(decoding: received, as: UTF8.self) }
    var isGone: Bool { hasEnded || failure != nil }

    override func linkConnected() { isReady = true }
    override func linkReceived(_ bytes: UnsafeMutableRawBufferPointer) {
        received += bytes
        lastReceivedAt = worker.now
    }
    override func linkReachedEnd() { hasEnded = true }
    override func linkFailed(_ error: SystemError, while operation: LinkOperation) {
        failure = error
        failedAt = worker.now
        close()
    }

    func say(_ text: String) { send(Array(text.utf8)) }

    /// Drops what came so far.
    func forget() { received = [] }
}

/// A worker whose turns the test runs.
final class Stage {
    let worker: Worker

    init() throws { worker = try Worker(number: 0, kernel: LinuxKernel()) }

    func connect(to address: SocketAddress) throws -> Client {
        let client = Client(worker: worker)
        try client.connect(to: address)
        try turn { client.isReady || client.isGone }
        return client
    }

    /// Listens on the loopback interface; returns the address.
    func listen(_ accepted: @escaping (AcceptedConnection) -> Void) throws -> SocketAddress {
        let descriptor = try worker.kernel.listen(SocketAddress(numeric: "127.0.0.1", port: 0)!, sharingPort: false)
        let address = try #require(worker.kernel.localAddress(of: descriptor))
        _ = try Acceptor(worker: worker, descriptor: descriptor, accepted: accepted, exhausted: { _ in })
        return address
    }

    func turn(until condition: () -> Bool) throws { try worker.turn(until: condition) }

    /// Runs turns for that long.
    func turn(milliseconds: Int64) throws {
        let end = worker.kernel.monotonicMilliseconds() + milliseconds
        try turn { self.worker.kernel.monotonicMilliseconds() >= end }
    }
}

extension DemoWorld {
    private static let identity = Result { try SelfSignedIdentity(hosts: ["localhost"]) }

    /// A world with one certificate for all tests.
    static func standing(on worker: Worker, listen: SocketAddress, timing: DemoTiming = DemoTiming()) throws -> DemoWorld {
        try DemoWorld(worker: worker, listen: listen, identity: try identity.get(), timing: timing)
    }
}

extension DemoTiming {
    /// The demo's timing for tests: the same order of moments in a tenth of the time.
    static var hasty: DemoTiming {
        var timing = DemoTiming()
        timing.hopIdleLimitMilliseconds = 600
        timing.heartbeatMilliseconds = 200
        timing.eventIntervalMilliseconds = 50
        timing.eventsPerBurst = 4
        timing.silenceMilliseconds = 1100
        return timing
    }
}

/// The name of a page; the text has to be one.
func pageName(_ text: String) -> PageName { PageName(inTarget: Array("/?page=\(text)".utf8)[...])! }

/// The numbers of the events in the bytes of a stream, in their order.
func numbers(in text: String) -> [Int] {
    text.split(whereSeparator: { $0.isNewline }).compactMap { line in
        line.hasPrefix("id: ") ? Int(line.dropFirst(4)) : nil
    }
}

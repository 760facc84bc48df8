// The demo's old server, which nobody may change: it wants `Authorization: Bearer`, sends in bursts, and knows no heartbeats and no
// `Last-Event-ID`. The same server also serves the page and the feed, at other paths. Invariant: the number of connections is bounded,
// and a client that does not read is disconnected.

import HTTP
import Reactor

/// The demo's backend and page server.
final class Backend {
    /// How many connections are served at once; further ones are closed.
    static let maximumConnections = 256

    let worker: Worker
    let timing: DemoTiming
    let feed: DemoFeed
    /// The token that `Authorization: Bearer` must hold.
    let token: String
    /// The pages by their paths; they are set when all ports are known.
    var pages: [String: [UInt8]] = [:]
    /// How many connections of browsers the load balancer sees now, over TLS or without.
    var countConnections: (_ isSecured: Bool) -> Int = { _ in 0 }

    private var schedule: BurstSchedule
    private var ticker: Ticker?
    private var listeners: [ObjectIdentifier: BackendConnection] = [:]
    private(set) var connectionCount = 0

    init(worker: Worker, timing: DemoTiming, feed: DemoFeed, token: String) {
        self.worker = worker
        self.timing = timing
        self.feed = feed
        self.token = token
        schedule = BurstSchedule(timing: timing, beginningAt: worker.now)
        let ticker = Ticker(opening: worker)
        self.ticker = ticker
        ticker.reached = { [weak self] in self?.speak() }
        ticker.wake(atMilliseconds: schedule.nextMoment)
    }

    func accept(_ accepted: AcceptedConnection) {
        guard connectionCount < Backend.maximumConnections else {
            return worker.kernel.close(accepted.descriptor, abortively: true)
        }
        let connection = BackendConnection(backend: self)
        do {
            try connection.begin(accepted.descriptor)
            connectionCount += 1
        } catch {
            // The descriptor is closed already, so the client sees the failure.
            return
        }
    }

    /// Adds a connection to the stream: it gets every event from now on. The greeting says when to come back, if it is to.
    func listen(_ connection: BackendConnection, saysRetry: Bool) -> [UInt8] {
        listeners[ObjectIdentifier(connection)] = connection
        return DemoStream.greeting(nextNumber: schedule.nextNumber, retryMilliseconds: saysRetry ? timing.reconnectMilliseconds : nil)
    }

    func connectionClosed(_ connection: BackendConnection) {
        connectionCount -= 1
        listeners[ObjectIdentifier(connection)] = nil
        feed.leave(connection)
    }

    private func speak() {
        if let number = schedule.takeDue(now: worker.now) {
            let event = DemoStream.numbered(number, unixMilliseconds: worker.kernel.unixMilliseconds())
            for listener in Array(listeners.values) { _ = listener.take(event) }
        }
        ticker?.wake(atMilliseconds: schedule.nextMoment)
    }
}

/// A deadline without a connection.
private final class Ticker: Endpoint {
    var reached: () -> Void = {}

    convenience init(opening worker: Worker) {
        self.init(worker: worker)
        openTimer()
    }

    override func deadlineReached() { reached() }
}

// The console on its own thread, with its own event loop: it stops no event, and no busy worker stops its answers. It listens, and makes
// the receivers of requests. Invariant: every bound of the console stands in `ConsoleLimits`.

import Configuration
import Downstreams
import HTTP
import Reactor

/// The bounds of the console.
package enum ConsoleLimits {
    /// Connections at once. One more takes the place of the one that has waited longest for its client, if any waits.
    package static let connections = 64
    /// Event streams at once.
    package static let viewers = 16
    /// Bytes of a request's head.
    package static let requestHeadBytes = 16_384
    /// Bytes of an action's body.
    package static let requestBodyBytes = 1_024
    /// How many bytes wait for one viewer before what comes is dropped.
    package static let waitingBytesPerViewer = 262_144
    /// How long a client has for each part of its request, in milliseconds: the handshake, the head, a body's next byte.
    package static let requestMilliseconds = 5_000
    /// How long a viewer may take nothing, in milliseconds.
    package static let stallMilliseconds = 10_000
    /// How long workers have to answer, in milliseconds: a scraper gets what the others say.
    package static let answerMilliseconds: Int64 = 2_000
}

/// The console on its thread.
package final class ConsoleWorker {
    let worker: Worker
    let source: any ConsoleSource
    private(set) var gate: Gate
    private(set) lazy var feed = Feed(console: self, source: source)
    private var acceptors: [Int32: (acceptor: Acceptor, place: ListeningPlace)] = [:]
    private var lastDate = HTTPDate()
    private lazy var clients = DownstreamWorker(
        worker: worker, terms: ConsoleWorker.clientTerms(), counts: ConnectionCounts(limit: ConsoleLimits.connections, limitPerClient: 0),
        handler: self, makesRoom: true)

    /// A console that listens nowhere yet. The worker holds it from then on.
    package init(worker: Worker, source: any ConsoleSource, terms: ConsoleTerms) {
        self.worker = worker
        self.source = source
        gate = Gate(terms)
        worker.resident = self
    }

    /// The console on a worker, for jobs from its mailbox.
    package static func on(_ worker: Worker) -> ConsoleWorker? { worker.resident as? ConsoleWorker }

    /// The value of a `Date` field.
    var date: [UInt8] { lastDate.text(at: worker.kernel.unixMilliseconds() / 1000) }

    private static func clientTerms() -> DownstreamTerms {
        var configuration = Configuration()
        configuration.limits.requestHeadBytes = ConsoleLimits.requestHeadBytes
        configuration.limits.pendingBytes = ConsoleLimits.viewers * 2 * ConsoleLimits.waitingBytesPerViewer
        configuration.timeouts.handshakeMilliseconds = ConsoleLimits.requestMilliseconds
        configuration.timeouts.requestHeadMilliseconds = ConsoleLimits.requestMilliseconds
        configuration.timeouts.requestBodyMilliseconds = ConsoleLimits.requestMilliseconds
        configuration.timeouts.clientStallMilliseconds = ConsoleLimits.stallMilliseconds
        return DownstreamTerms(configuration, workerCount: 1)
    }

    // MARK: Listening

    /// Listens on these sockets from now on, each a descriptor of the console's own by the process's descriptor that it is a copy of.
    /// Sockets that are not among `kept` or new are closed after what waits in them was taken. Returns the first failure.
    package func adopt(
        _ terms: ConsoleTerms, kept: [Int32: ListenerSecurity], new: [Int32: (descriptor: Int32, security: ListenerSecurity)]
    ) -> SystemError? {
        // A client that was let in by other terms has to ask again; the page does so by itself.
        if terms != gate.terms { clients.drainConnections() }
        gate = Gate(terms)
        for (number, listening) in acceptors {
            if let security = kept[number] { listening.place.security = security } else { stopListening(number) }
        }
        var failure: SystemError?
        for (number, (descriptor, security)) in new {
            let place = ListeningPlace(security)
            do {
                let acceptor = try Acceptor(
                    worker: worker, descriptor: descriptor,
                    accepted: { [unowned self] in clients.accept($0, at: place) },
                    exhausted: { [unowned self] in
                        worker.warn("the console can accept no connection for the moment: \($0.message)")
                    })
                acceptors[number] = (acceptor, place)
            } catch { failure = failure ?? error }
        }
        return failure
    }

    private func stopListening(_ number: Int32) { acceptors.removeValue(forKey: number)?.acceptor.close() }

    /// Listens no more, and ends its connections. Those that are asked something may still be answered.
    package func stopListening() {
        for number in Array(acceptors.keys) { stopListening(number) }
        clients.beginDraining(newcomersUntil: worker.now)
        clients.drainConnections()
    }

    /// Ends at once.
    package func end() {
        for number in Array(acceptors.keys) { stopListening(number) }
        clients.endGrace()
        worker.stop()
    }
}

extension ConsoleWorker: RequestHandler {
    /// A receiver for a request.
    package func makeReceiver(for head: RequestHead?, from sink: Sink) -> any RequestReceiver { ConsoleExchange(console: self, sink: sink) }

    /// A connection that ended without a request leaves no trace.
    package func connectionFailed(from client: SocketAddress, _ departure: ClientDeparture) {}

    /// The last connection is closed.
    package func clientsDrained() {}
}

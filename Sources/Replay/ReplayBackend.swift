// A backend that plays one recording: each client gets the recorded stream from its beginning, at its own time or faster.
// Invariant: the number of clients is bounded.

import Configuration
import Downstreams
import HTTP
import Reactor
import Telemetry

/// The backend on its one worker.
package final class ReplayBackend {
    /// So many clients are served at once.
    private static let clients = 1_024

    let worker: Worker
    let recording: RecordingFile
    let speed: Int64
    private var acceptor: Acceptor?
    private var lastDate = HTTPDate()
    private lazy var clients = DownstreamWorker(
        worker: worker, terms: DownstreamTerms(Configuration(), workerCount: 1),
        counts: ConnectionCounts(limit: ReplayBackend.clients, limitPerClient: 0), handler: self)

    /// A backend that listens on a socket of its own from now on.
    /// - Parameters:
    ///   - worker: Its event loop, which holds it from then on.
    ///   - descriptor: A listening socket; the backend closes it.
    ///   - speed: How many times as fast as it was the recording is played, from 1 on.
    package init(worker: Worker, descriptor: Int32, playing recording: RecordingFile, speed: Int) throws(SystemError) {
        precondition(speed > 0, "a recording is played forwards")
        self.worker = worker
        self.recording = recording
        self.speed = Int64(speed)
        let security: ListenerSecurity
        do throws(TLSError) { security = try ListenerSecurity(Listener(host: "*", port: 0)) } catch {
            preconditionFailure("a listener without TLS reads no file")
        }
        let place = ListeningPlace(security)
        worker.resident = self
        acceptor = try Acceptor(
            worker: worker, descriptor: descriptor, accepted: { [unowned self] in clients.accept($0, at: place) },
            exhausted: { worker.warn("no connection can be accepted for the moment: \($0.message)") })
    }

    /// The value of a `Date` field.
    var date: [UInt8] { lastDate.text(at: worker.kernel.unixMilliseconds() / 1000) }

    /// Listens no more and ends all streams.
    package func stop() {
        acceptor?.close()
        acceptor = nil
        clients.endGrace()
        worker.stop()
    }
}

extension ReplayBackend: RequestHandler {
    /// A player for a request.
    package func makeReceiver(for head: RequestHead?, from sink: Sink) -> any RequestReceiver { Player(self, sink) }

    /// A connection that ended without a request leaves no trace.
    package func connectionFailed(from client: SocketAddress, _ departure: ClientDeparture) {}

    /// The last connection is closed.
    package func clientsDrained() {}
}

// Where the bytes of a response come from: the seam between an exchange and what is behind it. An exchange replaces its source while its
// client's side lives: it leaves a lost server, and takes the next one. While a client is held between two attempts there is no source.
// Another kind of source is one more case.

import Reactor
import Upstreams

/// The source of a response's bytes. Eight bytes, and every call is dispatched statically.
enum Source {
    /// No server is asked now.
    case none
    /// One server: its connection, with no object between.
    case server(UpstreamConnection)
    /// The proxy itself plays a script for a probe.
    case probe(ProbeSource)
    /// A stream that is kept for a client that may come back.
    case kept(StreamReader)

    /// The server's connection; nil for other sources.
    @inline(__always)
    var connection: UpstreamConnection? {
        if case .server(let connection) = self { connection } else { nil }
    }

    /// The server that serves the stream, as far as this worker knows it.
    var server: ServerState? {
        switch self {
        case .server(let connection): connection.server
        case .kept(let reader): reader.server
        case .none, .probe: nil
        }
    }

    /// Stops reading, because the client does not take what was sent.
    @inline(__always)
    func pause() {
        switch self {
        case .server(let connection): connection.pause(for: .slowClient)
        case .kept(let reader): reader.pause()
        case .none, .probe: return
        }
    }

    /// The client takes bytes again.
    @inline(__always)
    func resume() {
        switch self {
        case .server(let connection): connection.resume(for: .slowClient)
        case .kept(let reader): reader.resume()
        case .none, .probe: return
        }
    }

    /// Whether a failure follows the bytes that came last.
    var isFailing: Bool {
        if case .server(let connection) = self { connection.breaksRules } else { false }
    }

    /// The reader of a kept stream; nil for other sources.
    @inline(__always)
    var reader: StreamReader? {
        if case .kept(let reader) = self { reader } else { nil }
    }

    /// The script that is played; nil for other sources.
    @inline(__always)
    var playing: ProbeSource? {
        if case .probe(let probe) = self { probe } else { nil }
    }

    /// Releases the source; it calls the exchange no more. `forgets` says that nobody may go on with a stream that is kept.
    func cancel(forgets: Bool = false) {
        switch self {
        case .server(let connection): connection.detach()
        case .kept(let reader): reader.leave(forgets: forgets)
        case .none, .probe: return
        }
    }

    /// Has the kernel ask a server now and then whether it is still there.
    func probe() {
        switch self {
        case .server(let connection): connection.beginProbing(afterSeconds: ExchangeWorker.probeAfterSeconds)
        case .kept(let reader): reader.probe()
        case .none, .probe: return
        }
    }
}

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

    /// The server's connection; nil for other sources.
    @inline(__always)
    var connection: UpstreamConnection? {
        if case .server(let connection) = self { connection } else { nil }
    }

    /// Stops reading, because the client does not take what was sent.
    @inline(__always)
    func pause() {
        if case .server(let connection) = self { connection.pause(for: .slowClient) }
    }

    /// The client takes bytes again.
    @inline(__always)
    func resume() {
        if case .server(let connection) = self { connection.resume(for: .slowClient) }
    }

    /// Whether a failure follows the bytes that came last.
    var isFailing: Bool {
        if case .server(let connection) = self { connection.breaksRules } else { false }
    }

    /// The script that is played; nil for other sources.
    @inline(__always)
    var playing: ProbeSource? {
        if case .probe(let probe) = self { probe } else { nil }
    }

    /// Releases the source; it calls the exchange no more.
    func cancel() {
        if case .server(let connection) = self { connection.detach() }
    }

    /// Has the kernel ask a server now and then whether it is still there.
    func probe() {
        if case .server(let connection) = self { connection.beginProbing(afterSeconds: ExchangeWorker.probeAfterSeconds) }
    }
}

// Where the bytes of a response come from: the seam between an exchange and what is behind it. An exchange replaces its source while its
// client's side lives: a server that is lost by nobody, nobody by the next server. Another kind of source is one more case.

import Reactor
import Upstreams

/// The source of a response's bytes. Eight bytes, and every call is dispatched statically.
enum Source {
    /// No server is asked.
    case none
    /// One server: its connection, with no object between.
    case server(UpstreamConnection)
    /// No server is asked, and the client is held: it has the beginning of the proxy's own stream.
    case held

    /// The server's connection; nil for other sources.
    @inline(__always)
    var connection: UpstreamConnection? {
        if case .server(let connection) = self { connection } else { nil }
    }

    /// Sends nothing more for now, because the client does not take what was sent.
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

    /// Nothing more is wanted of it.
    func cancel() {
        if case .server(let connection) = self { connection.detach() }
    }

    /// Has the kernel ask a server now and then whether it is still there.
    func probe() {
        if case .server(let connection) = self { connection.beginProbing(afterSeconds: ExchangeWorker.probeAfterSeconds) }
    }
}

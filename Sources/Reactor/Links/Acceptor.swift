// A listening socket on one worker. It accepts connections in small batches, so that many new ones do not starve the running streams.
// When no descriptor is left it pauses and does not spin. Invariant: before the socket is closed, the connections in its backlog are
// accepted: closing would reset them.

/// Accepts connections for one worker and hands them on.
public final class Acceptor: Endpoint {
    private static let batch = 32
    private static let restMilliseconds: Int64 = 100
    /// A bound above every real backlog: 4,096 for our own sockets; for an inherited socket its creator and the system chose the size.
    /// Without this bound, clients that connect as fast as we accept would keep us in the loop.
    private static let backlog = 65_536
    // Others may watch the same socket: other workers, or the process that takes over.
    private static let interest: Readiness = [.readable, .exclusive]
    private let accepted: (AcceptedConnection) -> Void
    private let exhausted: (SystemError) -> Void
    /// Whether the backlog may hold connections from before `sendAtOnce`, which have not inherited that option.
    private var mayHoldOlder = true

    /// Listens on a socket. `accepted` is called for each connection, `exhausted` when the process has no descriptor left.
    public init(
        worker: Worker, descriptor: Int32, accepted: @escaping (AcceptedConnection) -> Void,
        exhausted: @escaping (SystemError) -> Void
    ) throws(SystemError) {
        self.accepted = accepted
        self.exhausted = exhausted
        super.init(worker: worker)
        worker.kernel.sendAtOnce(descriptor)
        try open(descriptor, interest: Acceptor.interest)
    }

    /// Stops listening: accepts what waits in the backlog, and closes.
    public func close() {
        takeAll()
        closeAtOnce()
    }

    /// Accepts what waits in the backlog.
    public func takeAll() { takeConnections(atMost: Acceptor.backlog) }

    /// Closes without accepting what waits.
    public func closeAtOnce() {
        // Another process may hold the same socket, and then the poller would go on reporting it here.
        suspendWatching()
        release(abortively: false)
    }

    public override func ready(_ readiness: Readiness) {
        guard let error = takeConnections(atMost: Acceptor.batch) else { return }
        exhausted(error)
        rest()
    }

    public override func deadlineReached() {
        do { try resumeWatching(Acceptor.interest) } catch { rest() }
    }

    private func rest() {
        suspendWatching()
        wake(atMilliseconds: worker.now + Acceptor.restMilliseconds)
    }

    @discardableResult
    private func takeConnections(atMost limit: Int) -> SystemError? {
        for _ in 0..<limit where isOpen {
            do {
                guard let connection = try worker.kernel.accept(descriptor) else {
                    mayHoldOlder = false
                    return nil
                }
                if mayHoldOlder { worker.kernel.sendAtOnce(connection.descriptor) }
                accepted(connection)
            } catch {
                return error
            }
        }
        return nil
    }
}

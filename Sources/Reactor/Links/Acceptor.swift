// A listening socket on one worker. It takes connections in small batches, so that a flood of them does not
// starve the streams that live already, and rests when no descriptor is left instead of spinning.
// Invariant: a connection that waits in the backlog when the socket is given up is taken first: closing would reset it.

/// Accepts connections for one worker and hands them on.
public final class Acceptor: Endpoint {
    private static let batch = 32
    private static let restMilliseconds: Int64 = 100
    /// More than ever wait: 4,096 in the kernel's queue of our own sockets, and in that of an inherited one as many as whoever made it
    /// asked for and the system allows. It is there so that who connects as fast as we take him does not keep us.
    private static let backlog = 65_536
    // Others may watch the same socket: further workers, or the process that takes over.
    private static let interest: Readiness = [.readable, .exclusive]
    private let accepted: (AcceptedConnection) -> Void
    private let exhausted: (SystemError) -> Void
    /// Whether connections may wait that are older than this, and so have not inherited what the socket was told.
    private var mayHoldOlder = true

    /// Listens on a socket; `accepted` is called for each connection, `exhausted` when the process can take no more for
    /// the moment.
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

    /// Stops to listen: takes what waits already, and closes.
    public func close() {
        takeAll()
        closeAtOnce()
    }

    /// Takes what waits already.
    public func takeAll() { takeConnections(atMost: Acceptor.backlog) }

    /// Closes without a look at what waits.
    public func closeAtOnce() {
        // The same socket may be open elsewhere, and would be reported here for as long as it is.
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

// A listening socket on one worker. It takes connections in small batches, so that a flood of them does not
// starve the streams that live already, and rests when no descriptor is left instead of spinning.

/// Accepts connections for one worker and hands them on.
public final class Acceptor: Endpoint {
    private static let batch = 32
    private static let restMilliseconds: Int64 = 100
    private let accepted: (AcceptedConnection) -> Void
    private let exhausted: (SystemError) -> Void

    /// Listens on `address`; `accepted` is called for each connection, `exhausted` when the process can take no more for
    /// the moment.
    public init(
        worker: Worker, descriptor: Int32, accepted: @escaping (AcceptedConnection) -> Void,
        exhausted: @escaping (SystemError) -> Void
    ) throws(SystemError) {
        self.accepted = accepted
        self.exhausted = exhausted
        super.init(worker: worker)
        try open(descriptor, interest: [.readable])
    }

    /// Stops to listen.
    public func close() { release(abortively: false) }

    public override func ready(_ readiness: Readiness) {
        for _ in 0..<Acceptor.batch where isOpen {
            do {
                guard let connection = try worker.kernel.accept(descriptor) else { return }
                accepted(connection)
            } catch {
                exhausted(error)
                setInterest([])
                return wake(atMilliseconds: worker.now + Acceptor.restMilliseconds)
            }
        }
    }

    public override func deadlineReached() { setInterest([.readable]) }
}

// What a worker can watch: one descriptor with its slot, its interest and its one deadline. Subclasses give readiness and the deadline
// a meaning: `Link` for connections, `Acceptor` for listening sockets. Invariant: an endpoint has a slot of its worker exactly while it
// is open. It then has a descriptor, or is only a timer.

/// One descriptor, or one deadline, on one worker. Used on its worker's thread only.
open class Endpoint {
    /// The worker that runs this endpoint. Each holds the other while the endpoint is open. An unowned reference would cost reference
    /// counting at each use.
    public let worker: Worker
    /// The open descriptor; -1 once closed, and for a timer.
    public private(set) final var descriptor: Int32 = -1
    final var slot: Int32 = -1
    private final var interest: Readiness = []
    final var isDeferred = false

    /// An endpoint without a descriptor yet.
    public init(worker: Worker) { self.worker = worker }

    /// Whether the worker knows the endpoint.
    public final var isOpen: Bool { slot >= 0 }

    /// Takes over a descriptor and watches it for `interest`. On an error the descriptor is closed.
    final func open(_ descriptor: Int32, interest: Readiness) throws(SystemError) {
        precondition(!isOpen)
        slot = worker.takeSlot(for: self)
        do {
            try worker.kernel.watch(descriptor, for: interest, token: worker.token(of: slot), poller: worker.poller)
        } catch {
            worker.giveBack(slot)
            slot = -1
            worker.kernel.close(descriptor, abortively: false)
            throw error
        }
        self.descriptor = descriptor
        self.interest = interest
    }

    /// Opens the endpoint without a descriptor, as a timer only. This works even when the process has no descriptor left.
    public final func openTimer() {
        precondition(!isOpen)
        slot = worker.takeSlot(for: self)
    }

    /// Closes an endpoint that is only a timer.
    public final func closeTimer() { release(abortively: false) }

    /// Changes the interest; costs a system call only when it differs.
    final func setInterest(_ wanted: Readiness) {
        guard isOpen, wanted != interest else { return }
        interest = wanted
        worker.kernel.rewatch(descriptor, for: wanted, token: worker.token(of: slot), poller: worker.poller)
    }

    /// Watches for nothing until `resumeWatching`; the descriptor stays open.
    final func suspendWatching() {
        guard isOpen, !interest.isEmpty else { return }
        interest = []
        worker.kernel.unwatch(descriptor, poller: worker.poller)
    }

    /// Watches for `wanted` again, after `suspendWatching`.
    final func resumeWatching(_ wanted: Readiness) throws(SystemError) {
        precondition(isOpen && interest.isEmpty)
        try worker.kernel.watch(descriptor, for: wanted, token: worker.token(of: slot), poller: worker.poller)
        interest = wanted
    }

    /// Gives the descriptor up without closing it, and drops the deadline. Nothing more is reported to the endpoint.
    final func surrenderDescriptor() -> Int32 {
        precondition(isOpen && descriptor >= 0)
        suspendWatching()
        let surrendered = descriptor
        descriptor = -1
        worker.giveBack(slot)
        slot = -1
        return surrendered
    }

    /// Hands the descriptor, its slot and its deadline over to an endpoint that is not open. Nothing more is reported to this endpoint;
    /// no system call is made.
    final func handOverSlot(to successor: Endpoint) {
        precondition(isOpen && descriptor >= 0 && !successor.isOpen)
        (successor.descriptor, successor.slot, successor.interest) = (descriptor, slot, interest)
        worker.replaceEndpoint(in: slot, by: successor)
        descriptor = -1
        slot = -1
    }

    /// Closes the descriptor and drops the deadline. Nothing more is reported to the endpoint.
    final func release(abortively: Bool) {
        guard isOpen else { return }
        if descriptor >= 0 { worker.kernel.close(descriptor, abortively: abortively) }
        descriptor = -1
        worker.giveBack(slot)
        slot = -1
    }

    /// Asks for `deadlineReached` at that moment, to a tick. An earlier deadline stays: when it comes, the endpoint looks at its own
    /// clocks and sets the next one. So postponing a deadline costs nothing. `Int64.max` means no deadline.
    public final func wake(atMilliseconds deadline: Int64) {
        guard isOpen, deadline < .max else { return }
        worker.wheel.arm(slot: Int(slot), deadlineMilliseconds: deadline)
    }

    /// The poller reported something.
    open func ready(_ readiness: Readiness) {}
    /// The deadline, or an earlier one, has come.
    open func deadlineReached() {}
    /// The end of the turn in which `Worker.atEndOfTurn` was asked for this endpoint.
    open func turnEnded() {}
}

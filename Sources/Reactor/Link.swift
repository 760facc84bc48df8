// One TCP connection on one worker: reads into the worker's scratch buffer, writes at once and keeps only what
// the kernel would not take. It knows bytes and no protocol; who subclasses it gives them a meaning.
// Invariants: no callback is made from within a command (failures met while sending are reported at the end of
// the turn), and none after `close` or `abort`.

/// What was being done when a link failed.
public enum LinkOperation: Sendable {
    /// The connection was being made.
    case connecting
    /// Bytes were awaited.
    case reading
    /// Bytes were being written.
    case writing
}

/// One TCP connection. Subclasses override the `link…` methods.
open class Link: Endpoint {
    private enum Phase: UInt8 { case new, connecting, open, closed }

    private final var phase = Phase.new
    private final var isReading = true
    private final var hasReadEnd = false
    private final var closesWhenDrained = false
    private final var shutsDownWhenDrained = false
    private final var writeFailure: SystemError?
    private final var pending = PendingBytes()
    /// At most so many bytes are read in one turn, so that what a slow peer cannot take stays bounded.
    public final var readLimitBytes: UInt32 = UInt32(Worker.scratchBytes)

    // MARK: Life

    /// Takes over a connection that a listening socket gave. On an error its descriptor is closed.
    public final func adopt(_ descriptor: Int32) throws(SystemError) {
        precondition(phase == .new)
        try open(descriptor, interest: Link.readingInterest)
        phase = .open
    }

    /// Begins to connect; `linkConnected` or `linkFailed` follows, never from within this call.
    public final func connect(to address: SocketAddress) throws(SystemError) {
        precondition(phase == .new)
        let connection = try worker.kernel.connect(to: address)
        // Writability ends the attempt, also where it has succeeded at once.
        try open(connection.descriptor, interest: [.writable])
        phase = .connecting
    }

    /// Whether bytes can be sent: connected, not closing, not broken.
    public final var isConnected: Bool { phase == .open && writeFailure == nil }

    /// Closes in order; what is still pending is given up.
    public final func close() { end(abortively: false) }

    /// Closes by a reset, so that the peer sees that something is missing.
    public final func abort() { end(abortively: true) }

    /// Closes in order as soon as everything pending is written. Nothing is read or reported any more, except a failure.
    public final func closeWhenDrained() {
        guard phase == .open else { return close() }
        closesWhenDrained = true
        if pending.isEmpty { close() } else { pauseReading() }
    }

    /// Ends our sending as soon as everything pending is written; reading goes on.
    public final func shutdownWhenDrained() {
        guard phase == .open else { return }
        shutsDownWhenDrained = true
        if pending.isEmpty { worker.kernel.shutdownWriting(descriptor) }
    }

    private func end(abortively: Bool) {
        guard phase != .closed else { return }
        phase = .closed
        pending.clear()
        release(abortively: abortively)
    }

    // MARK: Sending

    /// Bytes that the kernel has not taken yet.
    public final var pendingCount: Int { pending.count }

    /// Sends in order: at once as far as the kernel takes it, the rest when it is writable again (then `linkDrained`).
    /// Returns how many bytes the kernel took at once.
    @discardableResult
    public final func send(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard isConnected, !bytes.isEmpty else { return 0 }
        guard pending.isEmpty else {
            pending.append(bytes)
            return 0
        }
        switch worker.kernel.write(descriptor, bytes) {
        case .bytes(let count) where count == bytes.count:
            return count
        case .bytes(let count):
            pending.append(UnsafeRawBufferPointer(rebasing: bytes[count...]))
            updateInterest()
            return count
        case .wouldBlock:
            pending.append(bytes)
            updateInterest()
        case .failed(let error):
            noteWriteFailure(error)
        }
        return 0
    }

    /// Sends an array's bytes.
    @discardableResult
    public final func send(_ bytes: [UInt8]) -> Int { bytes.withUnsafeBytes { send($0) } }

    private func noteWriteFailure(_ error: SystemError) {
        guard writeFailure == nil else { return }
        writeFailure = error
        pending.clear()
        updateInterest()
        worker.atEndOfTurn(self)
    }

    /// Reports a failure that a `send` met; an override calls it too.
    open override func turnEnded() {
        guard phase == .open, let writeFailure else { return }
        linkFailed(writeFailure, while: .writing)
    }

    private func flush() {
        guard !pending.isEmpty else { return }
        switch worker.kernel.write(descriptor, pending.bytes) {
        case .bytes(let count):
            pending.removeFirst(count)
            linkProgressed(count)
        case .wouldBlock:
            return
        case .failed(let error):
            return noteWriteFailure(error)
        }
        guard phase == .open, pending.isEmpty else { return }
        if closesWhenDrained { return close() }
        if shutsDownWhenDrained { worker.kernel.shutdownWriting(descriptor) }
        updateInterest()
        linkDrained()
    }

    // MARK: Reading

    /// Whether what the peer sends is being read.
    public final var isReadingPaused: Bool { !isReading }

    /// Leaves what the peer sends to the kernel's buffer, and so slows the peer down.
    public final func pauseReading() {
        guard isReading else { return }
        isReading = false
        updateInterest()
    }

    /// Reads again.
    public final func resumeReading() {
        guard !isReading, !closesWhenDrained else { return }
        isReading = true
        updateInterest()
    }

    /// Hands bytes that the subclass put aside to `linkReceived` again, in the scratch buffer, as if they had just come.
    /// At most one scratch buffer full; not to be called from within `linkReceived`.
    public final func redeliver(_ bytes: [UInt8]) {
        precondition(bytes.count <= Worker.scratchBytes)
        guard isOpen, !bytes.isEmpty else { return }
        bytes.withUnsafeBytes { worker.scratch.copyMemory(from: $0) }
        linkReceived(UnsafeMutableRawBufferPointer(rebasing: worker.scratch[..<bytes.count]))
    }

    /// Reads what the peer sent before writing to it failed: an answer that came before the reset is still an answer.
    public final func readWhatIsLeft() {
        while phase == .open {
            switch worker.kernel.read(descriptor, into: worker.scratch) {
            case .bytes(let count) where count > 0:
                linkReceived(UnsafeMutableRawBufferPointer(rebasing: worker.scratch[..<count]))
            default:
                return
            }
        }
    }

    private static let readingInterest: Readiness = [.readable, .peerEnded]

    private func updateInterest() {
        guard phase == .open else { return }
        var wanted: Readiness = isReading && !hasReadEnd ? Link.readingInterest : [.peerEnded, .onChange]
        if !pending.isEmpty { wanted.insert(.writable) }
        setInterest(wanted)
    }

    private func receive(_ readiness: Readiness) {
        let room = min(Int(readLimitBytes), Worker.scratchBytes)
        switch worker.kernel.read(descriptor, into: UnsafeMutableRawBufferPointer(rebasing: worker.scratch[..<room])) {
        case .bytes(0):
            hasReadEnd = true
            updateInterest()
            linkReachedEnd()
        case .bytes(let count):
            linkReceived(UnsafeMutableRawBufferPointer(rebasing: worker.scratch[..<count]))
        case .wouldBlock:
            return
        case .failed(let error):
            linkFailed(error, while: .reading)
        }
    }

    // MARK: Events of the poller

    public final override func ready(_ readiness: Readiness) {
        switch phase {
        case .new, .closed:
            return
        case .connecting:
            if let error = worker.kernel.connectionError(of: descriptor) { return linkFailed(error, while: .connecting) }
            guard readiness.contains(.writable) else { return }
            phase = .open
            updateInterest()
            linkConnected()
        case .open:
            if readiness.contains(.writable) { flush() }
            guard phase == .open, writeFailure == nil else { return }
            if isReading, !hasReadEnd {
                if !readiness.isDisjoint(with: [.readable, .peerEnded, .broken]) { receive(readiness) }
            } else if readiness.contains(.broken), closesWhenDrained || hasReadEnd || pending.isEmpty == false {
                // Nothing will be read that could tell of the failure, and nothing more can be written.
                if let error = worker.kernel.connectionError(of: descriptor) { linkFailed(error, while: .writing) }
            } else if !readiness.isDisjoint(with: [.peerEnded, .broken]) {
                linkPeerLeft(isBroken: readiness.contains(.broken))
            }
        }
    }

    // MARK: What subclasses are told

    /// The connection stands; bytes can be sent.
    open func linkConnected() {}
    /// Bytes came. They lie in the worker's scratch buffer, with `Worker.headroomBytes` free in front and behind, and are
    /// good until the method returns; they may be changed in place.
    open func linkReceived(_ bytes: UnsafeMutableRawBufferPointer) {}
    /// The peer has ended its sending in order.
    open func linkReachedEnd() {}
    /// The connection could not be made, or is broken. The link is still open and has to be closed.
    open func linkFailed(_ error: SystemError, while operation: LinkOperation) {}
    /// The kernel took that many of the pending bytes.
    open func linkProgressed(_ count: Int) {}
    /// Everything pending has been taken by the kernel.
    open func linkDrained() {}
    /// While reading is paused: the peer has ended its sending, or the connection is broken. What it sent before may still
    /// wait to be read.
    open func linkPeerLeft(isBroken: Bool) {}
}

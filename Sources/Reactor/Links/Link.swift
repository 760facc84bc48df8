// One TCP connection on one worker, with or without TLS (SecuredLink.swift). It reads into the worker's scratch buffer, writes at once,
// and keeps only what the kernel does not take. It knows bytes and no protocol; subclasses interpret them. Invariants: no command calls
// back (a failure while sending is reported at the end of the turn), and nothing is reported after `close` or `abort`.

import Marks

/// What was being done when a link failed.
public enum LinkOperation: Sendable {
    /// The connection was being made.
    case connecting
    /// The link waited for bytes.
    case reading
    /// The link was writing bytes.
    case writing
}

/// One TCP connection. Subclasses override the `link…` methods.
open class Link: Endpoint {
    enum Phase: UInt8 {
        case new, connecting
        /// The connection exists already; `linkConnected` follows at the end of the turn.
        case connectedAtOnce
        /// The TLS handshake is in progress.
        case securing
        case open, closed
    }

    final var phase = Phase.new
    private final var isReading = true
    final var hasReadEnd = false
    /// False after an end that TLS does not confirm: a FIN without close_notify, which anybody on the network can forge.
    public internal(set) final var endIsAuthentic = true
    private final var closesWhenDrained = false
    private final var shutsDownWhenDrained = false
    private final var writeFailure: SystemError?
    final var pending = PendingBytes()
    final var session: TLSSession?
    /// The most bytes read in one turn. It bounds what has to wait for a slow reader.
    public final var readLimitBytes: UInt32 = UInt32(Worker.scratchBytes)
    /// How many bytes of TLS's own answers the peer has not taken yet.
    final var ownPendingBytes: UInt32 = 0

    // MARK: Opening and closing

    /// Takes over an accepted connection. On an error its descriptor is closed. With a context the client first has to make a TLS
    /// handshake; `linkConnected`, `linkSecurityFailed` or `linkFoundPlainText` follows.
    public final func adopt(_ descriptor: Int32, securedBy context: TLSServerContext? = nil) throws(SystemError) {
        precondition(phase == .new)
        if let context {
            context.ticketKeys.rotate(nowMilliseconds: worker.now, kernel: worker.kernel)
            do {
                session = try TLSSession(server: context, buffers: worker.tlsBuffers)
            } catch {
                worker.kernel.close(descriptor, abortively: true)
                throw .outOfMemory
            }
        }
        try open(descriptor, interest: Link.readingInterest)
        phase = context == nil ? .open : .securing
    }

    /// Begins to connect; `linkConnected` or `linkFailed` follows, never from within this call. With a context, the server first has to
    /// prove in a TLS handshake that its name is `serverName`, a host name or an address; otherwise `linkSecurityFailed` follows.
    public final func connect(
        to address: SocketAddress, securedBy context: TLSClientContext? = nil, serverName: String = "", resumption: TLSResumption? = nil
    ) throws(SystemError) {
        precondition(phase == .new)
        if let context {
            do {
                session = try TLSSession(client: context, serverName: serverName, resumption: resumption, buffers: worker.tlsBuffers)
            } catch {
                throw .outOfMemory
            }
        }
        let connection = try worker.kernel.connect(to: address)
        // If not yet connected, the socket becomes writable when the attempt is over.
        try open(connection.descriptor, interest: connection.isConnected ? Link.readingInterest : [.writable])
        phase = connection.isConnected ? .connectedAtOnce : .connecting
        if connection.isConnected { worker.atEndOfTurn(self) }
    }

    /// The TCP connection exists; TLS may have to follow.
    private func established() {
        phase = session == nil ? .open : .securing
        updateInterest()
        if phase == .open { return linkConnected() }
        linkBeganToSecure()
        if phase == .securing { beginToSecure() }
    }

    /// Whether bytes can be sent: connected, not closing, not broken.
    public final var isConnected: Bool { phase == .open && writeFailure == nil }

    /// Closes in order; pending bytes are dropped.
    public final func close() { end(abortively: false) }

    /// Closes with a reset, so that the peer sees that data is missing.
    public final func abort() { end(abortively: true) }

    /// Closes in order when all pending bytes are written. From now on nothing is read or reported except a failure.
    public final func closeWhenDrained() {
        guard phase == .open else { return close() }
        sayGoodbye()
        closesWhenDrained = true
        if pending.isEmpty { close() } else { pauseReading() }
    }

    /// Shuts down our sending half when all pending bytes are written; reading goes on.
    public final func shutdownWhenDrained() {
        guard phase == .open else { return }
        sayGoodbye()
        shutsDownWhenDrained = true
        if pending.isEmpty { worker.kernel.shutdownWriting(descriptor) }
    }

    /// Gives up an open connection without closing it, so that another link may adopt the descriptor. No bytes may be pending.
    public final func surrender() -> Int32 {
        precondition(phase == .open && session == nil && pending.isEmpty && writeFailure == nil)
        phase = .closed
        return surrenderDescriptor()
    }

    /// Hands the open connection over to another link, which takes this one's place: with its TLS, with what waits to be sent, and with
    /// what comes behind the bytes that were reported. So a protocol's own object takes a connection over behind the handshake.
    public final func handOver(to successor: Link) {
        precondition(phase == .open && successor.phase == .new && isReading && !closesWhenDrained && !shutsDownWhenDrained)
        handOverSlot(to: successor)
        (successor.session, successor.hasReadEnd, successor.endIsAuthentic) = (session, hasReadEnd, endIsAuthentic)
        (successor.ownPendingBytes, successor.writeFailure) = (ownPendingBytes, writeFailure)
        swap(&successor.pending, &pending)
        successor.phase = .open
        // What a write met is reported at the end of the turn.
        if writeFailure != nil { worker.atEndOfTurn(successor) }
        if !successor.pending.isEmpty { successor.linkBeganToWait() }
        phase = .closed
        session = nil
    }

    /// What the kernel knows about the connection; nil where the connection is closed or the kernel knows nothing.
    public final var transportInformation: TransportInformation? {
        isOpen ? worker.kernel.transportInformation(of: descriptor) : nil
    }

    private func end(abortively: Bool) {
        guard phase != .closed else { return }
        if !abortively, phase == .open { sayGoodbye() }
        phase = .closed
        forgetPending()
        release(abortively: abortively)
        session = nil
    }

    // MARK: Sending

    /// Bytes that the kernel has not taken yet.
    public final var pendingCount: Int { pending.count }

    /// Sends in order: at once as much as the kernel takes, the rest when the socket is writable again (then `linkDrained`). Returns
    /// how many bytes the kernel took at once.
    @discardableResult
    public final func send(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard isConnected, !bytes.isEmpty else { return 0 }
        guard let session else { return transmit(bytes) }
        let before = pending.count
        guard session.encrypt(bytes) else {
            noteWriteFailure(.protocolError)
            return 0
        }
        worker.tlsBuffers.flush { transmit($0) }
        // Encrypted bytes cannot be counted as the caller's: either all of them went or some wait.
        return pending.count > before ? 0 : bytes.count
    }

    /// Sends two pieces, one after the other, in one system call where possible.
    public final func send(_ first: UnsafeRawBufferPointer, then second: UnsafeRawBufferPointer) {
        guard isConnected else { return }
        if let session {
            guard session.encrypt(first), second.isEmpty || session.encrypt(second) else { return noteWriteFailure(.protocolError) }
            worker.tlsBuffers.flush { transmit($0) }
            return
        }
        guard pending.isEmpty, !second.isEmpty else {
            transmit(first)
            if !second.isEmpty { transmit(second) }
            return
        }
        switch worker.kernel.write(descriptor, first, second) {
        case .bytes(let count):
            guard count < first.count + second.count else { return }
            keep(UnsafeRawBufferPointer(rebasing: first[min(count, first.count)...]))
            keep(UnsafeRawBufferPointer(rebasing: second[max(0, count - first.count)...]))
            updateInterest()
        case .wouldBlock:
            keep(first)
            keep(second)
            updateInterest()
        case .failed(let error):
            noteWriteFailure(error)
        }
    }

    /// Writes bytes as they are.
    @discardableResult
    func transmit(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard writeFailure == nil else { return 0 }
        guard pending.isEmpty else {
            keep(bytes)
            return 0
        }
        switch worker.kernel.write(descriptor, bytes) {
        case .bytes(let count) where count == bytes.count:
            return count
        case .bytes(let count):
            keep(UnsafeRawBufferPointer(rebasing: bytes[count...]))
            updateInterest()
            return count
        case .wouldBlock:
            keep(bytes)
            updateInterest()
        case .failed(let error):
            noteWriteFailure(error)
        }
        return 0
    }

    private func keep(_ bytes: UnsafeRawBufferPointer) {
        let isFirst = pending.isEmpty
        pending.append(bytes)
        worker.pendingBytes += bytes.count
        if isFirst { linkBeganToWait() }
    }

    private func forgetPending() {
        worker.pendingBytes -= pending.count
        pending.clear()
        ownPendingBytes = 0
    }

    /// Sends an array's bytes.
    @discardableResult
    public final func send(_ bytes: [UInt8]) -> Int { bytes.withUnsafeBytes { send($0) } }

    private func noteWriteFailure(_ error: SystemError) {
        guard writeFailure == nil else { return }
        writeFailure = error
        forgetPending()
        updateInterest()
        worker.atEndOfTurn(self)
    }

    /// Reports an immediate connection, and a failure during `send`. An override must call super.
    open override func turnEnded() {
        if phase == .connectedAtOnce { return established() }
        guard phase == .open || phase == .securing, let writeFailure else { return }
        linkFailed(writeFailure, while: .writing)
    }

    private func flush() {
        guard !pending.isEmpty else { return }
        switch worker.kernel.write(descriptor, pending.bytes) {
        case .bytes(let count):
            pending.removeFirst(count)
            worker.pendingBytes -= count
            ownPendingBytes -= min(ownPendingBytes, UInt32(clamping: count))
            guard phase == .open else { break }
            linkProgressed(count)
        case .wouldBlock:
            return
        case .failed(let error):
            return noteWriteFailure(error)
        }
        if phase == .securing { return updateInterest() }
        guard phase == .open, pending.isEmpty else { return }
        if closesWhenDrained { return close() }
        if shutsDownWhenDrained { worker.kernel.shutdownWriting(descriptor) }
        updateInterest()
        linkDrained()
    }

    // MARK: Reading

    /// Whether the link has stopped reading from the peer.
    public final var isReadingPaused: Bool { !isReading }

    /// Stops reading. The kernel's buffer fills up, and the peer has to slow down (backpressure).
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

    /// Passes bytes that the subclass kept to `linkReceived` again, in the scratch buffer, as if they had just come. At most one
    /// scratch buffer full; must not be called from within `linkReceived`.
    public final func redeliver(_ bytes: [UInt8]) {
        precondition(bytes.count <= Worker.scratchBytes)
        guard isOpen, !bytes.isEmpty else { return }
        bytes.withUnsafeBytes { worker.scratch.copyMemory(from: $0) }
        linkReceived(UnsafeMutableRawBufferPointer(rebasing: worker.scratch[..<bytes.count]))
    }

    /// Reads what the peer sent before a write failed: a response that came before the reset still counts.
    public final func readWhatIsLeft() {
        while phase == .open {
            guard let session else {
                guard let count = readSome(into: worker.scratch) else { return }
                Mark.reached(.answerReadAfterFailedWrite)
                linkReceived(UnsafeMutableRawBufferPointer(rebasing: worker.scratch[..<count]))
                continue
            }
            guard let count = readSome(into: worker.tlsBuffers.input) else { return }
            worker.tlsBuffers.received(count)
            let taken = session.take(into: worker.scratch).count
            if taken > 0 { linkReceived(UnsafeMutableRawBufferPointer(rebasing: worker.scratch[..<taken])) }
            worker.tlsBuffers.forgetInput()
        }
    }

    private func readSome(into room: UnsafeMutableRawBufferPointer) -> Int? {
        guard case .bytes(let count) = worker.kernel.read(descriptor, into: room), count > 0 else { return nil }
        return count
    }

    /// Whether nothing unread has come, neither bytes nor an end. Anything that came is lost: a link that is not quiet can only be
    /// closed. TLS's own messages, such as a ticket, do not count.
    public final func isQuiet() -> Bool {
        guard phase == .open else { return false }
        guard let session else {
            return withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { room in
                worker.kernel.read(descriptor, into: room) == .wouldBlock
            }
        }
        return isQuiet(session)
    }

    private static let readingInterest: Readiness = [.readable, .peerEnded]

    func updateInterest() {
        guard phase == .open || phase == .securing else { return }
        var wanted: Readiness = isReading && !hasReadEnd ? Link.readingInterest : [.peerEnded, .onChange]
        if !pending.isEmpty { wanted.insert(.writable) }
        setInterest(wanted)
    }

    private func receive(_ readiness: Readiness) {
        if session != nil { return receiveSecured() }
        let room = min(Int(readLimitBytes), Worker.scratchBytes)
        switch worker.kernel.read(descriptor, into: UnsafeMutableRawBufferPointer(rebasing: worker.scratch[..<room])) {
        case .bytes(0):
            hasReadEnd = true
            linkReachedEnd()
            // By now most of them are closed.
            updateInterest()
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
        case .connectedAtOnce:
            // The turn goes on with events that came meanwhile.
            established()
        case .connecting:
            if let error = worker.kernel.connectionError(of: descriptor) { return linkFailed(error, while: .connecting) }
            guard readiness.contains(.writable) else { return }
            established()
        case .securing:
            if readiness.contains(.writable) { flush() }
            guard phase == .securing, writeFailure == nil else { return }
            if !readiness.isDisjoint(with: [.readable, .peerEnded, .broken]) { receiveSecured() }
        case .open:
            if readiness.contains(.writable) { flush() }
            guard phase == .open, writeFailure == nil else { return }
            if isReading, !hasReadEnd {
                if !readiness.isDisjoint(with: [.readable, .peerEnded, .broken]) { receive(readiness) }
            } else if readiness.contains(.broken), closesWhenDrained || hasReadEnd || pending.isEmpty == false {
                // No read will report the failure, and nothing more can be written.
                if let error = worker.kernel.connectionError(of: descriptor) { linkFailed(error, while: .writing) }
            } else if !readiness.isDisjoint(with: [.peerEnded, .broken]) {
                linkPeerLeft(isBroken: readiness.contains(.broken))
            }
        }
    }

    // MARK: Callbacks of subclasses

    /// The connection is open and secured if it has to be; bytes can be sent. Not called for adopted links without TLS.
    open func linkConnected() {}
    /// The TCP connection is open, and the TLS handshake with the server begins.
    open func linkBeganToSecure() {}
    /// Bytes came. They lie in the worker's scratch buffer, with `Worker.headroomBytes` free in front and behind. They are valid until
    /// the method returns and may be changed in place.
    open func linkReceived(_ bytes: UnsafeMutableRawBufferPointer) {}
    /// The peer has ended its sending in good order.
    open func linkReachedEnd() {}
    /// The connection could not be made, or is broken. The link is still open and must be closed.
    open func linkFailed(_ error: SystemError, while operation: LinkOperation) {}
    /// Bytes began to wait. Called from within a command: an override may only note the time and set a deadline.
    open func linkBeganToWait() {}
    /// The kernel took that many of the pending bytes.
    open func linkProgressed(_ count: Int) {}
    /// Everything pending has been taken by the kernel.
    open func linkDrained() {}
    /// The TLS handshake failed, or the received bytes are not TLS. The link is still open and must be closed.
    open func linkSecurityFailed(_ failure: TLSFailure) {}
    /// A client speaks plain text on a TLS port. Its bytes are dropped; it can be answered in plain text.
    open func linkFoundPlainText() {}
    /// While reading is paused: the peer has ended its sending, or the connection is broken. Bytes that it sent before may still be
    /// unread.
    open func linkPeerLeft(isBroken: Bool) {}
}

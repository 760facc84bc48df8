// One TCP connection on one worker, with or without TLS (SecuredLink.swift): reads into the worker's scratch buffer, writes at once and
// keeps only what the kernel would not take. It knows bytes and no protocol; who subclasses it gives them a meaning.
// Invariants: no callback is made from within a command (failures met while sending are reported at the end of
// the turn), and none after `close` or `abort`.

import Marks

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
    enum Phase: UInt8 {
        case new, connecting
        /// The connection stands already, and whoever asked for it is told at the end of the turn.
        case connectedAtOnce
        /// The TLS handshake is under way.
        case securing
        case open, closed
    }

    final var phase = Phase.new
    private final var isReading = true
    final var hasReadEnd = false
    /// False after an end that TLS does not vouch for: a FIN without close_notify, which anybody on the way can forge.
    public internal(set) final var endIsAuthentic = true
    private final var closesWhenDrained = false
    private final var shutsDownWhenDrained = false
    private final var writeFailure: SystemError?
    final var pending = PendingBytes()
    final var session: TLSSession?
    /// At most so many bytes are read in one turn, so that what a slow peer cannot take stays bounded.
    public final var readLimitBytes: UInt32 = UInt32(Worker.scratchBytes)
    /// How much TLS has answered by itself beyond what the peer took since.
    final var ownPendingBytes: UInt32 = 0

    // MARK: Life

    /// Takes over a connection that a listening socket gave. On an error its descriptor is closed. With a context the client
    /// has to make a TLS handshake first: `linkConnected` follows it, or `linkSecurityFailed`, or `linkFoundPlainText`.
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

    /// Begins to connect; `linkConnected` or `linkFailed` follows, never from within this call. With a context the server has to
    /// prove in a TLS handshake that it goes by `serverName`, a host name or an address, before the link counts as connected;
    /// where it does not, `linkSecurityFailed` follows.
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
        // Otherwise writability ends the attempt.
        try open(connection.descriptor, interest: connection.isConnected ? Link.readingInterest : [.writable])
        phase = connection.isConnected ? .connectedAtOnce : .connecting
        if connection.isConnected { worker.atEndOfTurn(self) }
    }

    /// The connection stands; TLS may have to be spoken first.
    private func established() {
        phase = session == nil ? .open : .securing
        updateInterest()
        if phase == .open { return linkConnected() }
        linkBeganToSecure()
        if phase == .securing { beginToSecure() }
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
        sayGoodbye()
        closesWhenDrained = true
        if pending.isEmpty { close() } else { pauseReading() }
    }

    /// Ends our sending as soon as everything pending is written; reading goes on.
    public final func shutdownWhenDrained() {
        guard phase == .open else { return }
        sayGoodbye()
        shutsDownWhenDrained = true
        if pending.isEmpty { worker.kernel.shutdownWriting(descriptor) }
    }

    /// Gives up a connection that stands, without closing it: another link may adopt the descriptor. Nothing may wait to be sent.
    public final func surrender() -> Int32 {
        precondition(phase == .open && session == nil && pending.isEmpty && writeFailure == nil)
        phase = .closed
        return surrenderDescriptor()
    }

    /// Hands the open connection over to another link, which takes this one's place: with its TLS, with what waits to be sent, and with
    /// what comes behind the bytes that were reported. So a protocol's own object takes a connection over behind the handshake.
    public final func handOver(to successor: Link) {
        precondition(phase == .open && successor.phase == .new)
        handOverSlot(to: successor)
        (successor.session, successor.hasReadEnd, successor.endIsAuthentic) = (session, hasReadEnd, endIsAuthentic)
        (successor.ownPendingBytes, successor.writeFailure) = (ownPendingBytes, writeFailure)
        swap(&successor.pending, &pending)
        successor.phase = .open
        // What a write met is reported at the end of the turn.
        if writeFailure != nil { worker.atEndOfTurn(successor) }
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

    /// Sends in order: at once as far as the kernel takes it, the rest when it is writable again (then `linkDrained`).
    /// Returns how many bytes the kernel took at once.
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
        // Encrypted bytes are not the caller's; either all of them went or some wait.
        return pending.count > before ? 0 : bytes.count
    }

    /// Sends two pieces one behind the other, in one call of the kernel where it takes them.
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

    /// Reports a connection that stood at once, and a failure that a `send` met; an override calls it too.
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

    /// Whether nothing has come that was not read yet, neither bytes nor an end. What did come is lost: a link that is not quiet can
    /// only be closed. What TLS says for itself, such as a ticket, leaves it quiet.
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
            // Most are closed by now.
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
        case .new, .connectedAtOnce, .closed:
            return
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
                // Nothing will be read that could tell of the failure, and nothing more can be written.
                if let error = worker.kernel.connectionError(of: descriptor) { linkFailed(error, while: .writing) }
            } else if !readiness.isDisjoint(with: [.peerEnded, .broken]) {
                linkPeerLeft(isBroken: readiness.contains(.broken))
            }
        }
    }

    // MARK: What subclasses are told

    /// The connection stands, secured where it is to be; bytes can be sent. Not told for adopted links without TLS.
    open func linkConnected() {}
    /// The connection stands, and the TLS handshake with the server begins.
    open func linkBeganToSecure() {}
    /// Bytes came. They lie in the worker's scratch buffer, with `Worker.headroomBytes` free in front and behind, and are
    /// good until the method returns; they may be changed in place.
    open func linkReceived(_ bytes: UnsafeMutableRawBufferPointer) {}
    /// The peer has ended its sending in order.
    open func linkReachedEnd() {}
    /// The connection could not be made, or is broken. The link is still open and has to be closed.
    open func linkFailed(_ error: SystemError, while operation: LinkOperation) {}
    /// Bytes began to be pending. Called from within a command, so it may take note of the time and set a deadline, and nothing more.
    open func linkBeganToWait() {}
    /// The kernel took that many of the pending bytes.
    open func linkProgressed(_ count: Int) {}
    /// Everything pending has been taken by the kernel.
    open func linkDrained() {}
    /// The TLS handshake failed, or what came is no TLS. The link is still open and has to be closed.
    open func linkSecurityFailed(_ failure: TLSFailure) {}
    /// A client speaks plain text where TLS is spoken. What it sent is forgotten; it can be answered, in plain text.
    open func linkFoundPlainText() {}
    /// While reading is paused: the peer has ended its sending, or the connection is broken. What it sent before may still
    /// wait to be read.
    open func linkPeerLeft(isBroken: Bool) {}
}

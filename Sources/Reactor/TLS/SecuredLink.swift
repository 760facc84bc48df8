// A link's TLS: the handshake before the connection counts as open, records on their way in, and what TLS says by itself. What OpenSSL
// makes of the bytes is TLSSession's. Invariant: behind close_notify nothing is sent.

import Marks

extension Link {
    /// A client speaks first.
    func beginToSecure() {
        do {
            _ = try goOnSecuring()
        } catch {
            linkSecurityFailed(error)
        }
    }

    /// Goes on with the handshake and sends what it wants sent; true when it is done.
    private func goOnSecuring() throws(TLSFailure) -> Bool {
        guard let session else { return false }
        // After a failure too: the alert tells the peer why.
        defer { worker.tlsBuffers.flush { transmit($0) } }
        return try session.handshake()
    }

    func receiveSecured() {
        let buffers = worker.tlsBuffers
        let room = phase == .open ? min(Int(readLimitBytes), TLSBuffers.inputBytes) : TLSBuffers.inputBytes
        switch worker.kernel.read(descriptor, into: UnsafeMutableRawBufferPointer(rebasing: buffers.input[..<room])) {
        case .bytes(0):
            hasReadEnd = true
            updateInterest()
            endIsAuthentic = false
            // A client that says nothing at all looked whether anybody is there, or kept a connection in reserve.
            if phase == .securing, session?.hasBegun == true {
                return linkSecurityFailed(TLSFailure(.handshake, "the peer closed during the handshake", isEndOfConnection: true))
            }
            linkReachedEnd()
        case .bytes(let count):
            buffers.received(count)
            takeSecured()
            buffers.forgetInput()
        case .wouldBlock:
            return
        case .failed(let error):
            linkFailed(error, while: .reading)
        }
    }

    private func takeSecured() {
        guard let session else { return }
        if phase == .securing {
            if !session.hasBegun, let first = worker.tlsBuffers.firstByte, TLSSession.isPlainText(first) { return foundPlainText() }
            do {
                guard try goOnSecuring() else { return }
            } catch {
                return linkSecurityFailed(error)
            }
            phase = .open
            updateInterest()
            let token = worker.token(of: slot)
            linkConnected()
            // The subclass may have closed the link, or handed it over: whoever has it now gets what came behind the handshake.
            (worker.endpoint(of: token) as? Link)?.takeRecords(session)
            return
        }
        takeRecords(session)
    }

    private func takeRecords(_ session: TLSSession) {
        guard phase == .open else { return }
        let (count, progress) = session.take(into: worker.scratch)
        guard sendAnswersOfTLS() else {
            Mark.reached(.answersOfTLSUnread)
            return linkSecurityFailed(TLSFailure(.record, "the peer asks for changes of keys and does not read the answers"))
        }
        if count > 0 { linkReceived(UnsafeMutableRawBufferPointer(rebasing: worker.scratch[..<count])) }
        guard phase == .open else { return }
        switch progress {
        case .needsMore: return
        case .closed:
            hasReadEnd = true
            updateInterest()
            linkReachedEnd()
        case .failed(let failure): linkSecurityFailed(failure)
        }
    }

    /// TLS answers by itself to some of what it reads, such as a change of keys. False where a peer lets too much of that wait.
    private func sendAnswersOfTLS() -> Bool {
        let before = pending.count
        // Behind close_notify nothing may follow (RFC 8446 section 6.1), and the kernel may have been told that nothing will.
        let isOver = session?.hasSaidGoodbye != false
        worker.tlsBuffers.flush { if !isOver { transmit($0) } }
        guard pending.count > before else { return true }
        ownPendingBytes += UInt32(clamping: pending.count - before)
        return ownPendingBytes <= Link.ownPendingLimitBytes
    }

    /// A client speaks without TLS where TLS is spoken; it can only be told in plain text.
    private func foundPlainText() {
        session = nil
        worker.tlsBuffers.forgetInput()
        phase = .open
        updateInterest()
        linkFoundPlainText()
    }

    /// Whether TLS protects the connection.
    public var isSecured: Bool { session?.isEstablished ?? false }

    /// Whether a TLS record has come in part, so that something is missing should the connection end now.
    public var isInsideRecord: Bool { session?.isInsideRecord ?? false }

    /// Facts about the TLS connection for the log; nil without one.
    public var security: (version: String, isResumed: Bool)? {
        guard let session, session.isEstablished else { return nil }
        return (session.versionName, session.isResumed)
    }

    /// Whether the certificate that the peer showed has ended since; false where it showed none.
    public var peerCertificateIsOver: Bool { session?.peerCertificateIsOver ?? false }

    /// The verified subject of the peer's certificate as RFC 4514 writes it; nil where it showed none.
    public var peerSubject: [UInt8]? { session?.peerSubject }

    /// Says goodbye in TLS, where there is any.
    func sayGoodbye() {
        guard let session else { return }
        session.sayGoodbye()
        worker.tlsBuffers.flush { transmit($0) }
    }

    /// Whether nothing has come but what TLS says for itself; what else did come is lost.
    func isQuiet(_ session: TLSSession) -> Bool {
        let buffers = worker.tlsBuffers
        let room = UnsafeMutableRawBufferPointer(rebasing: buffers.input[..<Link.quietBytes])
        // Until nothing is left: behind a record of TLS's own there may be another.
        while true {
            switch worker.kernel.read(descriptor, into: room) {
            case .wouldBlock: return !session.isInsideRecord
            case .failed, .bytes(0), .bytes(Link.quietBytes): return false
            case .bytes(let count): buffers.received(count)
            }
            // The scratch buffer may hold what another link has just received.
            let (count, progress) = withUnsafeTemporaryAllocation(byteCount: Worker.scratchBytes, alignment: 16) { session.take(into: $0) }
            let isBounded = sendAnswersOfTLS()
            buffers.forgetInput()
            guard isBounded, count == 0, progress == .needsMore, !session.isInsideRecord else { return false }
        }
    }

    /// More than TLS has to say for itself between two requests.
    private static let quietBytes = 8_192

    /// More than an honest peer ever leaves unread of TLS's own answers: some hundred changes of keys.
    private static let ownPendingLimitBytes: UInt32 = 8_192
}

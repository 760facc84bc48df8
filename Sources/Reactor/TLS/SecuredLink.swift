// A link's TLS: the handshake before the connection counts as open, received records, and TLS's own messages. TLSSession calls OpenSSL.
// Invariant: nothing is sent after close_notify.

import Marks

extension Link {
    /// The client sends first.
    func beginToSecure() {
        do {
            _ = try goOnSecuring()
        } catch {
            linkSecurityFailed(error)
        }
    }

    /// Continues the handshake and sends its bytes; true when it is complete.
    private func goOnSecuring() throws(TLSFailure) -> Bool {
        guard let session else { return false }
        // Also after a failure: the alert tells the peer the reason.
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
            // A client that sends nothing was only checking whether the port is open, or keeps a spare connection.
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
            // The subclass may have closed the link or handed it over: its new owner gets the bytes that followed the handshake.
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

    /// TLS answers some messages by itself, such as a change of keys. False if the peer leaves too many of these answers unread.
    private func sendAnswersOfTLS() -> Bool {
        let before = pending.count
        // Nothing may follow close_notify (RFC 8446 section 6.1), and our sending half may be shut down already.
        let isOver = session?.hasSaidGoodbye != false
        worker.tlsBuffers.flush { if !isOver { transmit($0) } }
        guard pending.count > before else { return true }
        ownPendingBytes += UInt32(clamping: pending.count - before)
        return ownPendingBytes <= Link.ownPendingLimitBytes
    }

    /// A client speaks plain text on a TLS port; only plain text can tell it so.
    private func foundPlainText() {
        session = nil
        worker.tlsBuffers.forgetInput()
        phase = .open
        updateInterest()
        linkFoundPlainText()
    }

    /// Whether TLS protects the connection.
    public var isSecured: Bool { session?.isEstablished ?? false }

    /// Whether an incomplete TLS record has been received. If the connection ends now, data is missing.
    public var isInsideRecord: Bool { session?.isInsideRecord ?? false }

    /// Facts about the TLS connection for the log; nil without one.
    public var security: (version: String, isResumed: Bool)? {
        guard let session, session.isEstablished else { return nil }
        return (session.versionName, session.isResumed)
    }

    /// The protocol that the server chose of those that were offered to it (ALPN, RFC 7301); nil if it chose none.
    public var applicationProtocol: String? { session?.applicationProtocol }

    /// Whether the peer's certificate has expired since the handshake; false if it showed none.
    public var peerCertificateIsOver: Bool { session?.peerCertificateIsOver ?? false }

    /// The SHA-256 of the peer's verified certificate; nil if it showed none.
    public var peerCertificateDigest: [UInt8]? { session?.peerCertificateDigest }

    /// The verified subject of the peer's certificate as RFC 4514 writes it; nil if it showed none.
    public var peerSubject: [UInt8]? { session?.peerSubject }

    /// Sends close_notify if there is TLS.
    func sayGoodbye() {
        guard let session else { return }
        session.sayGoodbye()
        worker.tlsBuffers.flush { transmit($0) }
    }

    /// Whether only TLS's own messages have come. Anything else that came is lost.
    func isQuiet(_ session: TLSSession) -> Bool {
        let buffers = worker.tlsBuffers
        let room = UnsafeMutableRawBufferPointer(rebasing: buffers.input[..<Link.quietBytes])
        // Until nothing is left: another record may follow one of TLS's own.
        while true {
            switch worker.kernel.read(descriptor, into: room) {
            case .wouldBlock: return !session.isInsideRecord
            case .failed, .bytes(0), .bytes(Link.quietBytes): return false
            case .bytes(let count): buffers.received(count)
            }
            // Not the scratch buffer: it may hold what another link has just received.
            let (count, progress) = withUnsafeTemporaryAllocation(byteCount: Worker.scratchBytes, alignment: 16) { session.take(into: $0) }
            let isBounded = sendAnswersOfTLS()
            buffers.forgetInput()
            guard isBounded, count == 0, progress == .needsMore, !session.isInsideRecord else { return false }
        }
    }

    /// More than TLS itself sends between two requests.
    private static let quietBytes = 8_192

    /// More unread TLS answers than an honest peer leaves: some hundred changes of keys.
    private static let ownPendingLimitBytes: UInt32 = 8_192
}

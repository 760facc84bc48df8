// The TLS state of one connection: encrypts and decrypts the bytes of one link with OpenSSL. A session has no socket and no deadline;
// its link moves the bytes of `TLSBuffers`. Invariant: after a failure only OpenSSL's alert is sent.

import COpenSSL

/// How far the processing of received bytes came.
enum TLSProgress: Equatable {
    /// Everything received has been processed; more is needed.
    case needsMore
    /// The peer will send nothing more (close_notify).
    case closed
    case failed(TLSFailure)
}

/// One connection's TLS.
final class TLSSession {
    private let ssl: OpaquePointer
    private let buffers: TLSBuffers
    /// Kept alive because OpenSSL's callbacks use it.
    private let context: AnyObject
    /// Keeps tickets with which the next connection resumes this session; clients only.
    fileprivate let resumption: TLSResumption?
    private(set) var isEstablished = false
    private var hasFailed = false
    private(set) var hasSaidGoodbye = false

    /// A server's side.
    init(server: TLSServerContext, buffers: TLSBuffers) throws(TLSFailure) {
        guard let ssl = SSL_new(server.defaultContext) else { throw TLSFailure(.handshake, "no memory for a TLS connection") }
        self.ssl = ssl
        self.buffers = buffers
        context = server
        resumption = nil
        buffers.attach(to: ssl)
        SSL_set_accept_state(ssl)
    }

    /// A client's side, for a server that is known as `serverName`: a host name or an address.
    init(client: TLSClientContext, serverName: String, resumption: TLSResumption?, buffers: TLSBuffers) throws(TLSFailure) {
        guard let ssl = SSL_new(client.context) else { throw TLSFailure(.handshake, "no memory for a TLS connection") }
        self.ssl = ssl
        self.buffers = buffers
        context = client
        self.resumption = resumption
        buffers.attach(to: ssl)
        SSL_set_connect_state(ssl)
        if SocketAddress(numeric: serverName, port: 0) != nil {
            // An address is verified as an address and is never sent as a name (RFC 6066 section 3).
            X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), serverName)
        } else {
            _ = hw_SSL_set_server_name(ssl, serverName)
            SSL_set_hostflags(ssl, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
            SSL_set1_host(ssl, serverName)
        }
        if let resumption {
            hw_SSL_set_application_data(ssl, Unmanaged.passUnretained(resumption).toOpaque())
            if let session = resumption.session(for: client) { SSL_set_session(ssl, session) }
        }
    }

    deinit { SSL_free(ssl) }

    // MARK: The handshake

    /// Whether any byte of the peer has been looked at.
    private(set) var hasBegun = false

    /// Whether this first byte of a connection is text and not TLS: a request's method begins with a letter, a TLS record with a small
    /// number.
    static func isPlainText(_ first: UInt8) -> Bool { first >= 0x41 && first <= 0x7A }

    /// Continues the handshake; true when it is complete. Bytes to send are then in the buffers, also after a failure.
    func handshake() throws(TLSFailure) -> Bool {
        hasBegun = true
        TLSErrorQueue.clear()
        let outcome = SSL_do_handshake(ssl)
        if outcome == 1 {
            isEstablished = true
            return true
        }
        if SSL_get_error(ssl, outcome) == SSL_ERROR_WANT_READ { return false }
        throw fail(.handshake)
    }

    private func fail(_ moment: TLSFailure.Moment) -> TLSFailure {
        hasFailed = true
        buffers.forgetInput()
        var reason = TLSErrorQueue.takeReason(fallback: "the connection broke off")
        let verification = SSL_get_verify_result(ssl)
        if moment == .handshake, verification != Int(X509_V_OK), let why = X509_verify_cert_error_string(verification) {
            reason += ": \(String(cString: why))"
        }
        return TLSFailure(moment, reason)
    }

    // MARK: Bytes

    /// Decrypts received bytes into `room`. Returns how many bytes that made and why it stopped.
    func take(into room: UnsafeMutableRawBufferPointer) -> (count: Int, progress: TLSProgress) {
        var total = 0
        while true {
            TLSErrorQueue.clear()
            var count = 0
            let outcome = SSL_read_ex(ssl, room.baseAddress! + total, room.count - total, &count)
            if outcome == 1 {
                total += count
                // One read and the record begun before fit into the room together, so some room is always left.
                precondition(total < room.count, "more decrypted bytes than encrypted ones")
                continue
            }
            switch SSL_get_error(ssl, outcome) {
            case SSL_ERROR_WANT_READ: return (total, .needsMore)
            case SSL_ERROR_ZERO_RETURN: return (total, .closed)
            default: return (total, .failed(fail(.record)))
            }
        }
    }

    /// Encrypts bytes into the buffers; false when that is no longer possible.
    func encrypt(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard !hasFailed, !hasSaidGoodbye, !bytes.isEmpty else { return false }
        TLSErrorQueue.clear()
        var written = 0
        // The buffers take everything, so either all bytes are encrypted at once or the connection is broken.
        guard SSL_write_ex(ssl, bytes.baseAddress!, bytes.count, &written) == 1, written == bytes.count else {
            _ = fail(.record)
            return false
        }
        return true
    }

    /// Announces that nothing more will be sent (close_notify); the bytes are then in the buffers.
    func sayGoodbye() {
        guard isEstablished, !hasFailed, !hasSaidGoodbye else { return }
        hasSaidGoodbye = true
        TLSErrorQueue.clear()
        SSL_shutdown(ssl)
    }

    // MARK: Facts about the session

    /// Whether an incomplete record has been received.
    var isInsideRecord: Bool { SSL_has_pending(ssl) == 1 }

    /// Whether an earlier session was resumed.
    var isResumed: Bool { SSL_session_reused(ssl) == 1 }

    /// `TLSv1.3` or `TLSv1.2`.
    var versionName: String { String(cString: SSL_get_version(ssl)) }

    /// The protocol that the server chose of those that were offered (ALPN, RFC 7301); nil if it chose none.
    var applicationProtocol: String? {
        var name: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &name, &count)
        return name.map { String(decoding: UnsafeBufferPointer(start: $0, count: Int(count)), as: UTF8.self) }
    }

    /// Whether the peer's certificate has expired since the handshake.
    var peerCertificateIsOver: Bool { TLSSessionEnd.isOver(certificate: SSL_get0_peer_certificate(ssl)) }

    /// The SHA-256 of the peer's verified certificate; nil without one.
    var peerCertificateDigest: [UInt8]? {
        guard SSL_get_verify_result(ssl) == Int(X509_V_OK), let certificate = SSL_get0_peer_certificate(ssl) else { return nil }
        var digest = [UInt8](repeating: 0, count: 32)
        var count: UInt32 = 0
        return X509_digest(certificate, EVP_sha256(), &digest, &count) == 1 && count == 32 ? digest : nil
    }

    /// The verified subject of the peer's certificate, as RFC 4514 writes it; nil without one.
    var peerSubject: [UInt8]? {
        guard SSL_get_verify_result(ssl) == Int(X509_V_OK), let certificate = SSL_get0_peer_certificate(ssl) else { return nil }
        guard let bio = BIO_new(BIO_s_mem()) else { return nil }
        defer { BIO_free(bio) }
        let flags = hw_XN_FLAG_RFC2253()
        guard X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, flags) >= 0 else { return nil }
        var text = [UInt8](repeating: 0, count: 1024)
        let count = BIO_read(bio, &text, Int32(text.count))
        return count > 0 ? Array(text[..<Int(count)]) : nil
    }
}

/// Sessions that connections to one server may resume, on one worker.
public final class TLSResumption {
    private var session: OpaquePointer?
    private var contextNumber: UInt64 = 0
    /// When the first certificate behind the session expires, in seconds since 1970.
    private var endsAt: Int64?

    /// Nothing to resume yet.
    public init() {}

    deinit { SSL_SESSION_free(session) }

    /// The session to resume under a context. A session of another context was verified by other authorities. A session whose server's
    /// certificate has expired would skip a verification that must fail now.
    fileprivate func session(for context: TLSClientContext) -> OpaquePointer? {
        defer { contextNumber = context.number }
        guard contextNumber == context.number, endsAt.map({ TLSSessionEnd.isOver($0) }) != true else { return nil }
        return session
    }

    /// Stores a session; the latest one is resumed. For a resumed session the expiry was stored earlier.
    fileprivate func keep(_ session: OpaquePointer, of ssl: OpaquePointer?) {
        SSL_SESSION_free(self.session)
        self.session = session
        guard let ssl, SSL_session_reused(ssl) == 0 else { return }
        endsAt = TLSSessionEnd.ofVerifiedChain(ssl)
    }

    /// OpenSSL calls this when a server has sent a ticket, for TLS 1.3 long after the handshake.
    static let received: @convention(c) (OpaquePointer?, OpaquePointer?) -> Int32 = { ssl, session in
        guard let session, let pointer = hw_SSL_get_application_data(ssl) else { return 0 }
        Unmanaged<TLSResumption>.fromOpaque(pointer).takeUnretainedValue().keep(session, of: ssl)
        return 1
    }
}

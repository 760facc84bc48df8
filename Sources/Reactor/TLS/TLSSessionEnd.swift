// When a session with a verified certificate may no longer be resumed. Resuming skips the verification, so a session must expire with
// what was verified: the peer's certificate and those above it. Invariant: the earliest expiry of the whole verified chain is stored
// with the session, because the chain itself is not.

import COpenSSL
import Glibc

/// The earliest expiry of the certificates behind a session.
enum TLSSessionEnd {
    /// The time by which OpenSSL judges certificates, in seconds since 1970.
    private static var now: Int64 { Int64(time(nil)) }

    /// The earliest expiry of the peer's certificate and those above it, in seconds since 1970. Nil if the peer showed none, or if the
    /// connection resumed a session and so verified nothing.
    static func ofVerifiedChain(_ ssl: OpaquePointer) -> Int64? {
        guard SSL_session_reused(ssl) == 0, SSL_get0_peer_certificate(ssl) != nil else { return nil }
        let chain = SSL_get0_verified_chain(ssl)
        let ends = (0..<hw_X509_chain_count(chain)).map { hw_X509_chain_certificate(chain, $0).flatMap(TLSCertificate.end) ?? 0 }
        // Without verification there is no chain, and nothing that could expire.
        return ends.min()
    }

    /// Whether a certificate has expired.
    static func isOver(certificate: OpaquePointer?) -> Bool { certificate.map { isOver(TLSCertificate.end(of: $0) ?? 0) } ?? false }

    /// Whether that moment, in seconds since 1970, has passed.
    static func isOver(_ end: Int64) -> Bool { end <= now }

    // MARK: The server's tickets

    /// Stores the chain's expiry in each ticket, and refuses expired tickets: a full handshake then checks the client again.
    static func install(in context: OpaquePointer) {
        _ = SSL_CTX_set_session_ticket_cb(context, seal, examine, nil)
    }

    /// OpenSSL calls this when it is about to make a ticket.
    private static let seal: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> Int32 = { ssl, _ in
        guard let ssl, let session = SSL_get_session(ssl) else { return 0 }
        if var end = ofVerifiedChain(ssl) {
            guard withUnsafeBytes(of: &end, { SSL_SESSION_set1_ticket_appdata(session, $0.baseAddress, $0.count) }) == 1 else { return 0 }
        }
        guard let end = end(of: session) else { return 1 }
        // The client learns how long the ticket is valid (RFC 8446 section 4.6.1).
        let left = max(0, end - now)
        if left < Int64(SSL_SESSION_get_timeout(session)) { SSL_SESSION_set_timeout(session, Int(left)) }
        return 1
    }

    /// OpenSSL calls this after it has read a ticket.
    private static let examine: SSL_CTX_decrypt_session_ticket_fn = { _, session, _, _, status, _ in
        switch status {
        case SSL_TICKET_SUCCESS, SSL_TICKET_SUCCESS_RENEW:
            guard let session, !isOver(session: session) else { return SSL_TICKET_RETURN_IGNORE_RENEW }
            return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW
        default: return SSL_TICKET_RETURN_IGNORE_RENEW
        }
    }

    private static func isOver(session: OpaquePointer) -> Bool {
        // A ticket without an expiry is not ours, or its connection verified nothing.
        guard let certificate = SSL_SESSION_get0_peer(session) else { return false }
        return isOver(certificate: certificate) || end(of: session).map { isOver($0) } ?? false
    }

    /// The expiry stored with a session.
    private static func end(of session: OpaquePointer) -> Int64? {
        var data: UnsafeMutableRawPointer?
        var count = 0
        guard SSL_SESSION_get0_ticket_appdata(session, &data, &count) == 1, count == MemoryLayout<Int64>.size, let data else { return nil }
        return data.loadUnaligned(as: Int64.self)
    }
}

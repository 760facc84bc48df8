// When a session that was made with a verified certificate may no longer be resumed. Resuming spares the verification, so a session must
// not outlive what was verified: neither the peer's certificate nor one that vouches for it.
// Invariant: the earliest end of the whole verified chain travels with the session, because the chain itself does not.

import COpenSSL
import Glibc

/// The earliest end of the certificates that a session rests on.
enum TLSSessionEnd {
    /// The time by which OpenSSL judges certificates, in seconds since 1970.
    private static var now: Int64 { Int64(time(nil)) }

    /// The earliest end of the peer's certificate and those that vouch for it, in seconds since 1970; nil where it showed none, or where
    /// the connection resumed a session and so verified nothing.
    static func ofVerifiedChain(_ ssl: OpaquePointer) -> Int64? {
        guard SSL_session_reused(ssl) == 0, SSL_get0_peer_certificate(ssl) != nil else { return nil }
        let chain = SSL_get0_verified_chain(ssl)
        let ends = (0..<hw_X509_chain_count(chain)).map { hw_X509_chain_certificate(chain, $0).flatMap(TLSCertificate.end) ?? 0 }
        // Where the peer need not prove anything there is no chain, and nothing that could end.
        return ends.min()
    }

    /// Whether a certificate is good for nothing any more.
    static func isOver(certificate: OpaquePointer?) -> Bool { certificate.map { isOver(TLSCertificate.end(of: $0) ?? 0) } ?? false }

    /// Whether that moment, in seconds since 1970, is over.
    static func isOver(_ end: Int64) -> Bool { end <= now }

    // MARK: The server's tickets

    /// Has tickets carry the end of the client's chain, and refuses those whose end is over: then a full handshake checks the client again.
    static func install(in context: OpaquePointer) {
        _ = SSL_CTX_set_session_ticket_cb(context, seal, examine, nil)
    }

    /// Called when a ticket is about to be made.
    private static let seal: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> Int32 = { ssl, _ in
        guard let ssl, let session = SSL_get_session(ssl) else { return 0 }
        if var end = ofVerifiedChain(ssl) {
            guard withUnsafeBytes(of: &end, { SSL_SESSION_set1_ticket_appdata(session, $0.baseAddress, $0.count) }) == 1 else { return 0 }
        }
        guard let end = end(of: session) else { return 1 }
        // The client is told for how long the ticket is good (RFC 8446 section 4.6.1).
        let left = max(0, end - now)
        if left < Int64(SSL_SESSION_get_timeout(session)) { SSL_SESSION_set_timeout(session, Int(left)) }
        return 1
    }

    /// Called when a ticket was read.
    private static let examine: SSL_CTX_decrypt_session_ticket_fn = { _, session, _, _, status, _ in
        switch status {
        case SSL_TICKET_SUCCESS, SSL_TICKET_SUCCESS_RENEW:
            guard let session, !isOver(session: session) else { return SSL_TICKET_RETURN_IGNORE_RENEW }
            return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW
        default: return SSL_TICKET_RETURN_IGNORE_RENEW
        }
    }

    private static func isOver(session: OpaquePointer) -> Bool {
        // Without an end the ticket is none of ours, or from a connection on which nothing was verified.
        guard let certificate = SSL_SESSION_get0_peer(session) else { return false }
        return isOver(certificate: certificate) || end(of: session).map { isOver($0) } ?? false
    }

    /// The end that travels with a session.
    private static func end(of session: OpaquePointer) -> Int64? {
        var data: UnsafeMutableRawPointer?
        var count = 0
        guard SSL_SESSION_get0_ticket_appdata(session, &data, &count) == 1, count == MemoryLayout<Int64>.size, let data else { return nil }
        return data.loadUnaligned(as: Int64.self)
    }
}

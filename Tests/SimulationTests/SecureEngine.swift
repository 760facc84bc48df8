// An actor's TLS: OpenSSL over memory, without any of Heartwire's code. It has bytes, but neither a socket nor a clock. Everything is
// chosen so that lengths are the same in every run: TLS 1.3, Ed25519, X25519. Random bytes follow from the seed
// (SimulatedRandomness.swift).

import COpenSSL

/// The certificates and settings that the actors of one world share.
final class SecureContexts {
    fileprivate let client: OpaquePointer
    fileprivate let server: OpaquePointer
    /// For a server whose certificate has another name.
    fileprivate let impostor: OpaquePointer

    init() {
        let certificates = SimulatedCertificates.shared
        client = SecureContexts.make()
        precondition(SSL_CTX_load_verify_file(client, certificates.authority) == 1, "the authority cannot be read")
        SSL_CTX_set_verify(client, SSL_VERIFY_PEER, nil)
        server = SecureContexts.make(certificates.server)
        impostor = SecureContexts.make(certificates.impostor)
    }

    deinit {
        for context in [client, server, impostor] { SSL_CTX_free(context) }
    }

    private static func make(_ identity: SimulatedCertificates.Identity? = nil) -> OpaquePointer {
        guard let context = SSL_CTX_new(TLS_method()) else { preconditionFailure("no memory for a TLS context") }
        _ = hw_SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION)
        precondition(hw_SSL_CTX_set1_groups_list(context, "X25519") == 1)
        if let identity {
            precondition(SSL_CTX_use_certificate_chain_file(context, identity.certificate) == 1, "the certificate cannot be read")
            precondition(SSL_CTX_use_PrivateKey_file(context, identity.key, SSL_FILETYPE_PEM) == 1, "the key cannot be read")
        }
        return context
    }
}

/// One connection's TLS, on either side.
final class SecureEngine {
    enum Role { case client, server, impostor }

    private let ssl: OpaquePointer
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    private(set) var isEstablished = false
    private(set) var hasFailed = false
    /// Whether the peer announced the end (close_notify).
    private(set) var hasReceivedGoodbye = false

    /// `protocolName`: what a client chooses with ALPN.
    init(_ contexts: SecureContexts, _ role: Role, speaking protocolName: String? = nil) {
        let context =
            switch role {
            case .client: contexts.client
            case .server: contexts.server
            case .impostor: contexts.impostor
            }
        guard let ssl = SSL_new(context), let incoming = BIO_new(BIO_s_mem()), let outgoing = BIO_new(BIO_s_mem()) else {
            preconditionFailure("no memory for a TLS connection")
        }
        self.ssl = ssl
        self.incoming = incoming
        self.outgoing = outgoing
        SSL_set_bio(ssl, incoming, outgoing)
        if let protocolName {
            let names = [UInt8(protocolName.utf8.count)] + Array(protocolName.utf8)
            precondition(SSL_set_alpn_protos(ssl, names, UInt32(names.count)) == 0)
        }
        if role == .client {
            _ = hw_SSL_set_server_name(ssl, SimulatedCertificates.name)
            SSL_set1_host(ssl, SimulatedCertificates.name)
            SSL_set_connect_state(ssl)
        } else {
            SSL_set_accept_state(ssl)
        }
    }

    deinit { SSL_free(ssl) }

    /// Takes encrypted bytes and returns the decrypted ones.
    func receive(_ bytes: [UInt8]) -> [UInt8] {
        if !bytes.isEmpty { BIO_write(incoming, bytes, Int32(bytes.count)) }
        ERR_clear_error()
        if !isEstablished {
            let outcome = SSL_do_handshake(ssl)
            guard outcome == 1 else {
                if SSL_get_error(ssl, outcome) != SSL_ERROR_WANT_READ { hasFailed = true }
                return []
            }
            isEstablished = true
        }
        return readAll()
    }

    private func readAll() -> [UInt8] {
        var result: [UInt8] = []
        var room = [UInt8](repeating: 0, count: 16_384)
        while !hasFailed {
            var count = 0
            let outcome = SSL_read_ex(ssl, &room, room.count, &count)
            if outcome == 1 {
                result += room[..<count]
                continue
            }
            switch SSL_get_error(ssl, outcome) {
            case SSL_ERROR_WANT_READ: return result
            case SSL_ERROR_ZERO_RETURN:
                hasReceivedGoodbye = true
                return result
            default: hasFailed = true
            }
        }
        return result
    }

    /// Whether an incomplete record has come.
    var isInsideRecord: Bool { SSL_has_pending(ssl) == 1 }

    /// Encrypts; `takeOutput` returns the bytes to send.
    func encrypt(_ bytes: [UInt8]) {
        guard isEstablished, !hasFailed, !bytes.isEmpty else { return }
        var count = 0
        if SSL_write_ex(ssl, bytes, bytes.count, &count) != 1 { hasFailed = true }
    }

    /// Changes its keys, and asks the peer to do so.
    func changeKeys() {
        guard isEstablished, !hasFailed else { return }
        SSL_key_update(ssl, Int32(SSL_KEY_UPDATE_REQUESTED))
    }

    /// The same at once, without anything to send under the new keys.
    func askForKeys() {
        changeKeys()
        SSL_do_handshake(ssl)
    }

    /// Announces the end (close_notify).
    func sayGoodbye() {
        guard isEstablished, !hasFailed else { return }
        SSL_shutdown(ssl)
    }

    /// The bytes to send.
    func takeOutput() -> [UInt8] {
        let count = BIO_ctrl_pending(outgoing)
        guard count > 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: count)
        precondition(BIO_read(outgoing, &bytes, Int32(count)) == Int32(count))
        return bytes
    }
}

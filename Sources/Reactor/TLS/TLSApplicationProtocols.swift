// Which protocol a server speaks with a client, of those that the client offers in its handshake (ALPN, RFC 7301). Invariant: a protocol
// that needs modern ciphers is never chosen for a connection without one.

import COpenSSL

/// The protocols that a server speaks, and the choice among them.
final class TLSApplicationProtocols {
    /// In ALPN's format (RFC 7301 section 3.1), the preferred one first. OpenSSL is given a pointer into these bytes.
    private let all: UnsafeMutableBufferPointer<UInt8>
    /// Those of them that do without a modern cipher.
    private let undemanding: UnsafeMutableBufferPointer<UInt8>
    private let isRequired: Bool

    init(_ settings: TLSServerSettings) {
        all = TLSApplicationProtocols.list(settings.applicationProtocols)
        undemanding = TLSApplicationProtocols.list(
            settings.applicationProtocols.filter { !settings.protocolsNeedingModernCiphers.contains($0) })
        isRequired = settings.requiresApplicationProtocol
    }

    deinit {
        all.deallocate()
        undemanding.deallocate()
    }

    private static func list(_ names: [String]) -> UnsafeMutableBufferPointer<UInt8> {
        let bytes = names.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
        let list = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: bytes.count)
        _ = list.initialize(from: bytes)
        return list
    }

    /// Chooses for OpenSSL, which calls this when the cipher is known.
    func choose(
        for ssl: OpaquePointer?, offered: UnsafePointer<UInt8>?, count: UInt32,
        _ chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>, _ chosenCount: UnsafeMutablePointer<UInt8>
    ) -> Int32 {
        let spoken = TLSApplicationProtocols.hasModernCipher(ssl) ? all : undemanding
        var selected: UnsafeMutablePointer<UInt8>?
        let outcome = SSL_select_next_proto(&selected, chosenCount, spoken.baseAddress, UInt32(spoken.count), offered, count)
        // A client that offers nothing that is spoken here is accepted anyway where it may speak HTTP/1.1 without saying so.
        guard outcome == OPENSSL_NPN_NEGOTIATED, let selected else {
            return isRequired ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK
        }
        chosen.pointee = UnsafePointer(selected)
        return SSL_TLSEXT_ERR_OK
    }

    /// Whether the connection's cipher has an ephemeral key exchange and authenticated encryption, as every cipher of TLS 1.3 has, and as
    /// RFC 9113 section 9.2.2 wants it for HTTP/2. (OpenSSL has no finite-field key exchange unless it is given parameters.)
    private static func hasModernCipher(_ ssl: OpaquePointer?) -> Bool {
        guard let cipher = SSL_get_pending_cipher(ssl), SSL_CIPHER_is_aead(cipher) == 1 else { return false }
        let exchange = SSL_CIPHER_get_kx_nid(cipher)
        return exchange == NID_kx_any || exchange == NID_kx_ecdhe
    }
}

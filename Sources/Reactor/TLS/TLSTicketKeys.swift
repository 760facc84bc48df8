// The keys that protect sessions which clients hold as tickets (RFC 5077, RFC 8446 section 4.6.1). All workers share the keys, so any
// worker can resume a client's session. The keys survive a reload of certificates. Invariant: a key protects new tickets for one
// lifetime and is accepted for one more.

import COpenSSL
import Synchronization

/// The ticket keys of one listener.
public final class TLSTicketKeys: Sendable {
    private struct Key {
        var name: [UInt8]
        var cipherKey: [UInt8]
        var authenticationKey: [UInt8]
        /// Monotonic milliseconds.
        var madeAt: Int64
    }

    private static let nameBytes = 16
    private static let keyBytes = 32

    private let lifetimeMilliseconds: Int64
    /// The newest first; never more than two.
    private let keys: Mutex<[Key]>

    /// Keys that are replaced after that many seconds. They begin with the keys of `previous`.
    public init(lifetimeSeconds: Int, succeeding previous: TLSTicketKeys? = nil) {
        lifetimeMilliseconds = Int64(lifetimeSeconds) * 1000
        keys = Mutex(previous?.keys.withLock { $0 } ?? [])
    }

    /// Makes a new key if the current one is too old, and drops keys that are no longer accepted.
    func rotate(nowMilliseconds now: Int64, kernel: Kernel) {
        keys.withLock { keys in
            if let newest = keys.first, now - newest.madeAt < lifetimeMilliseconds { return }
            keys.removeAll { now - $0.madeAt >= 2 * lifetimeMilliseconds }
            keys.insert(
                Key(
                    name: TLSTicketKeys.random(TLSTicketKeys.nameBytes, kernel),
                    cipherKey: TLSTicketKeys.random(TLSTicketKeys.keyBytes, kernel),
                    authenticationKey: TLSTicketKeys.random(TLSTicketKeys.keyBytes, kernel), madeAt: now), at: 0)
            keys.removeSubrange(min(2, keys.count)...)
        }
    }

    private static func random(_ count: Int, _ kernel: Kernel) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.withUnsafeMutableBytes { kernel.fillRandom($0) }
        return bytes
    }

    /// Whether a ticket is to be made or read, as OpenSSL's callback answers: 0 no, 1 yes, 2 yes and give the client a new one.
    fileprivate func prepare(
        name: UnsafeMutablePointer<UInt8>, vector: UnsafeMutablePointer<UInt8>, cipher: OpaquePointer, authentication: OpaquePointer,
        isNew: Bool, usesTicketsOnce: Bool
    ) -> Int32 {
        keys.withLock { keys in
            if isNew {
                guard let key = keys.first, RAND_bytes(vector, EVP_MAX_IV_LENGTH) == 1 else { return 0 }
                name.update(from: key.name, count: TLSTicketKeys.nameBytes)
                guard hw_EVP_MAC_key_with_sha256(authentication, key.authenticationKey, key.authenticationKey.count) == 1,
                    EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nil, key.cipherKey, vector) == 1
                else { return -1 }
                return 1
            }
            let wanted = UnsafeBufferPointer(start: name, count: TLSTicketKeys.nameBytes)
            guard let index = keys.firstIndex(where: { $0.name.elementsEqual(wanted) }) else { return 0 }
            let key = keys[index]
            guard hw_EVP_MAC_key_with_sha256(authentication, key.authenticationKey, key.authenticationKey.count) == 1,
                EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nil, key.cipherKey, vector) == 1
            else { return -1 }
            // Clients of TLS 1.3 use a ticket once (RFC 8446 appendix C.4), so each needs a new one.
            return index == 0 && !usesTicketsOnce ? 1 : 2
        }
    }

    /// Makes a context use the keys of the `TLSServerContext` that it belongs to.
    static func install(in context: OpaquePointer) {
        hw_SSL_CTX_set_ticket_key_callback(context) { ssl, name, vector, cipher, authentication, isNew in
            guard let owner = TLSServerContext.owner(of: ssl), let name, let vector, let cipher, let authentication else { return -1 }
            return owner.ticketKeys.prepare(
                name: name, vector: vector, cipher: cipher, authentication: authentication, isNew: isNew == 1,
                usesTicketsOnce: SSL_version(ssl) >= TLS1_3_VERSION)
        }
    }
}

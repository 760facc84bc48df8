// HMAC-SHA256 (RFC 2104) under one key, prepared: both halves of the key have been hashed already, and are copied for each text. With
// libcrypto's own HMAC, which begins from nothing each time, a digest cost most of what a remembered token costs.

import COpenSSL

/// An HMAC under one key. Threads may use it at the same time.
final class PreparedHMAC: @unchecked Sendable {
    // Unchecked because both contexts are only copied from after the initializer.
    private let inner: OpaquePointer
    private let outer: OpaquePointer

    /// Four words of a code, the first byte being the most significant.
    typealias Words = (UInt64, UInt64, UInt64, UInt64)

    private static let blockBytes = 64

    /// Nil when libcrypto fails, which happens only without free memory.
    init?(key: [UInt8]) {
        ERR_clear_error()
        var block = [UInt8](repeating: 0, count: PreparedHMAC.blockBytes)
        if key.count > block.count {
            var count: UInt32 = 0
            guard EVP_Digest(key, key.count, &block, &count, EVP_sha256(), nil) == 1 else { return nil }
        } else {
            block.replaceSubrange(0..<key.count, with: key)
        }
        guard let inner = PreparedHMAC.context(after: block.map { $0 ^ 0x36 }) else { return nil }
        guard let outer = PreparedHMAC.context(after: block.map { $0 ^ 0x5C }) else {
            EVP_MD_CTX_free(inner)
            return nil
        }
        (self.inner, self.outer) = (inner, outer)
    }

    deinit {
        EVP_MD_CTX_free(inner)
        EVP_MD_CTX_free(outer)
    }

    private static func context(after block: [UInt8]) -> OpaquePointer? {
        guard let context = EVP_MD_CTX_new() else { return nil }
        guard EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1, EVP_DigestUpdate(context, block, block.count) == 1 else {
            EVP_MD_CTX_free(context)
            return nil
        }
        return context
    }

    /// The code of a text; nil when libcrypto fails, which happens only without free memory.
    func code(of text: Span<UInt8>) -> Words? {
        // libcrypto's error queue belongs to the thread; errors of earlier calls must not be taken for ours. To empty an empty queue would
        // cost ten times as much as to look at it.
        if ERR_peek_error() != 0 { ERR_clear_error() }
        guard let context = EVP_MD_CTX_new() else { return nil }
        defer { EVP_MD_CTX_free(context) }
        var code: Words = (0, 0, 0, 0)
        let isMade = text.withUnsafeBufferPointer { text in
            withUnsafeMutableBytes(of: &code) { code in
                let bytes = code.baseAddress?.assumingMemoryBound(to: UInt8.self)
                return EVP_MD_CTX_copy_ex(context, inner) == 1 && EVP_DigestUpdate(context, text.baseAddress, text.count) == 1
                    && EVP_DigestFinal_ex(context, bytes, nil) == 1 && EVP_MD_CTX_copy_ex(context, outer) == 1
                    && EVP_DigestUpdate(context, bytes, code.count) == 1 && EVP_DigestFinal_ex(context, bytes, nil) == 1
            }
        }
        guard isMade else { return nil }
        return (code.0.bigEndian, code.1.bigEndian, code.2.bigEndian, code.3.bigEndian)
    }
}

// A short digest of a text, by which two texts can be compared. Not for secrets: a reader who knows most of a text can find out the rest
// by trying. Fingerprint.swift is for secrets.

import COpenSSL

/// Digests of texts that are no secrets.
package enum ContentDigest {
    /// The first 64 bits of a text's SHA-256 (FIPS 180-4), the hash's first byte being the most significant; nil when libcrypto fails,
    /// which happens only without free memory.
    package static func short(of text: String) -> UInt64? {
        let bytes = Array(text.utf8)
        var digest = [UInt8](repeating: 0, count: 32)
        var digestBytes: UInt32 = 0
        // libcrypto's error queue belongs to the thread; errors of earlier calls must not be taken for ours.
        ERR_clear_error()
        guard EVP_Digest(bytes, bytes.count, &digest, &digestBytes, EVP_sha256(), nil) == 1, digestBytes == 32 else { return nil }
        return digest.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}

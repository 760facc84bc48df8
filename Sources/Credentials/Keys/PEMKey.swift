// A public key in PEM (RFC 7468 section 13), as `openssl pkey -pubout` writes it.

import Bytes
import COpenSSL

extension VerificationKey {
    /// The public key in a PEM text, for one algorithm.
    package convenience init(pem text: [UInt8], name: [UInt8]?, algorithm: SignatureAlgorithm) throws(KeyError) {
        guard !VerificationKey.holds("PRIVATE KEY-----", text) else { throw .isPrivate }
        guard !VerificationKey.holds("BEGIN CERTIFICATE-----", text) else { throw .isCertificate }
        ERR_clear_error()
        defer { ERR_clear_error() }
        // The source reads from the array's own bytes, which must live as long as it does.
        let read = text.withUnsafeBytes { bytes -> OpaquePointer? in
            guard let source = BIO_new_mem_buf(bytes.baseAddress, Int32(clamping: bytes.count)) else { return nil }
            defer { BIO_free(source) }
            return PEM_read_bio_PUBKEY(source, nil, nil, nil)
        }
        guard let key = read else { throw .notPEM }
        try self.init(key, name: name, algorithms: [algorithm])
    }

    private static func holds(_ label: String, _ text: [UInt8]) -> Bool {
        let label = Array(label.utf8)
        return text.indices.contains { text[$0...].starts(with: label) }
    }
}

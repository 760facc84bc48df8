// A certificate that a process makes for itself, for a server that nobody has to trust, such as the demo. Invariant: certificate and key
// exist in memory only, and go with the object or with the process.

import CLinux
import COpenSSL
import Glibc

/// A certificate with its key (ECDSA, P-256), signed with that key.
public final class SelfSignedIdentity: Sendable {
    /// For how long the certificate is valid, in seconds.
    private static let lifetimeSeconds = 30 * 86_400
    /// It begins a little earlier, for clients whose clock is late.
    private static let leewaySeconds = 3_600

    private let certificate: Int32
    private let key: Int32

    /// Paths of this process by which the two can be read, in PEM, for as long as the object lives.
    public var files: TLSIdentityFiles {
        TLSIdentityFiles(certificateFile: "/proc/self/fd/\(certificate)", keyFile: "/proc/self/fd/\(key)")
    }

    /// Makes a certificate for hosts: names, or addresses without brackets. The first one is its subject.
    ///
    /// - Throws: a `TLSError` if OpenSSL or the kernel refuses.
    public init(hosts: [String]) throws(TLSError) {
        precondition(!hosts.isEmpty && hosts.allSatisfy(SelfSignedIdentity.isPlain), "hosts are names or addresses")
        TLSErrorQueue.clear()
        let pair = try SelfSignedIdentity.makeKey()
        defer { EVP_PKEY_free(pair) }
        let signed = try SelfSignedIdentity.makeCertificate(hosts: hosts, key: pair)
        defer { X509_free(signed) }
        let made = try SelfSignedIdentity.keep("certificate") { PEM_write_bio_X509($0, signed) }
        do throws(TLSError) {
            key = try SelfSignedIdentity.keep("key") { PEM_write_bio_PrivateKey($0, pair, nil, nil, 0, nil, nil) }
        } catch {
            close(made)
            throw error
        }
        certificate = made
    }

    deinit {
        close(certificate)
        close(key)
    }

    /// OpenSSL reads the names out of a list with commas.
    private static func isPlain(_ host: String) -> Bool {
        !host.isEmpty && host.utf8.allSatisfy { (0x21...0x7e).contains($0) && $0 != UInt8(ascii: ",") }
    }

    private static func makeKey() throws(TLSError) -> OpaquePointer {
        let context = EVP_PKEY_CTX_new_from_name(nil, "EC", nil)
        defer { EVP_PKEY_CTX_free(context) }
        var pair: OpaquePointer?
        guard EVP_PKEY_keygen_init(context) == 1, EVP_PKEY_CTX_set_group_name(context, "P-256") == 1,
            EVP_PKEY_generate(context, &pair) == 1,
            let pair
        else { throw refused("a key") }
        return pair
    }

    private static func makeCertificate(hosts: [String], key: OpaquePointer) throws(TLSError) -> OpaquePointer {
        guard let certificate = X509_new() else { throw refused("a certificate") }
        var isKept = false
        defer { if !isKept { X509_free(certificate) } }
        let subject = X509_get_subject_name(certificate)
        var serial: UInt64 = 0
        // Version 3, counted from zero (RFC 5280 section 4.1.2.1). A serial number is positive (section 4.1.2.2).
        guard X509_set_version(certificate, 2) == 1, withUnsafeMutableBytes(of: &serial, { RAND_bytes($0.baseAddress, 8) }) == 1,
            ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1 | 1) == 1,
            X509_gmtime_adj(X509_getm_notBefore(certificate), -leewaySeconds) != nil,
            X509_gmtime_adj(X509_getm_notAfter(certificate), lifetimeSeconds) != nil,
            X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_FLAG, hosts[0], -1, -1, 0) == 1,
            X509_set_issuer_name(certificate, subject) == 1, X509_set_pubkey(certificate, key) == 1
        else { throw refused("a certificate") }
        try add(NID_basic_constraints, "critical,CA:FALSE", to: certificate)
        try add(NID_ext_key_usage, "serverAuth", to: certificate)
        let names = hosts.map { (isAddress($0) ? "IP:" : "DNS:") + $0 }
        try add(NID_subject_alt_name, names.joined(separator: ","), to: certificate)
        guard X509_sign(certificate, key, EVP_sha256()) > 0 else { throw refused("a signature") }
        isKept = true
        return certificate
    }

    private static func isAddress(_ host: String) -> Bool { SocketAddress(numeric: host, port: 0) != nil }

    private static func add(_ kind: Int32, _ value: String, to certificate: OpaquePointer) throws(TLSError) {
        guard let made = X509V3_EXT_conf_nid(nil, nil, kind, value) else { throw refused("the certificate's '\(value)'") }
        defer { X509_EXTENSION_free(made) }
        guard X509_add_ext(certificate, made, -1) == 1 else { throw refused("the certificate's '\(value)'") }
    }

    /// Keeps what is written in a file without a name; returns its descriptor.
    private static func keep(_ what: String, _ write: (OpaquePointer?) -> Int32) throws(TLSError) -> Int32 {
        let bio = BIO_new(BIO_s_mem())
        defer { BIO_free(bio) }
        guard write(bio) == 1 else { throw refused("the \(what)") }
        var text = [UInt8](repeating: 0, count: 8_192)
        let count = BIO_read(bio, &text, Int32(text.count))
        let descriptor = memfd_create(what, UInt32(MFD_CLOEXEC))
        guard descriptor >= 0 else { throw TLSError("no memory for the \(what): \(SystemError.last.message)") }
        guard count > 0, Glibc.write(descriptor, text, Int(count)) == Int(count) else {
            close(descriptor)
            throw TLSError("no memory for the \(what)")
        }
        return descriptor
    }

    private static func refused(_ what: String) -> TLSError {
        ERR_clear_error()
        return TLSError("OpenSSL cannot make \(what)")
    }
}

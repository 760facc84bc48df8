// What contexts for both sides have in common: the modes that Heartwire relies on, and the loading of files with errors
// that name the file and what is wrong with it.

import COpenSSL

enum TLSContext {
    static func make(_ method: OpaquePointer?) throws(TLSError) -> OpaquePointer {
        TLSErrorQueue.clear()
        guard let context = SSL_CTX_new(method) else { throw TLSError("OpenSSL cannot make a TLS context") }
        // An idle connection gives its record buffers back (16 KiB each).
        _ = hw_SSL_CTX_set_mode(context, Int(SSL_MODE_RELEASE_BUFFERS) | Int(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER))
        hw_SSL_CTX_set_read_ahead(context, 1)
        // The link itself reports a FIN without close_notify. Renegotiation lets a peer waste our CPU; compression lets an attacker
        // guess secrets (CRIME).
        hw_SSL_CTX_set_house_options(context)
        _ = hw_SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION)
        return context
    }

    /// Loads a certificate with its chain and its key, and checks that they belong together.
    static func load(_ files: TLSIdentityFiles, into context: OpaquePointer) throws(TLSError) {
        TLSErrorQueue.clear()
        guard SSL_CTX_use_certificate_chain_file(context, files.certificateFile) == 1 else {
            throw TLSError("\(files.certificateFile): no certificate can be read: \(TLSErrorQueue.takeFileReason())")
        }
        // Without this OpenSSL would ask for a pass phrase on the terminal.
        let asked = UnsafeMutablePointer<Bool>.allocate(capacity: 1)
        asked.initialize(to: false)
        defer { asked.deallocate() }
        SSL_CTX_set_default_passwd_cb(context) { _, _, _, asked in
            asked?.assumingMemoryBound(to: Bool.self).pointee = true
            return 0
        }
        SSL_CTX_set_default_passwd_cb_userdata(context, asked)
        defer { SSL_CTX_set_default_passwd_cb_userdata(context, nil) }
        guard SSL_CTX_use_PrivateKey_file(context, files.keyFile, SSL_FILETYPE_PEM) == 1 else {
            if asked.pointee {
                ERR_clear_error()
                throw TLSError("\(files.keyFile): the key is encrypted; decrypt it first (openssl pkey -in KEY -out NEWKEY)")
            }
            let reason = TLSErrorQueue.takeFileReason()
            if reason.contains("mismatch") { throw mismatch(files) }
            throw TLSError("\(files.keyFile): no key can be read: \(reason)")
        }
        guard SSL_CTX_check_private_key(context) == 1 else {
            ERR_clear_error()
            throw mismatch(files)
        }
    }

    private static func mismatch(_ files: TLSIdentityFiles) -> TLSError {
        TLSError("\(files.keyFile): the key does not belong to the certificate in \(files.certificateFile)")
    }

    /// Trusts the authorities of a PEM file.
    static func trust(_ file: String, in context: OpaquePointer) throws(TLSError) {
        TLSErrorQueue.clear()
        guard SSL_CTX_load_verify_file(context, file) == 1 else {
            throw TLSError("\(file): no authority's certificate can be read: \(TLSErrorQueue.takeFileReason())")
        }
    }
}

/// The facts of a certificate that are needed for the choice by name and for warnings.
struct TLSCertificate {
    /// The DNS names in the certificate, in lower case; a leading `*.` matches one label.
    let names: [String]
    /// Seconds since 1970.
    let endsAt: Int64
    /// OpenSSL's number of the key's kind.
    let keyKind: Int32

    /// The certificate that was loaded into a context last.
    init?(of context: OpaquePointer) {
        guard let certificate = SSL_CTX_get0_certificate(context) else { return nil }
        names = TLSCertificate.names(of: certificate)
        keyKind = EVP_PKEY_get_id(X509_get0_pubkey(certificate))
        guard let end = TLSCertificate.end(of: certificate) else { return nil }
        endsAt = end
    }

    /// When a certificate expires, in seconds since 1970; nil if that cannot be read.
    static func end(of certificate: OpaquePointer) -> Int64? {
        var days: Int32 = 0
        var seconds: Int32 = 0
        // Counted from 1970 so that no clock is read here.
        let epoch = ASN1_TIME_set(nil, 0)
        defer { ASN1_TIME_free(epoch) }
        guard ASN1_TIME_diff(&days, &seconds, epoch, X509_get0_notAfter(certificate)) == 1 else { return nil }
        return Int64(days) * 86_400 + Int64(seconds)
    }

    private static func names(of certificate: OpaquePointer) -> [String] {
        var found: [String] = []
        if let alternatives = X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) {
            let names = OpaquePointer(alternatives)
            for index in 0..<hw_GENERAL_NAMES_count(names) {
                guard let name = hw_GENERAL_NAMES_value(names, index), name.pointee.type == GEN_DNS else { continue }
                let text = name.pointee.d.dNSName
                let bytes = UnsafeBufferPointer(start: ASN1_STRING_get0_data(text), count: Int(ASN1_STRING_length(text)))
                found.append(String(decoding: bytes, as: UTF8.self).lowercased())
            }
            GENERAL_NAMES_free(names)
        }
        return found
    }
}

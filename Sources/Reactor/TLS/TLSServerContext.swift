// What all TLS connections of one listener share: certificates, chosen by the name that the client asks for (SNI, RFC 6066 section 3),
// the protocols offered, and the accepted client certificates. A context never changes. A reload makes another one, and connections
// keep theirs.

import COpenSSL

/// The settings for serving TLS.
public struct TLSServerSettings: Sendable, Equatable {
    /// Whether clients are asked for a certificate.
    public enum ClientCertificates: Sendable, Equatable {
        /// Clients are not asked.
        case off
        /// Clients are asked and may have no certificate.
        case optional
        /// Clients are asked and must have a certificate.
        case required
    }

    /// The certificates; the first one also serves clients that ask for no name, or for an unknown one.
    public var identities: [TLSIdentityFiles]
    /// The protocols that are spoken, the preferred one first (ALPN, RFC 7301 section 3.1).
    public var applicationProtocols = ["http/1.1"]
    /// Those of them that are only chosen for ciphers with an ephemeral key exchange and authenticated encryption. TLS 1.3 has no others.
    public var protocolsNeedingModernCiphers: Set<String> = []
    /// Whether a client that offers protocols, but none that is spoken, is refused (`no_application_protocol`).
    public var requiresApplicationProtocol = false
    /// Whether TLS 1.2 is refused.
    public var requiresTLS13 = false
    /// OpenSSL's list of ciphers for TLS 1.2; nil for forward-secret AEAD ciphers only.
    public var ciphers: String?
    /// OpenSSL's list of cipher suites for TLS 1.3; nil for OpenSSL's own.
    public var ciphersuites: String?
    /// OpenSSL's list of groups for the key exchange; nil for X25519, P-256 and P-384.
    public var groups: String?
    /// Whether clients are asked for a certificate.
    public var clientCertificates = ClientCertificates.off
    /// A PEM file of the authorities whose client certificates are accepted.
    public var clientAuthorityFile: String?

    /// Serves with these certificates.
    public init(identities: [TLSIdentityFiles]) { self.identities = identities }
}

/// The server's side of TLS, shared by all workers.
public final class TLSServerContext: @unchecked Sendable {
    /// Only ephemeral key exchange and authenticated encryption. The client may choose the cipher that is cheapest on its hardware.
    private static let modernCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20"
    private static let modernGroups = "X25519:P-256:P-384"
    private let protocols: TLSApplicationProtocols
    private static let sessionContext = Array("heartwire".utf8)
    private static let digestBytes = 32

    private struct Identity {
        let context: OpaquePointer
        let staple: [UInt8]?
        let names: [String]
        var keyKinds: [Int32]
    }

    private var identities: [Identity] = []
    private var byName: [String: Int] = [:]
    let ticketKeys: TLSTicketKeys
    /// Each certificate's file and expiry, in seconds since 1970.
    public private(set) var certificateEnds: [(file: String, endsAt: Int64)] = []

    /// The context that a connection begins with.
    var defaultContext: OpaquePointer { identities[0].context }

    /// Reads the files. `staple` reads an OCSP response, because the caller decides how files are read.
    public init(
        _ settings: TLSServerSettings, ticketKeys: TLSTicketKeys, readFile: (String) -> [UInt8]?
    ) throws(TLSError) {
        precondition(!settings.identities.isEmpty, "the configuration sees to a certificate")
        self.ticketKeys = ticketKeys
        protocols = TLSApplicationProtocols(settings)
        for files in settings.identities { try add(files, settings, readFile) }
    }

    deinit {
        for identity in identities { SSL_CTX_free(identity.context) }
    }

    private func add(_ files: TLSIdentityFiles, _ settings: TLSServerSettings, _ readFile: (String) -> [UInt8]?) throws(TLSError) {
        let context = try TLSContext.make(TLS_server_method())
        var isKept = false
        defer { if !isKept { SSL_CTX_free(context) } }
        try TLSContext.load(files, into: context)
        guard let certificate = TLSCertificate(of: context) else {
            throw TLSError("\(files.certificateFile): the certificate's dates cannot be read")
        }
        certificateEnds.append((files.certificateFile, certificate.endsAt))
        // An ECDSA and an RSA certificate for the same names share one context; OpenSSL takes the one that the client can verify.
        if let index = identities.firstIndex(where: { $0.names == certificate.names && !$0.keyKinds.contains(certificate.keyKind) }),
            files.stapleFile == nil
        {
            identities[index].keyKinds.append(certificate.keyKind)
            return try TLSContext.load(files, into: identities[index].context)
        }
        try apply(settings, to: context)
        var staple: [UInt8]?
        if let file = files.stapleFile {
            staple = readFile(file)
            guard let staple, TLSServerContext.isStaple(staple) else {
                throw TLSError("\(file): no OCSP response in DER can be read")
            }
        }
        // OpenSSL's callbacks use this pointer. It stays valid for every connection, because each `TLSSession` keeps the context.
        _ = hw_SSL_CTX_set_application_data(context, Unmanaged.passUnretained(self).toOpaque())
        let index = identities.count
        isKept = true
        identities.append(Identity(context: context, staple: staple, names: certificate.names, keyKinds: [certificate.keyKind]))
        for name in certificate.names where byName[name] == nil { byName[name] = index }
        install(in: context)
        try limitSessions(to: settings.clientCertificates, in: context)
    }

    private static func isStaple(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBufferPointer { bytes in
            var cursor = bytes.baseAddress
            guard let response = d2i_OCSP_RESPONSE(nil, &cursor, bytes.count) else {
                ERR_clear_error()
                return false
            }
            OCSP_RESPONSE_free(response)
            return true
        }
    }

    private func apply(_ settings: TLSServerSettings, to context: OpaquePointer) throws(TLSError) {
        if settings.requiresTLS13 { _ = hw_SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) }
        let ciphers = settings.ciphers ?? TLSServerContext.modernCiphers
        guard SSL_CTX_set_cipher_list(context, ciphers) == 1 else {
            ERR_clear_error()
            throw TLSError("ciphers: OpenSSL knows none of '\(ciphers)'")
        }
        if let suites = settings.ciphersuites, SSL_CTX_set_ciphersuites(context, suites) != 1 {
            ERR_clear_error()
            throw TLSError("ciphersuites: OpenSSL does not know all of '\(suites)'")
        }
        let groups = settings.groups ?? TLSServerContext.modernGroups
        guard hw_SSL_CTX_set1_groups_list(context, groups) == 1 else {
            ERR_clear_error()
            throw TLSError("groups: OpenSSL does not know all of '\(groups)'")
        }
        guard settings.clientCertificates != .off, let authorities = settings.clientAuthorityFile else { return }
        try TLSContext.trust(authorities, in: context)
        SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(authorities))
        let mustHaveOne = settings.clientCertificates == .required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | mustHaveOne, nil)
    }

    private func install(in context: OpaquePointer) {
        // Sessions live in tickets only: memory does not grow with clients, and workers need not share sessions.
        _ = hw_SSL_CTX_set_session_cache_mode(context, Int(SSL_SESS_CACHE_OFF))
        // One ticket is enough: an EventSource comes back with one connection at a time.
        SSL_CTX_set_num_tickets(context, 1)
        TLSTicketKeys.install(in: context)
        TLSSessionEnd.install(in: context)
        hw_SSL_CTX_set_servername_callback(context) { ssl, _, _ in
            TLSServerContext.owner(of: ssl)?.chooseCertificate(for: ssl)
            return SSL_TLSEXT_ERR_OK
        }
        hw_SSL_CTX_set_status_callback(context) { ssl, _ in
            TLSServerContext.owner(of: ssl)?.staple(to: ssl) == true ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK
        }
        SSL_CTX_set_alpn_select_cb(
            context,
            { ssl, chosen, chosenCount, offered, offeredCount, _ in
                guard let chosen, let chosenCount, let protocols = TLSServerContext.owner(of: ssl)?.protocols else {
                    return SSL_TLSEXT_ERR_NOACK
                }
                return protocols.choose(for: ssl, offered: offered, count: offeredCount, chosen, chosenCount)
            }, nil)
    }

    /// A resumed session skips the client's certificate. So a ticket is only valid while the same certificates are required of clients
    /// and the same authorities are trusted: a reload may have changed both.
    private func limitSessions(to clientCertificates: TLSServerSettings.ClientCertificates, in context: OpaquePointer) throws(TLSError) {
        let store = SSL_CTX_get_cert_store(context)
        var authorities: [[UInt8]] = []
        for index in 0..<hw_X509_STORE_count(store) {
            guard let certificate = hw_X509_STORE_certificate(store, index) else { continue }
            var digest = [UInt8](repeating: 0, count: TLSServerContext.digestBytes)
            guard X509_digest(certificate, EVP_sha256(), &digest, nil) == 1 else { throw TLSError("OpenSSL cannot make a digest") }
            authorities.append(digest)
        }
        // Their order in the file has no meaning.
        authorities.sort { $0.lexicographicallyPrecedes($1) }
        let terms = TLSServerContext.sessionContext + Array("\(clientCertificates)".utf8) + authorities.joined()
        var digest = [UInt8](repeating: 0, count: TLSServerContext.digestBytes)
        guard EVP_Digest(terms, terms.count, &digest, nil, EVP_sha256(), nil) == 1,
            SSL_CTX_set_session_id_context(context, digest, UInt32(digest.count)) == 1
        else { throw TLSError("OpenSSL cannot make a digest") }
    }

    static func owner(of ssl: OpaquePointer?) -> TLSServerContext? {
        guard let pointer = hw_SSL_CTX_get_application_data(SSL_get_SSL_CTX(ssl)) else { return nil }
        return Unmanaged<TLSServerContext>.fromOpaque(pointer).takeUnretainedValue()
    }

    /// Chooses the certificate for the requested name: an exact name before a wildcard.
    private func chooseCertificate(for ssl: OpaquePointer?) {
        guard let asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) else { return }
        let name = String(cString: asked).lowercased()
        var index = byName[name]
        if index == nil, let dot = name.firstIndex(of: ".") { index = byName["*" + name[dot...]] }
        guard let index, index > 0 else { return }
        SSL_set_SSL_CTX(ssl, identities[index].context)
    }

    private func staple(to ssl: OpaquePointer?) -> Bool {
        let present = SSL_get_SSL_CTX(ssl)
        guard let staple = identities.first(where: { $0.context == present })?.staple else { return false }
        return hw_SSL_give_staple(ssl, staple, staple.count) == 1
    }
}

// What a configuration says about TLS, on both sides. Files are only named here; reading them is the reactor's.
//
// Invariant: a parsed listener's TLS has a certificate, and an authority exactly where client certificates are asked for;
// an upstream has TLS exactly where its servers are `https://`.

/// A certificate and its key.
public struct Certificate: Sendable, Hashable {
    /// A PEM file: the certificate first, then its chain.
    public var certificateFile: String
    /// A PEM file with the key, not encrypted.
    public var keyFile: String
    /// A file with an OCSP response in DER, stapled to the certificate; nil for none.
    public var stapleFile: String?

    /// Names the files.
    public init(certificateFile: String, keyFile: String, stapleFile: String? = nil) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        self.stapleFile = stapleFile
    }
}

/// How a listener speaks TLS.
public struct ListenerTLS: Sendable, Hashable {
    /// The oldest version of TLS that is spoken.
    public enum Version: Sendable, Hashable {
        /// TLS 1.2 (RFC 5246).
        case tls12
        /// TLS 1.3 (RFC 8446).
        case tls13
    }

    /// Whether clients are asked for a certificate.
    public enum ClientCertificates: Sendable, Hashable {
        /// They are not.
        case off
        /// They are, and may have none.
        case optional
        /// They are, and must have one.
        case required
    }

    /// The certificates, chosen by the name that a client asks for; the first one also serves all other names.
    public var certificates: [Certificate]
    /// The oldest version of TLS that is spoken.
    public var minimumVersion = Version.tls12
    /// OpenSSL's list of ciphers for TLS 1.2; nil for the reactor's choice.
    public var ciphers: String?
    /// OpenSSL's list of cipher suites for TLS 1.3; nil for OpenSSL's choice.
    public var ciphersuites: String?
    /// OpenSSL's list of groups for the key exchange; nil for the reactor's choice.
    public var groups: String?
    /// Whether clients are asked for a certificate.
    public var clientCertificates = ClientCertificates.off
    /// A PEM file of the authorities whose client certificates are accepted.
    public var clientAuthorityFile: String?
    /// The field in which servers are told the subject of the client's certificate; what clients send in it is removed.
    public var clientSubjectField: String?
    /// How long a key protects new session tickets, in seconds.
    public var ticketLifetimeSeconds = 43_200

    /// TLS with these certificates; everything else has its documented default (conf/README.md).
    public init(certificates: [Certificate]) { self.certificates = certificates }
}

/// How the servers of an upstream are spoken to in TLS.
public struct UpstreamTLS: Sendable, Hashable {
    /// A PEM file of the authorities that are trusted; nil for the system's.
    public var authorityFile: String?
    /// Our own certificate; nil for none.
    public var certificate: Certificate?
    /// The name that is asked for and verified; nil for each server's own host.
    public var serverName: String?
    /// Whether servers have to prove who they are.
    public var isVerified = true

    /// The system's authorities, each server's own name.
    public init() {}
}

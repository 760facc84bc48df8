// The TLS part of a configuration, on both sides. Files are only named here; the reactor reads them.
//
// Invariant: a parsed listener's TLS has a certificate, and an authority exactly where client certificates are asked for;
// an upstream has TLS exactly where its servers are `https://`.

/// A certificate and its key.
package struct Certificate: Sendable, Hashable {
    /// A PEM file: the certificate first, then its chain.
    package var certificateFile: String
    /// A PEM file with the key, not encrypted.
    package var keyFile: String
    /// A file with an OCSP response in DER, stapled to the certificate; nil for none.
    package var stapleFile: String?

    /// Names the files.
    package init(certificateFile: String, keyFile: String, stapleFile: String? = nil) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        self.stapleFile = stapleFile
    }

    /// The files that are there.
    package var files: [String] { [certificateFile, keyFile] + [stapleFile].compactMap { $0 } }
}

/// How a listener speaks TLS.
package struct ListenerTLS: Sendable, Hashable {
    /// The oldest version of TLS that is spoken.
    package enum Version: Sendable, Hashable {
        /// TLS 1.2 (RFC 5246).
        case tls12
        /// TLS 1.3 (RFC 8446).
        case tls13
    }

    /// Whether clients are asked for a certificate.
    package enum ClientCertificates: Sendable, Hashable {
        /// Clients are not asked.
        case off
        /// Clients are asked and may have no certificate.
        case optional
        /// Clients are asked and must have a certificate.
        case required
    }

    /// The certificates, chosen by the name that a client asks for; the first one also serves all other names.
    package var certificates: [Certificate]
    /// The oldest version of TLS that is spoken.
    package var minimumVersion = Version.tls12
    /// OpenSSL's list of ciphers for TLS 1.2; nil for the reactor's choice.
    package var ciphers: String?
    /// OpenSSL's list of cipher suites for TLS 1.3; nil for OpenSSL's choice.
    package var ciphersuites: String?
    /// OpenSSL's list of groups for the key exchange; nil for the reactor's choice.
    package var groups: String?
    /// Whether clients are asked for a certificate.
    package var clientCertificates = ClientCertificates.off
    /// A PEM file of the authorities whose client certificates are accepted.
    package var clientAuthorityFile: String?
    /// The field in which servers get the subject of the client's certificate. What clients send in it is removed.
    package var clientSubjectField: String?
    /// How long a key protects new session tickets, in seconds.
    package var ticketLifetimeSeconds = 43_200

    /// TLS with these certificates; everything else has its documented default (conf/README.md).
    package init(certificates: [Certificate]) { self.certificates = certificates }
}

/// How Heartwire speaks TLS to the servers of an upstream.
package struct UpstreamTLS: Sendable, Hashable {
    /// A PEM file of the authorities that are trusted; nil for the system's.
    package var authorityFile: String?
    /// Our own certificate; nil for none.
    package var certificate: Certificate?
    /// The name that Heartwire asks for and verifies; nil for each server's own host.
    package var serverName: String?
    /// Whether servers have to prove who they are.
    package var isVerified = true

    /// The system's authorities, each server's own name.
    package init() {}
}

// What all TLS connections to the servers of one upstream share: the trusted authorities and our own certificate.

import COpenSSL
import Synchronization

/// The settings for TLS to servers.
public struct TLSClientSettings: Sendable, Equatable {
    /// A PEM file of the authorities that are trusted; nil for the system's.
    public var authorityFile: String?
    /// Our own certificate, with its chain, and its key.
    public var identity: TLSIdentityFiles?
    /// Whether servers have to prove who they are.
    public var isVerified = true
    /// The protocols to offer, the preferred one first (ALPN, RFC 7301), such as `http/1.1`; none are offered where it is empty.
    public var applicationProtocols: [String] = []

    /// The system's authorities and no certificate of our own.
    public init() {}
}

/// The files of one certificate.
public struct TLSIdentityFiles: Sendable, Equatable {
    /// A PEM file: the certificate first, then its chain.
    public var certificateFile: String
    /// A PEM file with the certificate's key, not encrypted.
    public var keyFile: String
    /// A file with an OCSP response in DER that is stapled to the certificate.
    public var stapleFile: String?

    /// Names the files.
    public init(certificateFile: String, keyFile: String, stapleFile: String? = nil) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        self.stapleFile = stapleFile
    }
}

/// The client's side of TLS, shared by all workers.
public final class TLSClientContext: @unchecked Sendable {
    private static let made = Atomic<UInt64>(0)
    /// A unique number. No later context gets it again.
    let number = TLSClientContext.made.wrappingAdd(1, ordering: .relaxed).newValue
    /// OpenSSL counts its references atomically, and nothing in the context changes after `init`.
    let context: OpaquePointer
    /// When our own certificate expires, in seconds since 1970; nil without one.
    public let certificateEndsAt: Int64?

    /// Reads the files.
    public init(_ settings: TLSClientSettings) throws(TLSError) {
        context = try TLSContext.make(TLS_client_method())
        do {
            SSL_CTX_set_verify(context, settings.isVerified ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nil)
            if let file = settings.authorityFile {
                try TLSContext.trust(file, in: context)
            } else {
                SSL_CTX_set_default_verify_paths(context)
            }
            if !settings.applicationProtocols.isEmpty {
                let list = settings.applicationProtocols.flatMap { [UInt8($0.utf8.count)] + $0.utf8 }
                precondition(SSL_CTX_set_alpn_protos(context, list, UInt32(list.count)) == 0, "a protocol has a name of 1 to 255 bytes")
            }
            if let identity = settings.identity {
                try TLSContext.load(identity, into: context)
                certificateEndsAt = TLSCertificate(of: context)?.endsAt
            } else {
                certificateEndsAt = nil
            }
        } catch {
            SSL_CTX_free(context)
            throw error
        }
        _ = hw_SSL_CTX_set_session_cache_mode(context, Int(SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL))
        SSL_CTX_sess_set_new_cb(context, TLSResumption.received)
    }

    deinit { SSL_CTX_free(context) }
}

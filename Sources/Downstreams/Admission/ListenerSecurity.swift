// The TLS of one listener, made from the configuration's files. A reload makes another value; connections keep theirs. Invariant: the
// files in use were complete and matched when they were read.

import Configuration
import Reactor

/// The TLS of one listener, as all workers share it.
package final class ListenerSecurity: Sendable {
    /// The listener as the configuration describes it.
    package let listener: Listener
    /// The TLS context of the next connection; nil for plain HTTP.
    package let context: TLSServerContext?
    /// Survives every reload, so that clients can resume their sessions.
    private let ticketKeys: TLSTicketKeys?

    /// Reads the certificates. If the files cannot be used now and `previous` has the same description, its certificates stay, and this
    /// is reported.
    package init(_ listener: Listener, succeeding previous: ListenerSecurity? = nil, warn: (String) -> Void = { _ in }) throws(TLSError) {
        self.listener = listener
        guard let tls = listener.tls else {
            context = nil
            ticketKeys = nil
            return
        }
        let keys = TLSTicketKeys(lifetimeSeconds: tls.ticketLifetimeSeconds, succeeding: previous?.ticketKeys)
        do throws(TLSError) {
            for file in tls.certificates.flatMap(\.files) + [tls.clientAuthorityFile].compactMap({ $0 }) {
                if let objection = OperatorFile.objection(to: file) { throw TLSError("\(file): it cannot be read: \(objection)") }
            }
            context = try TLSServerContext(TLSServerSettings(tls, of: listener), ticketKeys: keys) { path in
                try? ConfigurationFile.load(path: path, on: .reload)
            }
            ticketKeys = keys
        } catch {
            guard let previous, previous.listener == listener else { throw error }
            warn("\(listener): \(error.message)")
            context = previous.context
            ticketKeys = previous.ticketKeys
        }
    }
}

extension TLSServerSettings {
    fileprivate init(_ tls: ListenerTLS, of listener: Listener) {
        self.init(identities: tls.certificates.map(TLSIdentityFiles.init))
        applicationProtocols = (listener.speaksHTTP2 ? ["h2"] : []) + (listener.speaksHTTP1 ? ["http/1.1"] : [])
        // RFC 9113 section 9.2.2: with an older cipher a browser would end the connection (INADEQUATE_SECURITY).
        protocolsNeedingModernCiphers = ["h2"]
        requiresApplicationProtocol = !listener.speaksHTTP1
        requiresTLS13 = tls.minimumVersion == .tls13
        ciphers = tls.ciphers
        ciphersuites = tls.ciphersuites
        groups = tls.groups
        clientAuthorityFile = tls.clientAuthorityFile
        clientCertificates =
            switch tls.clientCertificates {
            case .off: .off
            case .optional: .optional
            case .required: .required
            }
    }
}

extension TLSIdentityFiles {
    fileprivate init(_ certificate: Certificate) {
        self.init(certificateFile: certificate.certificateFile, keyFile: certificate.keyFile, stapleFile: certificate.stapleFile)
    }
}

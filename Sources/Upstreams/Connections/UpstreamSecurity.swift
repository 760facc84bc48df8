// TLS with the servers of one upstream, made from the configuration's files. A reload makes another value; connections keep theirs.
// Invariant: the files in use were complete and matched when they were read.

import Configuration
import Reactor

/// The TLS of one upstream, as all workers share it.
package final class UpstreamSecurity: Sendable {
    /// As it was configured; nil for plain HTTP.
    package let tls: UpstreamTLS?
    /// The upstream's name.
    package let name: String
    /// The TLS context of the next connection; nil for plain HTTP.
    package let context: TLSClientContext?

    /// Reads the files. If they cannot be used now and `previous` has the same description, its content stays, and this is reported.
    /// - Throws: what is wrong with a file that has no earlier content.
    package init(
        _ upstream: Upstream, succeeding previous: UpstreamSecurity? = nil, warn: (String) -> Void = { _ in }
    ) throws(TLSError) {
        tls = upstream.tls
        name = upstream.name
        guard let tls else {
            context = nil
            return
        }
        do throws(TLSError) {
            // OpenSSL reads a file to its end, however long that takes, so the file is checked first.
            for file in (tls.certificate?.files ?? []) + [tls.authorityFile].compactMap({ $0 }) {
                if let objection = OperatorFile.objection(to: file) { throw TLSError("\(file): it cannot be read: \(objection)") }
            }
            context = try TLSClientContext(TLSClientSettings(tls))
        } catch {
            guard let previous, previous.tls == tls else { throw error }
            warn(error.message)
            context = previous.context
        }
    }
}

extension TLSClientSettings {
    fileprivate init(_ tls: UpstreamTLS) {
        self.init()
        authorityFile = tls.authorityFile
        identity = tls.certificate.map {
            TLSIdentityFiles(certificateFile: $0.certificateFile, keyFile: $0.keyFile, stapleFile: $0.stapleFile)
        }
        isVerified = tls.isVerified
    }
}

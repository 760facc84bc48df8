// TLS as the configuration wants it, made of files: one context for each listener and each upstream that has any. It can
// be made anew while the proxy runs; connections keep what they began with. Invariant: what is in use was whole and fitted
// together when it was read.

import Configuration
import Reactor
import Synchronization

/// The TLS of one listener, as all workers share it.
final class ListenerSecurity: Sendable {
    let listener: Listener
    private let context: Mutex<TLSServerContext?>
    /// Outlives every reload, so that clients can resume their sessions.
    private let ticketKeys: TLSTicketKeys?

    init(_ listener: Listener) throws(TLSError) {
        self.listener = listener
        ticketKeys = listener.tls.map { TLSTicketKeys(lifetimeSeconds: $0.ticketLifetimeSeconds) }
        context = Mutex(nil)
        try readFiles()
    }

    /// What the next connection is secured by; nil for plain HTTP.
    var current: TLSServerContext? { context.withLock { $0 } }

    /// Reads the certificates, and replaces those in use if all is well with them.
    func readFiles() throws(TLSError) {
        guard let tls = listener.tls, let ticketKeys else { return }
        let fresh = try TLSServerContext(TLSServerSettings(tls), ticketKeys: ticketKeys) { path in
            try? ConfigurationFile.load(path: path)
        }
        context.withLock { $0 = fresh }
    }
}

/// The TLS of one upstream, as all workers share it.
final class UpstreamSecurity: Sendable {
    let tls: UpstreamTLS?
    private let context: Mutex<TLSClientContext?>

    init(_ upstream: Upstream) throws(TLSError) {
        tls = upstream.tls
        context = Mutex(nil)
        try readFiles()
    }

    /// What the next connection is secured by; nil for plain HTTP.
    var current: TLSClientContext? { context.withLock { $0 } }

    /// Reads the files, and replaces those in use if all is well with them.
    func readFiles() throws(TLSError) {
        guard let tls else { return }
        let fresh = try TLSClientContext(TLSClientSettings(tls))
        context.withLock { $0 = fresh }
    }
}

/// All TLS of a configuration.
public final class Security: Sendable {
    private static let warningSeconds: Int64 = 14 * 86_400

    let listeners: [ListenerSecurity]
    let upstreams: [UpstreamSecurity]

    /// Reads all files that the configuration names. Throws for the first one that cannot be used.
    public init(_ configuration: Configuration) throws(TLSError) {
        var listeners: [ListenerSecurity] = []
        for listener in configuration.listeners { listeners.append(try ListenerSecurity(listener)) }
        var upstreams: [UpstreamSecurity] = []
        for upstream in configuration.upstreams { upstreams.append(try UpstreamSecurity(upstream)) }
        self.listeners = listeners
        self.upstreams = upstreams
    }

    /// Whether there is any TLS at all.
    var isEmpty: Bool { listeners.allSatisfy { $0.listener.tls == nil } && upstreams.allSatisfy { $0.tls == nil } }

    /// Reads everything anew; what cannot be used is left as it was. Returns one line for each failure.
    func readFilesAgain() -> [String] {
        var failures: [String] = []
        for listener in listeners {
            do throws(TLSError) { try listener.readFiles() } catch { failures.append("\(listener.listener): \(error.message)") }
        }
        for upstream in upstreams {
            do throws(TLSError) { try upstream.readFiles() } catch { failures.append(error.message) }
        }
        return failures
    }

    /// One line for each certificate that has ended or soon will.
    public func warnings(nowUnixMilliseconds now: Int64) -> [String] {
        let ends = listeners.flatMap { $0.current?.certificateEnds ?? [] } + upstreams.compactMap { upstream in
            guard let end = upstream.current?.certificateEndsAt, let file = upstream.tls?.certificate?.certificateFile else { return nil }
            return (file: file, endsAt: end)
        }
        return ends.compactMap { file, endsAt in
            let left = endsAt - now / 1000
            if left <= 0 { return "\(file): the certificate has ended \(-left / 86_400) days ago" }
            return left < Security.warningSeconds ? "\(file): the certificate ends in \(left / 86_400) days" : nil
        }
    }
}

extension TLSIdentityFiles {
    fileprivate init(_ certificate: Certificate) {
        self.init(certificateFile: certificate.certificateFile, keyFile: certificate.keyFile, stapleFile: certificate.stapleFile)
    }
}

extension TLSServerSettings {
    fileprivate init(_ tls: ListenerTLS) {
        self.init(identities: tls.certificates.map(TLSIdentityFiles.init))
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

extension TLSClientSettings {
    fileprivate init(_ tls: UpstreamTLS) {
        self.init()
        authorityFile = tls.authorityFile
        identity = tls.certificate.map(TLSIdentityFiles.init)
        isVerified = tls.isVerified
    }
}

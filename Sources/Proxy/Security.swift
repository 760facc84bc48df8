// TLS as the configuration wants it, made of files: one context for each listener and each upstream that has any. A reload
// makes another value of it; connections keep what they began with. Invariant: what is in use was whole and fitted
// together when it was read.

import Configuration
import Downstreams
import Reactor

/// The TLS of one upstream, as all workers share it.
final class UpstreamSecurity: Sendable {
    let tls: UpstreamTLS?
    fileprivate let name: String
    /// What the next connection is secured by; nil for plain HTTP.
    let context: TLSClientContext?

    /// Reads the files; as for a listener, those that are in use stay where the same cannot be used now.
    init(_ upstream: Upstream, succeeding previous: UpstreamSecurity? = nil, complain: (String) -> Void = { _ in }) throws(TLSError) {
        tls = upstream.tls
        name = upstream.name
        guard let tls else {
            context = nil
            return
        }
        do {
            try Security.examine((tls.certificate?.files ?? []) + [tls.authorityFile].compactMap { $0 })
            context = try TLSClientContext(TLSClientSettings(tls))
        } catch {
            guard let previous, previous.tls == tls else { throw error }
            complain(error.message)
            context = previous.context
        }
    }
}

/// All TLS of a configuration.
package final class Security: Sendable {
    private static let warningSeconds: Int64 = 14 * 86_400

    let listeners: [ListenerSecurity]
    let upstreams: [UpstreamSecurity]
    /// One line for each file that could not be used and whose predecessor therefore stays.
    let complaints: [String]

    /// Reads all files that the configuration names. Throws for the first one that cannot be used and replaces none.
    package convenience init(_ configuration: Configuration) throws(TLSError) { try self.init(configuration, succeeding: nil) }

    init(_ configuration: Configuration, succeeding previous: Security?) throws(TLSError) {
        var complaints: [String] = []
        var listeners: [ListenerSecurity] = []
        for listener in configuration.listeners {
            let known = previous?.listeners.first { $0.listener.description == listener.description }
            listeners.append(try ListenerSecurity(listener, succeeding: known) { complaints.append($0) })
        }
        var upstreams: [UpstreamSecurity] = []
        for upstream in configuration.upstreams {
            let known = previous?.upstreams.first { $0.name == upstream.name }
            upstreams.append(try UpstreamSecurity(upstream, succeeding: known) { complaints.append($0) })
        }
        self.listeners = listeners
        self.upstreams = upstreams
        self.complaints = complaints
    }

    /// OpenSSL reads a file to its end, however long that takes.
    fileprivate static func examine(_ files: [String]) throws(TLSError) {
        for file in files {
            if let objection = OperatorFile.objection(to: file) { throw TLSError("\(file): it cannot be read: \(objection)") }
        }
    }

    /// Whether there is any TLS at all.
    var isEmpty: Bool { listeners.allSatisfy { $0.listener.tls == nil } && upstreams.allSatisfy { $0.tls == nil } }

    /// One line for each certificate that has ended or soon will.
    package func warnings(nowUnixMilliseconds now: Int64) -> [String] {
        let ends =
            listeners.flatMap { $0.context?.certificateEnds ?? [] }
            + upstreams.compactMap { upstream in
                guard let end = upstream.context?.certificateEndsAt, let file = upstream.tls?.certificate?.certificateFile else {
                    return nil
                }
                return (file: file, endsAt: end)
            }
        return ends.compactMap { file, endsAt in
            let left = endsAt - now / 1000
            if left <= 0 { return "\(file): the certificate has ended \(-left / 86_400) days ago" }
            return left < Security.warningSeconds ? "\(file): the certificate ends in \(left / 86_400) days" : nil
        }
    }
}

extension Certificate {
    fileprivate var files: [String] { [certificateFile, keyFile] + [stapleFile].compactMap { $0 } }
}

extension TLSIdentityFiles {
    fileprivate init(_ certificate: Certificate) {
        self.init(certificateFile: certificate.certificateFile, keyFile: certificate.keyFile, stapleFile: certificate.stapleFile)
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

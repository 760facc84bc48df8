// What a whole configuration keeps in files of their own: the TLS of each listener and each upstream, and the secret of probes. A reload
// makes another value. Invariant: the files in use were complete and matched when they were read.

import Configuration
import Credentials
import Downstreams
import Exchanges
import Reactor
import Upstreams

/// All TLS of a configuration, and the secret of probes.
package final class Security: Sendable {
    private static let warningSeconds: Int64 = 14 * 86_400

    let listeners: [ListenerSecurity]
    let upstreams: [UpstreamSecurity]
    /// That of each address of the console.
    let console: [ListenerSecurity]
    /// What probes have to prove; nil where they are not answered.
    let probeSecret: ProbeSecret?
    /// Who signs tokens, with their keys.
    let issuers: [TokenIssuer]
    private let configuredIssuers: [Issuer]
    private let probeEndpoint: ProbeEndpoint?
    /// One line for each file that could not be used, so that what was read of it before stays, and for each key that was left out.
    package let readingWarnings: [String]

    /// Reads all files of the configuration. Throws for the first file that cannot be used and has no earlier content.
    package convenience init(_ configuration: Configuration) throws(TLSError) { try self.init(configuration, succeeding: nil) }

    init(_ configuration: Configuration, succeeding previous: Security?) throws(TLSError) {
        var warnings: [String] = []
        func secured(_ all: [Listener], after previous: [ListenerSecurity]) throws(TLSError) -> [ListenerSecurity] {
            var found: [ListenerSecurity] = []
            for listener in all {
                let known = previous.first { $0.listener.description == listener.description }
                found.append(try ListenerSecurity(listener, succeeding: known) { warnings.append($0) })
            }
            return found
        }
        listeners = try secured(configuration.listeners, after: previous?.listeners ?? [])
        console = try secured(configuration.console?.listeners ?? [], after: previous?.console ?? [])
        var upstreams: [UpstreamSecurity] = []
        for upstream in configuration.allUpstreams {
            let known = previous?.upstreams.first { $0.name == upstream.name }
            upstreams.append(try UpstreamSecurity(upstream, succeeding: known) { warnings.append($0) })
        }
        self.upstreams = upstreams
        configuredIssuers = configuration.issuers
        issuers = try Security.issuers(configuration.issuers, succeeding: previous) { warnings.append($0) }
        probeEndpoint = configuration.probeEndpoint
        probeSecret = try Security.probeSecret(configuration.probeEndpoint, succeeding: previous) { warnings.append($0) }
        readingWarnings = warnings
    }

    /// Reads the secret of the endpoint for probes. What was read of the same file before stays if it cannot be used now.
    private static func probeSecret(
        _ endpoint: ProbeEndpoint?, succeeding previous: Security?, warn: (String) -> Void
    ) throws(TLSError) -> ProbeSecret? {
        guard let endpoint else { return nil }
        do throws(TLSError) {
            return try ProbeSecret(file: endpoint.secretFile)
        } catch {
            guard previous?.probeEndpoint?.secretFile == endpoint.secretFile, let known = previous?.probeSecret else { throw error }
            warn(error.message)
            return known
        }
    }

    /// Reads the keys of all issuers. The keys of an issuer that is described in the same words stay if its files cannot be used now.
    private static func issuers(
        _ issuers: [Issuer], succeeding previous: Security?, warn: (String) -> Void
    ) throws(TLSError) -> [TokenIssuer] {
        var found: [TokenIssuer] = []
        for issuer in issuers {
            do throws(TLSError) {
                if issuer.introspection != nil {
                    found.append(TokenIssuer(rules: issuer.rules, keys: .asked))
                } else if let keysURL = issuer.keysURL {
                    found.append(TokenIssuer(rules: issuer.rules, keys: .fetched(Security.keys(of: issuer, keysURL, succeeding: previous))))
                } else {
                    found.append(TokenIssuer(rules: issuer.rules, keys: .configured(try KeySet(of: issuer, warn: warn))))
                }
            } catch {
                guard let previous, let index = previous.configuredIssuers.firstIndex(of: issuer) else { throw error }
                warn(error.message)
                found.append(previous.issuers[index])
            }
        }
        return found
    }

    /// The keys of an issuer with a URL. Those that were fetched from the same server for the same algorithms stay.
    private static func keys(of issuer: Issuer, _ keysURL: KeysURL, succeeding previous: Security?) -> FetchedKeys {
        let (label, times) = (issuer.rules.label, keysURL.times)
        let known = zip(previous?.configuredIssuers ?? [], previous?.issuers ?? []).filter { known, _ in
            known.rules.algorithms == issuer.rules.algorithms && known.keysURL?.service.url == keysURL.service.url
                && known.keysURL?.service.tls == keysURL.service.tls
        }
        if let (same, tokenIssuer) = known.first(where: { $0.0.rules.label == label }) ?? known.first,
            case .fetched(let keys) = tokenIssuer.keys
        {
            return same.rules.label == label && same.keysURL?.times == times ? keys : FetchedKeys(keys, label: label, times: times)
        }
        return FetchedKeys(label: label, algorithms: issuer.rules.algorithms, times: times)
    }

    /// Whether there is any TLS at all.
    var isEmpty: Bool { (listeners + console).allSatisfy { $0.listener.tls == nil } && upstreams.allSatisfy { $0.tls == nil } }

    /// What files there are, in words for the operator.
    var kindsOfFiles: [String] {
        let hasKeys = configuredIssuers.lazy.flatMap(\.keys).contains { if case .secret = $0 { false } else { true } }
        return (isEmpty ? [] : ["certificates"]) + (hasKeys ? ["keys of issuers"] : [])
    }

    /// One line for each certificate that has expired or soon will.
    package func expiryWarnings(nowUnixMilliseconds now: Int64) -> [String] {
        let ends =
            (listeners + console).flatMap { $0.context?.certificateEnds ?? [] }
            + upstreams.compactMap { upstream in
                guard let end = upstream.context?.certificateEndsAt, let file = upstream.tls?.certificate?.certificateFile else {
                    return nil
                }
                return (file: file, endsAt: end)
            }
        return ends.compactMap { file, endsAt in
            let left = endsAt - now / 1000
            if left <= 0 { return "\(file): the certificate expired \(-left / 86_400) days ago" }
            return left < Security.warningSeconds ? "\(file): the certificate expires in \(left / 86_400) days" : nil
        }
    }
}

extension Settings {
    /// A configuration with its TLS, compiled for `workerCount` workers.
    convenience init(_ configuration: Configuration, _ security: Security, workerCount: Int = 1, succeeding previous: Settings? = nil) {
        self.init(
            configuration, security.upstreams, issuers: security.issuers, probeSecret: security.probeSecret, workerCount: workerCount,
            succeeding: previous)
    }
}

/// A file of the operator's.
private func readContent(of file: String) throws(TLSError) -> [UInt8] {
    do throws(OperatorFile.Unreadable) { return try OperatorFile.content(of: file) } catch {
        throw TLSError("\(file): it cannot be read: \(error.reason)")
    }
}

extension KeySet {
    /// The keys of an issuer, out of its files and its configuration.
    fileprivate init(of issuer: Issuer, warn: (String) -> Void) throws(TLSError) {
        var keys: [VerificationKey] = []
        for key in issuer.keys {
            switch key {
            case .secret(let secret, let algorithm, let name):
                keys.append(VerificationKey(secret: secret, name: name.map { Array($0.utf8) }, algorithm: algorithm))
            case .file(let file, let algorithm, let name):
                let content = try readContent(of: file)
                do throws(KeyError) {
                    keys.append(try VerificationKey(pem: content, name: name.map { Array($0.utf8) }, algorithm: algorithm))
                } catch { throw TLSError("\(file): \(error)") }
            case .set(let file):
                let content = try readContent(of: file)
                do throws(KeyError) {
                    let set = try KeySet.keys(in: content, for: issuer.rules.algorithms)
                    for remark in set.remarks { warn("\(file): \(remark)") }
                    keys += set.keys
                } catch { throw TLSError("\(file): \(error)") }
            }
        }
        guard keys.count <= KeySet.mostKeys else {
            throw TLSError("issuer \(issuer.rules.label): it has \(keys.count) keys in all; at most \(KeySet.mostKeys) are allowed")
        }
        self.init(keys)
    }
}

extension ProbeSecret {
    /// The secret in a file of the operator's.
    fileprivate init(file: String) throws(TLSError) {
        let content = try readContent(of: file)
        do throws(ProbeSecretError) { try self.init(fileContent: content) } catch {
            switch error {
            case .tooShort: throw TLSError("\(file): the secret of probe_endpoint has fewer than \(ProbeSecret.leastBytes) bytes")
            case .tooLong: throw TLSError("\(file): the secret of probe_endpoint has more than \(ProbeSecret.mostBytes) bytes")
            }
        }
    }
}

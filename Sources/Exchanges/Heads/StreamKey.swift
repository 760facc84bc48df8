// The key of a request for a stream: it says whose stream the request asks for. A client that comes back finds the stream that is kept
// for it by the key of its new request. An id only names a place within that stream, so a stolen id is worth nothing.
//
// Invariant: two requests have the same key exactly where every part of both is the same. All parts are written with their lengths, so
// no two lists of parts have the same bytes.

import Bytes
import Configuration
import Credentials
import Downstreams
import HTTP

/// The first 128 bits of the HMAC-SHA256 (RFC 2104) of what tells streams apart. It is never shown.
struct StreamKey: Sendable, Hashable {
    private let first: UInt64
    private let second: UInt64

    /// The key of these parts; nil when libcrypto fails, which happens only without free memory.
    init?(_ parts: StreamKeyParts, under key: Fingerprinter) {
        guard let digest = key.digest(ofBytes: parts.bytes.span) else { return nil }
        (first, second) = digest.beginning
    }
}

/// Why a request has no key. Its stream is not kept.
enum StreamKeyFault: Error, Equatable {
    /// The identity is in a field that only a trusted proxy may write, and the client is none.
    case notTrusted
    /// libcrypto has no memory.
    case noMemory
}

/// What tells streams apart, as bytes.
struct StreamKeyParts: Equatable {
    /// What a part is.
    enum Kind: UInt8, CaseIterable {
        case route = 1
        case upstream, ids, host, forwardedHost, target, origin
        case authorization, cookies, certificate, cookie, header
        /// The request has none of the values that the route names, and its credentials follow.
        case unnamed
        /// The route says that all clients may read the same stream.
        case everybody
        case varied
    }

    private(set) var bytes: [UInt8] = []

    /// Adds a part: its values, none where the request has none. `name` tells the parts of one kind apart.
    ///
    /// The bytes: kind (1), length of the name (4), name, number of values (4), and for each value its length (4) and the value.
    mutating func add(_ kind: Kind, name: [UInt8] = [], _ values: [[UInt8]]) {
        bytes.append(kind.rawValue)
        addLength(name.count)
        bytes += name
        addLength(values.count)
        for value in values {
            addLength(value.count)
            bytes += value
        }
    }

    private mutating func addLength(_ length: Int) {
        // A request head is far smaller than 4 GiB.
        let length = UInt32(length)
        for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: length >> UInt32(shift))) }
    }
}

/// A part that says whose stream it is.
struct IdentityPart {
    let kind: StreamKeyParts.Kind
    /// The name of the cookie or the field; empty for other kinds.
    var name = ""
    /// Its values; none where the request has none.
    let values: [[UInt8]]
}

extension RequestForwarding {
    /// The key of the stream that a managed request asks for. The head is one from which `takingParameters` has taken what tells no streams
    /// apart.
    ///
    /// - Parameters:
    ///   - bridged: how the bridge changed the request; nil for not at all.
    ///   - findings: what was found out about its credentials; nil on routes without a step.
    ///   - certificateDigest: the SHA-256 of the client's certificate; nil without one.
    /// - Throws: why the stream cannot be told apart from others.
    func streamKey(
        _ bridged: BridgedRequest?, _ findings: Findings?, certificateDigest: [UInt8]?, under key: Fingerprinter
    ) throws(StreamKeyFault) -> StreamKey {
        let parts = try streamKeyParts(bridged, findings, certificateDigest: certificateDigest)
        guard let made = StreamKey(parts, under: key) else { throw .noMemory }
        return made
    }

    /// The parts of the key.
    func streamKeyParts(
        _ bridged: BridgedRequest?, _ findings: Findings?, certificateDigest: [UInt8]?
    ) throws(StreamKeyFault) -> StreamKeyParts {
        guard let continuity = route.continuity else { preconditionFailure("only routes with a history have keys") }
        var parts = StreamKeyParts()
        // After a reload with another upstream, other ids or another `gap`, nobody finds a stream of before.
        parts.add(.route, [Array(route.route.name.utf8)])
        parts.add(.upstream, [continuity.upstream])
        parts.add(.ids, [[continuity.idsMark], continuity.gapMark])
        parts.add(.host, [lowercasedBytes(head.bytes.span, head.authority)])
        let forwardedHost = client.isTrusted ? head.firstValue(of: .xForwardedHost) : nil
        parts.add(.forwardedHost, forwardedHost.map { [lowercasedBytes(head.bytes.span, $0)] } ?? [])
        parts.add(.target, [target(bridged) ?? Array(head.bytes[head.target])])
        parts.add(.origin, values(of: .origin).map { Array(head.bytes[$0]) })
        for part in try identityParts(bridged, findings, certificateDigest: certificateDigest) {
            parts.add(part.kind, name: Array(part.name.utf8), part.values)
        }
        // What a client keeps from being sent (`Connection`) tells streams apart like a field that it has not.
        for name in continuity.policy.variedFields {
            let name = Array(name.utf8)
            parts.add(.varied, name: name, values(of: name, bridged))
        }
        return parts
    }

    /// The parts that say whose stream it is.
    func identityParts(
        _ bridged: BridgedRequest?, _ findings: Findings?, certificateDigest: [UInt8]?
    ) throws(StreamKeyFault) -> [IdentityPart] {
        guard let continuity = route.continuity else { preconditionFailure("only routes with a history have keys") }
        guard case .values(let wanted) = continuity.policy.identity else { return [IdentityPart(kind: .everybody, values: [])] }
        var parts: [IdentityPart] = []
        func addCredentials() {
            parts.append(IdentityPart(kind: .authorization, values: authorizations(bridged)))
            parts.append(IdentityPart(kind: .cookies, values: cookies(bridged)))
            parts.append(IdentityPart(kind: .certificate, values: certificateDigest.map { [$0] } ?? []))
        }
        var isNamed = false
        func add(_ kind: StreamKeyParts.Kind, name: String = "", _ values: [[UInt8]]) {
            parts.append(IdentityPart(kind: kind, name: name, values: values))
            if values.contains(where: { !$0.isEmpty }) { isNamed = true }
        }
        for value in wanted {
            switch value {
            case .credentials:
                addCredentials()
                isNamed = true
            case .token: add(.authorization, authorizations(bridged))
            case .cookie(let name): add(.cookie, name: name, cookieValues(named: name))
            case .clientCertificate: add(.certificate, certificateDigest.map { [$0] } ?? [])
            case .header(let name): add(.header, name: name, try vouchedValues(named: name, findings))
            }
        }
        guard !isNamed else { return parts }
        // Otherwise all clients without these values would have one key, also those who have other credentials.
        parts.append(IdentityPart(kind: .unnamed, values: []))
        addCredentials()
        return parts
    }

    /// The values of a field that says who the client is: those that the proxy writes, else those of a trusted proxy.
    private func vouchedValues(named name: String, _ findings: Findings?) throws(StreamKeyFault) -> [[UInt8]] {
        if withheld.guards(name) {
            let written = (findings?.checked?.fields ?? []) + (findings?.fields ?? [])
            return written.filter { $0.name.lowercased() == name }.map(\.value)
        }
        guard client.isTrusted else { throw .notTrusted }
        return values(named: name)
    }

    /// The values of all cookies of that name.
    private func cookieValues(named name: String) -> [[UInt8]] {
        Credentials.cookieValues(of: head.bytes.span, values(of: .cookie), name: Array(name.utf8)).map { Array(head.bytes[$0]) }
    }

    /// The values of all fields of that name, which is in lower case, as the client sent them.
    private func values(named lowercasedName: String) -> [[UInt8]] {
        let name = Array(lowercasedName.utf8)
        let bytes = head.bytes.span
        return head.fields.filter { lowercasedBytes(bytes, $0.name) == name }.map { Array(head.bytes[$0.value]) }
    }
}

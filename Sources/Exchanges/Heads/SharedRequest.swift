// The request for a stream that several clients may read: a function of the stream's key, and of what the route itself adds. What is not
// sent cannot vary, so the server would have given any client of that key the same stream. That is why nobody can be given another's.
//
// Invariant: nothing of the request that stands here is missing in the key (`streamKeyParts`).

import Configuration
import Credentials
import HTTP

extension RequestForwarding {
    /// The parts of the identity that a shared request is made of; nil where the stream cannot be shared.
    func sharedIdentity(_ bridged: BridgedRequest?, _ findings: Findings?) -> [IdentityPart]? {
        guard isManaged, route.continuity?.policy.share != nil else { return nil }
        // Of a certificate nothing is sent.
        return try? identityParts(bridged, findings, certificateDigest: nil)
    }

    /// Writes the fields behind `Host`, and the end of the head.
    func writeShared(
        _ identity: [IdentityPart], _ bridged: BridgedRequest?, _ findings: Findings?, to writer: inout HeadWriter
    ) throws(HTTPError) {
        let varied = route.continuity?.policy.variedFields ?? []
        if !varied.contains("accept") { writer.field("Accept", "text/event-stream") }
        writer.field("Accept-Encoding", "identity")
        for origin in values(of: .origin) { writer.field("Origin", origin, of: head) }
        let own = ownCredentials(findings)
        var cookies: [[UInt8]] = []
        var holdsToken = false
        // Behind `unnamed` stand all credentials, and with them those that were named and have no value.
        let unnamed = identity.firstIndex { $0.kind == .unnamed } ?? 0
        for (place, part) in identity.enumerated() where place >= unnamed || part.kind == .header {
            switch part.kind {
            case .authorization:
                holdsToken = true
                guard own?.replacesAuthorization != true else { continue }
                for value in part.values { try writer.field("Authorization", value) }
            case .cookies: cookies += part.values
            case .cookie: cookies += part.values.map { Array(part.name.utf8) + [UInt8(ascii: "=")] + $0 }
            case .header: for value in part.values { try writer.field(named: Array(part.name.utf8), value) }
            case .route, .upstream, .ids, .host, .forwardedHost, .target, .origin, .certificate, .unnamed, .everybody, .varied: continue
            }
        }
        if !cookies.isEmpty { try writer.field("Cookie", Array(cookies.joined(separator: Array("; ".utf8)))) }
        for name in varied {
            for value in values(of: Array(name.utf8), bridged) { try writer.field(named: Array(name.utf8), value) }
        }
        if holdsToken {
            // Claims are a function of the token. What a header of the identity holds is there already.
            let known = Set(identity.filter { $0.kind == .header }.map(\.name))
            for field in findings?.checked?.fields ?? [] where !known.contains(field.name.lowercased()) {
                try writer.field(named: Array(field.name.utf8), field.value)
            }
        }
        if let own { try writeCredentials(own, holdsToken ? bridged : nil, mayUseToken: holdsToken, &writer) }
        if route.route.writesVia { writer.field("Via", "1.1 heartwire") }
        writer.end()
    }
}

// What a service is asked about a request: what the proxy itself knows of it, and the fields that the service may see, as the server would
// get them. It makes bytes and sends none. Invariant: nothing that a client writes about its own way here goes to the service.

import Bytes
import Configuration
import Credentials
import HTTP
import Services

/// The service that one route asks, with everything that its exchanges need, made in advance.
final class CompiledForwardAuth: Sendable {
    let name: String
    /// The place of the service among those of the configuration.
    let index: Int
    /// The fields of a request that it gets, in lower case and as they are written.
    let sent: [(lowercased: [UInt8], name: String)]

    /// The service of that name. `guarded` fields of clients never pass.
    init(_ name: String, of services: [ForwardAuth], guarded: WithheldNames) {
        guard let index = services.firstIndex(where: { $0.name == name }) else {
            preconditionFailure("a route asks a service of the configuration; without one, everything would pass")
        }
        self.index = index
        self.name = name
        sent = services[index].terms.sent.filter { !guarded.guards($0) }.map { (Array($0.lowercased().utf8), $0) }
    }
}

extension RequestForwarding {
    /// The question about a request, after its token was taken out of the URL and the cookies; nil when libcrypto has no memory.
    func question(_ bridged: BridgedRequest?, _ service: CompiledForwardAuth, _ fingerprinter: Fingerprinter) -> ForwardAuthQuestion? {
        let (method, target) = (Array(head.bytes[head.methodRange]), target(bridged) ?? Array(head.bytes[head.target]))
        let scheme = Array((isClientSecured ? "https" : "http").utf8)
        var fields: [ForwardAuthQuestion.Field] = [
            ("X-Forwarded-Method", method), ("X-Forwarded-Uri", target), ("X-Forwarded-Proto", scheme), ("X-Forwarded-For", forwardedFor),
            ("X-Original-Method", method),
        ]
        if let authority = clientsAuthority {
            fields.append(("X-Forwarded-Host", authority))
            // `OPTIONS *` is about no URL.
            if target.first == UInt8(ascii: "/") { fields.append(("X-Original-URL", scheme + Array("://".utf8) + authority + target)) }
        }
        // A compressed page could not be passed on to a client that does not take it.
        fields.append(ServiceRequest.uncompressed)
        for (lowercased, name) in service.sent {
            switch lowercased {
            case Array("authorization".utf8): fields += authorizations(bridged).prefix(1).map { (name, $0) }
            case Array("cookie".utf8): fields += cookies(bridged).map { (name, $0) }
            case Array("accept-encoding".utf8): continue
            default: fields += values(of: lowercased, bridged).map { (name, $0) }
            }
        }
        return ForwardAuthQuestion(service.name, fields, fingerprinter)
    }

    /// The values of Authorization that the client brings.
    func authorizations(_ bridged: BridgedRequest?) -> [[UInt8]] {
        if let bridged, let token = bridged.token, bridged.origin != .authorization || bridged.dropAuthorization {
            var value: [UInt8] = []
            token.appendAuthorizationValue(to: &value)
            return [value]
        }
        return bridged?.dropAuthorization == true ? [] : values(of: .authorization).map { Array(head.bytes[$0]) }
    }

    /// All cookies as one value (RFC 9113 section 8.2.3).
    func cookies(_ bridged: BridgedRequest?) -> [[UInt8]] {
        let values = bridged?.cookies.map { [$0] } ?? values(of: .cookie).map { Array(head.bytes[$0]) }
        let cookies = Array(values.filter { !$0.isEmpty }.joined(separator: Array("; ".utf8)))
        return cookies.isEmpty ? [] : [cookies]
    }

    /// The values of all fields of a name that go on, without those that repeat the token.
    func values(of lowercasedName: [UInt8], _ bridged: BridgedRequest?) -> [[UInt8]] {
        let bytes = head.bytes.span
        let edits = leftoverEdits(bridged, except: [])
        return head.fields.enumerated().compactMap { index, field in
            guard field.isForwardable, !edits.names(fieldIndex: index), lowercasedBytes(bytes, field.name) == lowercasedName else {
                return nil
            }
            return Array(head.bytes[field.value])
        }
    }
}

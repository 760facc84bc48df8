// What a server gets in place of the client's credentials, on routes that say so. It makes bytes and sends none.

import Configuration
import Credentials
import HTTP

/// The proxy's own credentials in one request.
struct OwnCredentials {
    let authorization: ServerCredentials.Authorization
    let fields: [ServerCredentials.Field]

    /// Whether the client's Authorization goes no further.
    var replacesAuthorization: Bool { authorization != .pass }
}

extension RequestForwarding {
    /// The proxy's own credentials for this request; nil if it changes none. A server repeats a TRACE, which therefore carries no secret
    /// (RFC 9110 section 9.3.8). Nobody has checked who sends a preflight.
    func ownCredentials(_ findings: Findings?) -> OwnCredentials? {
        guard let configured = route.route.serverCredentials else { return nil }
        var authorization = configured.authorization
        if case .token = authorization { authorization = findings?.serverToken.map { .value($0.authorization) } ?? .remove }
        if requestKind != .ordinary, authorization != .pass { authorization = .remove }
        return OwnCredentials(authorization: authorization, fields: requestKind == .trace ? [] : configured.fields)
    }

    /// Writes them. The fields were taken from the client's head (`WithheldNames`).
    /// - Parameter mayUseToken: whether the client's token may go on in a field.
    func writeCredentials(
        _ own: OwnCredentials, _ bridged: BridgedRequest?, mayUseToken: Bool = true, _ writer: inout HeadWriter
    ) throws(HTTPError) {
        for field in own.fields { try writer.field(named: Array(field.name.utf8), field.value) }
        switch own.authorization {
        case .pass, .remove, .token: return
        case .value(let value): try writer.field("Authorization", value)
        case .field(let name):
            guard mayUseToken, let token = bridged?.token ?? onlyTokenInAuthorization() else { return }
            var value: [UInt8] = []
            token.withBytes { token in for index in token.indices { value.append(token[index]) } }
            try writer.field(named: Array(name.utf8), value)
        }
    }

    /// Of two Authorization fields nobody can say which one counts.
    private func onlyTokenInAuthorization() -> Token? { head.count(of: .authorization) == 1 ? tokenInAuthorization() : nil }
}

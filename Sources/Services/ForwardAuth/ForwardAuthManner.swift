// How a service is asked about a request, and what its answers mean. There are two manners: that of `forward_auth`, and that of OAuth's
// introspection (RFC 7662), by which an issuer is asked about a token.

import Configuration
import Credentials
import HTTP

/// A manner of asking.
struct ForwardAuthManner {
    /// The request for a question.
    let request: (ForwardAuthQuestion) -> ServiceRequest
    /// Whether an answer with this status has a body that counts.
    let needsBody: @Sendable (Int) -> Bool
    /// What an answer means.
    let verdict: (ResponseHead, [UInt8]) -> ForwardAuthVerdict
    /// Why streams end that depend on an answer: the words for the log.
    let evidence: (ForwardAuthLoss) -> String

    /// The service decides about the request by its fields.
    static func byStatus(_ settings: ForwardAuth) -> ForwardAuthManner {
        let reader = ForwardAuthReader(taking: settings.terms.taken)
        let graceSeconds = settings.terms.recheckGraceMilliseconds / 1_000
        return ForwardAuthManner(
            request: { ServiceRequest(.get, of: settings.service, fields: $0.fields) },
            needsBody: { ForwardAuthReader.needsBody(ofStatus: $0) }, verdict: { reader.verdict($0, body: $1) },
            evidence: { loss in
                switch loss {
                case .refused(let status): "the service \(settings.name) answered \(status) when it was asked again"
                case .silent: "the service \(settings.name) has not answered for more than \(graceSeconds) s"
                }
            })
    }

    /// The issuer says what it knows of a token.
    static func introspection(_ settings: Introspection) -> ForwardAuthManner {
        let graceSeconds = settings.asked.terms.recheckGraceMilliseconds / 1_000
        let fields = [
            (
                name: "Authorization",
                value: BasicCredentials.authorizationValue(client: settings.clientID, secret: settings.clientSecret)
            ),
            (name: "Content-Type", value: Array("application/x-www-form-urlencoded".utf8)),
            (name: "Accept", value: Array("application/json".utf8)), ServiceRequest.uncompressed,
        ]
        return ForwardAuthManner(
            request: { question in
                // Before the check, the bridge has made sure that a token has ASCII characters only.
                let token = String(decoding: question.fields.first?.value ?? [], as: UTF8.self)
                let body = Array("token=".utf8) + BasicCredentials.formEncoded(token) + Array("&token_type_hint=access_token".utf8)
                return ServiceRequest(.post, of: settings.asked.service, fields: fields, body: body)
            },
            needsBody: { $0 == 200 },
            verdict: { head, body in
                guard head.status == 200 else { return .unusable("it answered \(head.status)") }
                switch IntrospectionAnswer(body) {
                case .active: return .allowed([(name: ForwardAuthQuestion.claims, value: body)])
                case .inactive: return .denied(ForwardAuthDenial(status: 401, challenges: [], contentType: nil, body: []))
                case .unusable: return .unusable("its answer is none of RFC 7662")
                }
            },
            evidence: { loss in
                switch loss {
                case .refused: "\(settings.asked.name) said that the token is not active when it was asked again"
                case .silent: "\(settings.asked.name) has not said for more than \(graceSeconds) s whether the token is good"
                }
            })
    }
}

extension ForwardAuthQuestion {
    /// Under this name an issuer's answer about an active token is kept, as it came.
    package static let claims = "claims"

    /// The question about a token; nil when libcrypto has no memory for the digest.
    package init?(about token: Token, by settings: Introspection, _ fingerprinter: Fingerprinter) {
        let text = token.withBytes { bytes in bytes.withUnsafeBufferPointer { Array($0) } }
        self.init(settings.asked.name, [(name: "token", value: text)], fingerprinter)
    }
}

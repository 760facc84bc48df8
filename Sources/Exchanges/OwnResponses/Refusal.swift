// The proxy's own answers, and what the log says about them. No answer holds a byte that the peer sent, so nothing of a request can
// come back in an error page.

import HTTP
import Reactor
import Telemetry
import Upstreams

/// The proxy's own answer in place of the upstream's.
struct Refusal {
    /// The status for the client.
    var status: Int
    /// The cause, for the log.
    var cause: Cause
    /// The evidence, for the log and the body of the answer: the proxy's own words.
    var evidence: String
    /// The limit that was reached, by its name in the configuration.
    var limit: String?
    /// What was wrong with the request's credentials, if they are the reason.
    var credentialsFault: CredentialsFault?
    /// The system's error, by name.
    var errnoName: String?
    /// The value of `WWW-Authenticate` that RFC 6750 section 3 asks for.
    var challenge: [UInt8]?
    /// Whether the request's URL held a token, so that the answer protects it.
    var urlHeldToken = false
    /// The request's origin, if its page may read the answer from another origin.
    var allowedOrigin: AllowedOrigin?
    /// The value of `Vary`; nil if the answer does not depend on the request's fields.
    var vary: StaticString?
    /// The methods that would be answered; nil where the method is not the reason.
    var allowedMethods: StaticString?
    /// Whether only a request that comes now can be served, because a reload has changed the rules.
    var isRetired = false
    /// A cookie of the proxy's own; nil for none.
    var cookie: [UInt8]?
    /// Whether the connection is closed after the answer.
    var closes = true
    /// Whether the proxy has no room, perhaps for a moment only.
    private(set) var isOverload = false
    /// How a server failed, if that is the reason.
    private(set) var failure: ServerFailure?

    init(
        status: Int, cause: Cause, evidence: String, limit: String? = nil, errnoName: String? = nil,
        challenge: [UInt8]? = nil, closes: Bool = true
    ) {
        self.status = status
        self.cause = cause
        self.evidence = evidence
        self.limit = limit
        self.errnoName = errnoName
        self.challenge = challenge
        self.closes = closes
    }

    /// The answer to a server's failure.
    init(_ seen: SeenFailure, closes: Bool = true) {
        let failure = seen.failure
        self.init(
            status: failure.status, cause: failure.cause, evidence: seen.evidence, errnoName: seen.error?.name, closes: closes)
        self.failure = failure
    }

    /// The answer for a client that cannot wait until its server answers something else.
    static func outageAnswer(_ status: Int) -> Refusal {
        var refusal = Refusal(SeenFailure(.outageAnswer, evidence: "the server answered \(status)"))
        refusal.status = status
        return refusal
    }

    /// The answer to a request that breaks the rules of HTTP.
    init(_ error: HTTPError) {
        self.init(status: error.status, cause: .clientProtocolError, evidence: "\(error.reason)")
        switch error {
        case .headTooLarge: limit = "request_head"
        case .tooManyFields: limit = "request_fields"
        case .targetTooLong: limit = "request_target"
        default: break
        }
        if limit != nil { cause = .refusedByLimit }
    }

    /// The answer to a request that may pass no other proxy (RFC 9110 section 7.6.2).
    static var ofLastHop: Refusal {
        Refusal(status: 501, cause: .clientProtocolError, evidence: "Max-Forwards ends here, where nothing answers", closes: false)
    }

    /// The proxy has no descriptor or memory left for a connection to a server.
    static func exhausted(_ error: SystemError) -> Refusal {
        var refusal = Refusal(
            status: 503, cause: .proxyError, evidence: "no connection to a server can be opened: \(error.message)", errnoName: error.name,
            closes: false)
        refusal.isOverload = true
        return refusal
    }

    /// A limit of the proxy's own is reached, by its name in the configuration.
    static func overload(limit: String, evidence: String) -> Refusal {
        var refusal = Refusal(status: 503, cause: .refusedByLimit, evidence: evidence, limit: limit)
        refusal.isOverload = true
        return refusal
    }

    /// The whole answer. `isHead` leaves the body out; `urlHeldToken` says that the request carried a token in its URL.
    func response(isHead: Bool, urlHeldToken: Bool, strictTransportSecuritySeconds: Int?, date: [UInt8]) -> OutgoingResponse {
        let body = Array("\(status) \(reasonPhrase(for: status)): \(evidence)\n".utf8)
        var response = OutgoingResponse(status: status, capacityBytes: 384 + body.count)
        response.body = isHead ? .none(announcedLength: UInt64(body.count)) : .whole(body)
        response.allowsReuse = !closes
        response.fields.field("Content-Type", "text/plain; charset=utf-8")
        response.fields.field("Cache-Control", "no-store")
        response.fields.date(date)
        if let strictTransportSecuritySeconds { response.fields.strictTransportSecurity(strictTransportSecuritySeconds) }
        if urlHeldToken { response.fields.keepURLSecret() }
        if let challenge {
            // The challenge consists of the configuration's realm and constants; a realm that cannot stand in a field is left out.
            try? response.fields.field("WWW-Authenticate", challenge)
        }
        if let allowedMethods { response.fields.field("Allow", allowedMethods) }
        if let cookie { response.fields.setCookie(cookie) }
        if let vary { response.fields.field("Vary", vary) }
        if let allowedOrigin { response.fields.allow(allowedOrigin) }
        if status == 503 { response.fields.field("Retry-After", UInt64(1)) }
        return response
    }
}

extension Ending {
    /// The log's words for a refusal.
    init(_ refusal: Refusal) {
        self.init(
            cause: refusal.cause, evidence: refusal.evidence, errnoName: refusal.errnoName, limit: refusal.limit,
            credentialsFault: refusal.credentialsFault)
    }
}

// A service's refusal, as a client gets it that can read it: the service's status, and those of its fields that say how to log in. It makes
// bytes and sends none. Invariant: no other field of the service goes to a client.

import HTTP
import Services

/// What a refusal needs besides the service's answer.
struct ServiceRefusal {
    let isHead: Bool
    /// The value of `WWW-Authenticate` for a 401 without one, which it has to have (RFC 9110 section 15.5.2).
    let challenge: [UInt8]?
    /// Whether the request's URL held a token.
    let urlHeldToken: Bool
    let vary: StaticString?
    /// The page's origin, if the route allows it.
    let allowedOrigin: AllowedOrigin?
    let strictTransportSecuritySeconds: Int?
    let date: [UInt8]

    /// The answer to a request that was denied.
    func response(to denial: ForwardAuthDenial) -> OutgoingResponse {
        var response = begin(denial.status, body: denial.body)
        // The values come out of a parsed head, so they hold no byte that a field may not hold.
        if let type = denial.contentType { try? response.fields.field("Content-Type", type) }
        let usual = denial.status == 401 ? [challenge].compactMap(\.self) : []
        for value in denial.challenges.isEmpty ? usual : denial.challenges { try? response.fields.field("WWW-Authenticate", value) }
        return response
    }

    /// The answer to a request whose client has to log in.
    func response(to login: ForwardAuthRedirection) -> OutgoingResponse {
        var response = begin(login.status, body: [])
        try? response.fields.field("Location", login.location)
        for cookie in login.cookies { try? response.fields.field("Set-Cookie", cookie) }
        return response
    }

    private func begin(_ status: Int, body: [UInt8]) -> OutgoingResponse {
        var response = OutgoingResponse(status: status, capacityBytes: 512 + body.count)
        response.body = isHead ? .none(announcedLength: UInt64(body.count)) : .whole(body)
        response.fields.field("Cache-Control", "no-store")
        response.fields.date(date)
        if let strictTransportSecuritySeconds { response.fields.strictTransportSecurity(strictTransportSecuritySeconds) }
        if urlHeldToken { response.fields.keepURLSecret() }
        if let vary { response.fields.field("Vary", vary) }
        if let allowedOrigin { response.fields.allow(allowedOrigin) }
        return response
    }
}

// The head of the proxy's own event stream, for a held client. It makes bytes and sends none. Invariant: it holds nothing of the
// request.

import HTTP

/// The proxy's own event stream.
struct OwnStreamResponse {
    /// Whether the request's URL held a token.
    let urlHeldToken: Bool
    /// Whether the page has another origin than the request's target, and the route does not say which ones it allows: without permission
    /// to read the answer, a browser takes 200 for an error.
    let isForeign: Bool
    /// Whether the proxy adds itself to `Via`.
    let writesVia: Bool
    /// The page's origin, if the route allows it.
    let allowedOrigin: AllowedOrigin?
    let strictTransportSecuritySeconds: Int?
    let date: [UInt8]
    /// One of the proxy's own cookies, and those of a service.
    var cookies: [[UInt8]] = []

    /// A response whose body follows piece by piece.
    func response() -> OutgoingResponse {
        var response = OutgoingResponse(status: 200)
        response.body = .untilEnd
        write(to: &response.fields)
        return response
    }

    /// A response with exactly this body.
    func response(whole body: [UInt8]) -> OutgoingResponse {
        var response = OutgoingResponse(status: 200)
        response.body = .whole(body)
        write(to: &response.fields)
        return response
    }

    private func write(to writer: inout HeadWriter) {
        writer.field("Content-Type", "text/event-stream")
        writer.field("Cache-Control", "no-store, no-transform")
        writer.field("X-Accel-Buffering", "no")
        if urlHeldToken { writer.keepURLSecret() }
        writer.field("Vary", "Origin")
        // Every page may read what the proxy itself sends. Browsers do not apply this to requests with credentials, and those get no
        // such answer.
        if let allowedOrigin {
            writer.allow(allowedOrigin)
        } else if isForeign {
            writer.field("Access-Control-Allow-Origin", "*")
        }
        for cookie in cookies { writer.setCookie(cookie) }
        writer.date(date)
        if let strictTransportSecuritySeconds { writer.strictTransportSecurity(strictTransportSecuritySeconds) }
        if writesVia { writer.field("Via", "1.1 heartwire") }
    }
}

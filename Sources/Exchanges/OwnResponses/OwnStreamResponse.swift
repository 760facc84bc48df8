// The head of an event stream that the proxy answers by itself, in the place of a server that is gone. It makes bytes and
// sends none. Invariant: it holds nothing of the request.

import HTTP

/// An event stream of the proxy's own.
struct OwnStreamResponse {
    /// Whether the request's URL held a token.
    let urlHeldToken: Bool
    /// Whether the page is of another origin than the request goes to: without leave to read it a browser takes 200 for an error.
    let isForeign: Bool
    /// Whether a `Via` of the proxy's own is written.
    let writesVia: Bool
    /// The page's origin, where the route allows it.
    let allowedOrigin: [UInt8]?
    let strictTransportSecuritySeconds: Int?
    let date: [UInt8]

    /// A response whose body follows piece by piece.
    func response() -> OutgoingResponse {
        var response = OutgoingResponse(status: 200)
        response.body = .untilEnd
        write(to: &response.fields)
        return response
    }

    /// A response with this body and no more.
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
        // Everybody may read what the proxy itself says. To requests with credentials browsers do not apply this, and they get none.
        if let allowedOrigin {
            writer.allow(origin: allowedOrigin)
        } else if isForeign {
            writer.field("Access-Control-Allow-Origin", "*")
        }
        writer.date(date)
        if let strictTransportSecuritySeconds { writer.strictTransportSecurity(strictTransportSecuritySeconds) }
        if writesVia { writer.field("Via", "1.1 heartwire") }
    }
}

// What the console answers, as a value. Invariant: every answer forbids what a page of ours needs not: other origins' scripts, frames,
// sniffing, caches. No answer holds a byte of the request.

import HTTP

/// An answer of the console.
struct ConsoleAnswer {
    let status: Int
    let contentType: StaticString
    var body: [UInt8]
    /// The methods that the path takes (RFC 9110 section 15.5.6).
    private var allow: StaticString?
    /// Whether a token is asked for.
    private var challenges = false
    /// When to ask again, in seconds.
    private var retryAfterSeconds: UInt64?

    init(status: Int = 200, _ contentType: StaticString, _ body: [UInt8]) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    /// One sentence or word.
    init(status: Int = 200, _ words: String) { self.init(status: status, "text/plain; charset=utf-8", Array((words + "\n").utf8)) }

    init(_ refusal: GateRefusal) {
        self.init(status: refusal.status, refusal.sentence)
        switch refusal {
        case .noToken: challenges = true
        case .wrongMethod(let allowed): allow = allowed == "POST" ? "POST" : "GET, HEAD"
        default: break
        }
    }

    /// There is no room for one more.
    static var full: ConsoleAnswer {
        var answer = ConsoleAnswer(status: 503, "The console has as many connections or viewers as it takes.")
        answer.retryAfterSeconds = 5
        return answer
    }

    /// An event stream, whose body follows piece by piece.
    static func eventStream(date: [UInt8]) -> OutgoingResponse {
        var response = OutgoingResponse(status: 200, capacityBytes: 768)
        response.body = .untilEnd
        response.fields.field("Content-Type", "text/event-stream")
        // A proxy in front must not keep the events.
        response.fields.field("X-Accel-Buffering", "no")
        writeProtection(to: &response.fields)
        response.fields.moment(date)
        return response
    }

    /// The whole response.
    func response(isHead: Bool, date: [UInt8]) -> OutgoingResponse {
        var response = OutgoingResponse(status: status, capacityBytes: 768 + body.count)
        response.body = isHead ? .none(announcedLength: UInt64(body.count)) : .whole(body)
        response.fields.field("Content-Type", contentType)
        ConsoleAnswer.writeProtection(to: &response.fields)
        if let allow { response.fields.field("Allow", allow) }
        if challenges { response.fields.field("WWW-Authenticate", #"Basic realm="Heartwire console", charset="UTF-8""#) }
        if let retryAfterSeconds { response.fields.field("Retry-After", retryAfterSeconds) }
        response.fields.moment(date)
        return response
    }

    private static func writeProtection(to fields: inout HeadWriter) {
        fields.field("Cache-Control", "no-store")
        fields.field(
            "Content-Security-Policy",
            """
            default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
            frame-ancestors 'none'; base-uri 'none'
            """)
        fields.field("X-Content-Type-Options", "nosniff")
        fields.field("Referrer-Policy", "no-referrer")
        // Other sites' pages get no hold of a window or a resource of ours.
        fields.field("Cross-Origin-Opener-Policy", "same-origin")
        fields.field("Cross-Origin-Resource-Policy", "same-origin")
    }
}

extension HeadWriter {
    /// The `Date` of the answer (RFC 9110 section 6.6.1).
    fileprivate mutating func moment(_ text: [UInt8]) {
        // A field may hold letters and digits, so this cannot throw.
        try? field("Date", text)
    }
}

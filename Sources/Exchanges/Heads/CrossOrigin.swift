// Which pages of other origins may read a response (Fetch section 3.2, "CORS protocol"), and the answer to a browser that asks before it
// sends a page's request. A route with a list decides about pages; the server still says what else its own responses allow. It makes
// bytes and sends none. Invariant: a page whose origin is not on the list gets no field that allows anything, and `*` is never written
// where cookies may be sent.

import Bytes
import Configuration
import Downstreams
import HTTP

/// The origin of a request's page, when the route allows it.
struct AllowedOrigin {
    /// As the browser sent it.
    let bytes: [UInt8]
    /// Whether its pages may send cookies.
    let mayUseCredentials: Bool
}

/// Who decides which pages of other origins may read a server's response.
enum Readers {
    /// The server, with fields of its own.
    case chosenByServer
    /// The route: pages of this origin, or no page.
    case chosenByRoute(AllowedOrigin?)
}

/// What a browser is told that asks what a page may do.
struct PreflightAnswer {
    /// Nil if the page may do nothing.
    let allowedOrigin: AllowedOrigin?

    /// The methods that the proxy allows by itself, in the order of `Access-Control-Allow-Methods`.
    static let methods: [StaticString] = ["GET", "HEAD", "POST"]
    /// The fields that it allows by itself. `cache-control` is sent by many readers of streams that use XMLHttpRequest.
    static let fields: [StaticString] = ["authorization", "cache-control", "content-type", "last-event-id"]

    /// An answer without a body. Browsers keep it for ten minutes.
    func response(strictTransportSecuritySeconds: Int?, date: [UInt8]) -> OutgoingResponse {
        var response = OutgoingResponse(status: 204)
        response.body = .none(announcedLength: nil)
        if let allowedOrigin {
            response.fields.allowReading(allowedOrigin)
            response.fields.field("Access-Control-Allow-Methods", "GET, HEAD, POST")
            response.fields.field("Access-Control-Allow-Headers", "authorization, cache-control, content-type, last-event-id")
            response.fields.field("Access-Control-Max-Age", "600")
        }
        response.fields.field("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
        response.fields.date(date)
        if let strictTransportSecuritySeconds { response.fields.strictTransportSecurity(strictTransportSecuritySeconds) }
        return response
    }
}

extension RequestForwarding {
    /// The proxy's own answer to a preflight; nil if the server has to answer it. That is so where the route has no list, or where the page
    /// wants more than the proxy allows by itself and the server may allow it.
    var preflightAnswer: PreflightAnswer? {
        guard route.namesReaders else { return nil }
        guard let allowed = route.allowedOrigin(of: head) else { return PreflightAnswer(allowedOrigin: nil) }
        return asksForLittle ? PreflightAnswer(allowedOrigin: allowed) : nil
    }

    private var asksForLittle: Bool {
        let bytes = head.bytes.span
        let methods = head.values(named: "access-control-request-method")
        // Methods have a case of their own (RFC 9110 section 9.1).
        let isKnown = methods.allSatisfy { method in
            PreflightAnswer.methods.contains { name in name.withUTF8Buffer { head.bytes[method].elementsEqual($0) } }
        }
        guard isKnown else { return false }
        for value in head.values(named: "access-control-request-headers") {
            var elements = ListElements(value)
            while let element = elements.next(in: bytes) {
                guard PreflightAnswer.fields.contains(where: { equalsIgnoringCase(bytes, element, $0) }) else { return false }
            }
        }
        return true
    }
}

extension CompiledRoute {
    /// Whether the route says which pages may read, so that the server's word does not count.
    var namesReaders: Bool { !route.allowedOrigins.isEmpty }

    /// Who decides about readers of a server's response to a request of this origin.
    func readers(_ origin: AllowedOrigin?) -> Readers { namesReaders ? .chosenByRoute(origin) : .chosenByServer }
}

extension ResponseForwarding {
    /// Writes the route's fields in place of the server's. `Vary` stands in every response, or a cache would give one page's fields to
    /// another page.
    func writeReaders(_ origin: AllowedOrigin?, _ writer: inout HeadWriter) {
        let varies = head.listHas(.vary, "origin") || head.listHas(.vary, "*")
        writer.list("Vary", .vary, of: head, and: (varies ? nil : "Origin", nil, nil))
        if let origin { writer.allow(origin) }
    }
}

extension HeadWriter {
    /// Lets pages of an allowed origin read the response, also if they sent cookies. Without these fields a page learns of a 401 only that
    /// something failed.
    mutating func allow(_ origin: AllowedOrigin) {
        allowReading(origin)
        field("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After")
    }

    fileprivate mutating func allowReading(_ origin: AllowedOrigin) {
        // The origin matched a pattern, so it holds no byte that a field may not hold.
        try? field("Access-Control-Allow-Origin", origin.bytes)
        if origin.mayUseCredentials { field("Access-Control-Allow-Credentials", "true") }
    }
}

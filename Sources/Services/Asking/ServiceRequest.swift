// A question to a service and what comes of it, as values.

import Configuration
import HTTP

/// A request of the proxy's own.
package struct ServiceRequest: Sendable {
    /// The methods that services are asked with.
    package enum Method: Sendable {
        /// GET.
        case get
        /// POST.
        case post
    }

    /// How the service is asked.
    package var method: Method
    /// The path and the query.
    package var target: [UInt8]
    /// The value of the Host field.
    package var authority: String
    /// Further fields. Content-Length is added.
    package var fields: [(name: String, value: [UInt8])]
    /// The body; sent with POST only.
    package var body: [UInt8]

    /// The field that asks for an answer as it is: Heartwire reads no compressed one.
    package static let uncompressed = (name: "Accept-Encoding", value: Array("identity".utf8))

    /// A request to a service, at the service's own URL.
    package init(_ method: Method, of service: ServiceEndpoint, fields: [(name: String, value: [UInt8])] = [], body: [UInt8] = []) {
        self.method = method
        target = Array(service.url.target.utf8)
        authority = service.url.authority
        self.fields = fields
        self.body = body
    }

    /// The head and the body, as they are sent.
    /// - Throws: `unsafeOutgoingBytes` for a target or a field that a request cannot hold.
    func bytes() throws(HTTPError) -> [UInt8] {
        var writer = HeadWriter(reservingCapacity: 512)
        switch method {
        case .get: try writer.requestLine("GET", target: target)
        case .post: try writer.requestLine("POST", target: target)
        }
        try writer.field("Host", text: authority)
        for field in fields { try writer.field(named: Array(field.name.utf8), field.value) }
        if method == .post { writer.field("Content-Length", body.count) }
        writer.end()
        return writer.take() + (method == .post ? body : [])
    }
}

/// What came of a question to a service.
package enum ServiceAnswer {
    /// The service answered; `body` is empty where it was larger than allowed and is not needed.
    case answered(ResponseHead, body: [UInt8])
    /// It did not. The words hold no byte of the service.
    case failed(ServiceFailure, evidence: String)
}

/// Why a service gave no answer that can be used.
package enum ServiceFailure: Sendable {
    /// It could not be reached, or broke the connection.
    case unreachable
    /// It did not answer in time.
    case late
    /// What it sent is not HTTP, or larger than allowed.
    case unusable
}

/// How much of an answer is read.
package struct ServiceLimits: Sendable {
    /// How long the whole answer may take, in milliseconds.
    package var timeoutMilliseconds: Int
    /// The largest body, in bytes.
    package var bodyBytes: Int
    /// Whether a larger body is a failure. If not, such a body is dropped, and its head is the answer.
    package var needsWholeBody: Bool
    /// Whether an answer with this status counts with its body. Of any other answer the head is told at once, and the body is dropped.
    package var needsBody: @Sendable (_ status: Int) -> Bool = { _ in true }

    /// Limits.
    package init(timeoutMilliseconds: Int, bodyBytes: Int, needsWholeBody: Bool) {
        self.timeoutMilliseconds = timeoutMilliseconds
        self.bodyBytes = bodyBytes
        self.needsWholeBody = needsWholeBody
    }
}

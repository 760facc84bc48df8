// A request of HTTP/2 written as the head of HTTP/1.1 that means the same, and read by HTTP/1.1's parser: one set of rules serves both
// protocols.
//
// Invariant: the text is exactly one head. No byte of the client can end a line, add a field, frame a body or name another host.

import Bytes
import HTTP

/// What a request's connection is and allows.
package struct RequestTerms: Sendable {
    /// Whether the connection is TLS, so that `:scheme` has to be `https`, else `http`.
    package var isSecured: Bool
    /// Whether both schemes are accepted: from a trusted proxy, which has ended TLS and sends the scheme of its own client.
    package var acceptsEitherScheme: Bool
    /// Whether our SETTINGS announced ENABLE_CONNECT_PROTOCOL (RFC 8441).
    package var allowsExtendedConnect: Bool
    /// The bounds of the HTTP/1.1 head.
    package var limits: HeadLimits
    /// The 24 characters of `sec-websocket-key` for a tunnel, which HTTP/2 does not have. They are needed if extended CONNECT is allowed.
    package var webSocketKey: [UInt8]

    /// Terms of a connection.
    package init(
        isSecured: Bool, acceptsEitherScheme: Bool = false, allowsExtendedConnect: Bool = false, limits: HeadLimits = HeadLimits(),
        webSocketKey: [UInt8] = []
    ) {
        self.isSecured = isSecured
        self.acceptsEitherScheme = acceptsEitherScheme
        self.allowsExtendedConnect = allowsExtendedConnect
        self.limits = limits
        self.webSocketKey = webSocketKey
    }
}

/// A request, as HTTP/1.1's rules understand it.
package struct AssembledRequest: Sendable {
    /// The request. A body without Content-Length is `.chunked` here, as it has to be for an HTTP/1.1 server.
    package let head: RequestHead
    /// How many bytes the body has to have, if the client says so: the sum of all DATA without padding (RFC 9113 section 8.1.1).
    package let contentLength: UInt64?
    /// Whether it is an extended CONNECT, which is a WebSocket's upgrade here (RFC 8441).
    package let isTunnel: Bool
}

/// The request of a field block. `isLast` says that no body follows.
/// - Throws: why the request is not served.
package func assembleRequest(
    _ fields: borrowing DecodedFields, isLast: Bool, terms: RequestTerms
) throws(RequestProblem) -> AssembledRequest {
    let request = try RequestFields(fields)
    // What is known may be incomplete then, so nothing is said about what is missing.
    guard !fields.isTooLarge else { throw .refused(.headTooLarge) }
    let bytes = fields.bytes.span
    guard let method = request.method else { throw .malformed(.missingPseudoField) }
    guard !equals(bytes, method, "PRI") else { throw .malformed(.reservedMethod) }
    let isConnect = equals(bytes, method, "CONNECT")
    let isTunnel = request.tunnelProtocol != nil
    if isTunnel, !isConnect || !terms.allowsExtendedConnect { throw .malformed(.misplacedProtocol) }
    if isConnect, !isTunnel {
        guard request.scheme == nil, request.path == nil else { throw .malformed(.misplacedTarget) }
        guard request.authority != nil else { throw .malformed(.missingPseudoField) }
        throw .refused(.connectNotSupported)
    }
    guard let scheme = request.scheme, let path = request.path, request.authority != nil || !isTunnel else {
        throw .malformed(.missingPseudoField)
    }
    if isTunnel, request.contentLength != nil { throw .malformed(.invalidContentLength) }
    if isLast, let length = request.contentLength, length > 0 { throw .malformed(.otherBodyLength) }
    let isSecured = equalsIgnoringCase(bytes, scheme, "https")
    guard request.hostFits(bytes, isSecured: isSecured) else { throw .malformed(.otherHost) }

    guard isSecured || equalsIgnoringCase(bytes, scheme, "http"), isSecured == terms.isSecured || terms.acceptsEitherScheme else {
        throw .refused(.otherScheme)
    }
    guard !request.hasSeveralHosts else { throw .refused(.doubledHost) }
    if let tunnelProtocol = request.tunnelProtocol, !equalsIgnoringCase(bytes, tunnelProtocol, "websocket") {
        throw .refused(.connectNotSupported)
    }
    var text = HeadText(fields)
    try text.requestLine(bytes, method: method, path: path, isTunnel: isTunnel)
    if let host = request.authority ?? request.host { text.line("host", bytes, host) }
    if isTunnel { text.upgrade(key: terms.webSocketKey) }
    text.regularFields(fields, isTunnel: isTunnel)
    if !isLast, !isTunnel, request.contentLength == nil { text.append("transfer-encoding: chunked\r\n") }
    text.append("\r\n")
    do throws(HTTPError) {
        let head = try text.parse(limits: terms.limits)
        return AssembledRequest(head: head, contentLength: request.contentLength, isTunnel: isTunnel)
    } catch {
        throw .refused(error)
    }
}

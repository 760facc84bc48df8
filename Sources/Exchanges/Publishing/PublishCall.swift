// A request that publishes an event: what is read of it, and what is wrong with it. It makes values and sends none.

import Credentials
import EventStream
import HTTP
import Telemetry

/// A request on a listener for those who publish, while its body comes and while workers append its event.
final class PublishCall {
    /// What logs call the endpoint.
    static let routeName = "publish"
    /// The longest body, in bytes.
    static let mostBodyBytes = 65_536
    private static let path = Array("/publish".utf8)
    private static let mostTypeBytes = 256
    private static let mostKeyBytes = 255

    let head: RequestHead
    var body: [UInt8] = []

    init(_ head: RequestHead) { self.head = head }

    /// Checks everything but the parameters and the body.
    func check(under keys: [[UInt8]]) throws(PublishRefusal) {
        try prove(one: keys)
        let target = head.bytes.span.extracting(head.target)
        guard head.bytes[head.target].prefix(while: { $0 != UInt8(ascii: "?") }).elementsEqual(Self.path) else { throw .path }
        guard head.method == .post else { throw .method }
        if head.hasUnknownExpectation { throw .expectation }
        if case .length(let count) = head.framing, count > UInt64(Self.mostBodyBytes) { throw .tooLarge }
        guard target.count <= 8_192 else { throw .malformed("the parameters are too long") }
    }

    private func prove(one keys: [[UInt8]]) throws(PublishRefusal) {
        let values = head.fields.filter { $0.known == .authorization && !$0.value.isEmpty }.map(\.value)
        guard values.count <= 1 else { throw .credentials(.severalAuthorizationFields) }
        guard let value = values.first else { throw .credentials(.missing) }
        let token: Token
        switch Token.bearer(in: head.bytes.span.extracting(value), maximumBytes: 256, characters: .visible) {
        case .success(let found): token = found
        case .failure(let error): throw .credentials(CredentialsFault(error))
        }
        // All keys are compared, so that the time does not tell which of them is nearly right.
        let matches = token.withBytes { bytes in keys.map { isEqualInConstantTime($0.span, bytes) } }
        guard matches.contains(true) else { throw .credentials(.unusableAuthorization) }
    }

    /// The request's `Idempotency-Key`; nil without one.
    func idempotencyKey() throws(PublishRefusal) -> [UInt8]? {
        let values = head.values(named: "idempotency-key")
        guard let value = values.first else { return nil }
        guard values.count == 1, (1...Self.mostKeyBytes).contains(value.count) else {
            throw .malformed("an Idempotency-Key has 1 to 255 bytes, and there is one")
        }
        return Array(head.bytes[value])
    }

    /// What is published, and where. The body is complete.
    func publication() throws(PublishRefusal) -> Publication {
        var (route, path, token, type): ([UInt8]?, [UInt8]?, [UInt8]?, [UInt8]?)
        func take(_ value: [UInt8], _ place: inout [UInt8]?) throws(PublishRefusal) {
            guard place == nil else { throw .malformed("a parameter stands twice") }
            place = value
        }
        for (name, value) in formParameters(of: head.bytes.span.extracting(head.target)) {
            switch String(decoding: name, as: UTF8.self) {
            case "route": try take(value, &route)
            case "path": try take(value, &path)
            case "token": try take(value, &token)
            case "type": try take(value, &type)
            default: throw .malformed("unknown parameter; known are 'route', 'path', 'token' and 'type'")
            }
        }
        guard let route else { throw .malformed("the parameter 'route' is missing") }
        if let path, path.first != UInt8(ascii: "/") { throw .malformed("'path' is no path as it stands in a URL") }
        guard String(validating: body, as: UTF8.self) != nil else { throw .malformed("the body is not UTF-8") }
        let event = OwnEvent(type: try Self.type(type ?? []), data: body)
        return Publication(
            event: event, route: String(decoding: route, as: UTF8.self), path: path?.hashValue, token: try token.map(Self.fingerprint))
    }

    private static func type(_ text: [UInt8]) throws(PublishRefusal) -> [UInt8] {
        let isOneLine = !text.contains { $0 == 0 || $0 == 0x0A || $0 == 0x0D }
        guard text.count <= mostTypeBytes, isOneLine, String(validating: text, as: UTF8.self) != nil else {
            throw .malformed("'type' has at most 256 bytes of UTF-8, without CR, LF and NUL")
        }
        return text
    }

    /// A fingerprint as logs show it.
    private static func fingerprint(_ text: [UInt8]) throws(PublishRefusal) -> UInt64 {
        guard text.count == 16, text.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }),
            let value = UInt64(String(decoding: text, as: UTF8.self), radix: 16)
        else { throw .malformed("'token' is no fingerprint; the logs show 16 digits of 0-9 and a-f") }
        return value
    }
}

/// Why nothing is published.
enum PublishRefusal: Error {
    /// No key, or a wrong one.
    case credentials(CredentialsFault)
    case path
    case method
    case expectation
    case tooLarge
    case malformed(StaticString)
    case noRoute
    /// The route keeps no streams.
    case noHistory
    /// The same request is being answered.
    case begun

    /// The answer.
    var refusal: Refusal {
        func answer(_ status: Int, _ cause: Cause, _ evidence: String) -> Refusal {
            Refusal(status: status, cause: cause, evidence: evidence, closes: false)
        }
        switch self {
        case .credentials(let fault):
            var refusal = answer(401, .credentialsRefused, "publishing needs one of the listener's keys: Authorization: Bearer KEY")
            refusal.credentialsFault = fault
            refusal.challenge = Array("Bearer realm=\"publish\"".utf8)
            return refusal
        case .path: return answer(404, .noRoute, "only /publish is served here")
        case .method:
            var refusal = answer(405, .clientProtocolError, "events are published with POST")
            refusal.allowedMethods = "POST"
            return refusal
        case .expectation: return answer(417, .clientProtocolError, "an expectation other than 100-continue")
        case .tooLarge:
            return Refusal(
                status: 413, cause: .clientProtocolError, evidence: "the body is larger than \(PublishCall.mostBodyBytes) bytes")
        case .malformed(let what): return answer(400, .clientProtocolError, "\(what)")
        case .noRoute: return answer(404, .noRoute, "no route has the name that 'route' says")
        case .noHistory: return answer(404, .noRoute, "this route has no 'history', so its streams take no events")
        case .begun: return answer(409, .clientProtocolError, "a request with this Idempotency-Key is being answered")
        }
    }
}

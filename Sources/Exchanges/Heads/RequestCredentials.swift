// The route's bridge applied to a request's credentials, and what else decides whether they are used: the method, and the page that
// sent the request. It makes no bytes.

import Configuration
import Credentials
import HTTP
import Telemetry

extension RequestForwarding {
    /// What the route's bridge says about the request.
    func examineCredentials(by bridge: TokenBridge) -> BridgeResult {
        var cookies: [Range<Int>] = []
        var authorization: Range<Int>?
        var authorizationIsRepeated = false
        if head.contains(.cookie) || head.contains(.authorization) {
            for field in head.fields {
                if field.known == .cookie { cookies.append(field.value) }
                guard field.known == .authorization else { continue }
                if authorization == nil { authorization = field.value } else { authorizationIsRepeated = true }
            }
        }
        return bridge.examine(
            head.bytes.span, target: head.target, cookies: cookies, authorization: authorization,
            authorizationIsRepeated: authorizationIsRepeated, kind: requestKind)
    }

    /// Whether a page of another origin could misuse a token of this origin, because the token came in a cookie.
    func isForged(tokenFrom origin: TokenOrigin?) -> Bool { origin == .cookie && !isReadOnly && isForeign }

    /// Whether the request changes nothing, and opens no connection with which its sender could change something.
    private var isReadOnly: Bool { (head.method == .get || head.method == .head) && head.upgradeProtocol == nil }

    /// The values of all fields of a name.
    func values(of name: FieldName) -> [Range<Int>] {
        guard head.contains(name) else { return [] }
        return head.fields.filter { $0.known == name }.map(\.value)
    }

    /// Whether a browser asks what a page of another origin may do.
    var isPreflight: Bool { requestKind == .preflight }

    /// Fetch section 4.8: a preflight is OPTIONS with an `Origin` and the method that the page wants to use, and nothing to do. Any other
    /// OPTIONS is a request like all others.
    var requestKind: RequestKind {
        switch head.method {
        case .trace: .trace
        case .options where asksForMethod: .preflight
        default: .ordinary
        }
    }

    /// Whether the client is an EventSource, which can neither read a status nor show a page. One that sends `Authorization` can.
    var isEventSource: Bool {
        head.method == .get && head.acceptsEventStream && head.upgradeProtocol == nil && !head.contains(.authorization)
    }
}

extension Refusal {
    /// Of a request with a cookie that comes from a page of another origin.
    static var ofForgedRequest: Refusal {
        var answer = Refusal(
            status: 403, cause: .credentialsRefused,
            evidence: "the token came in a cookie, and the request from a page of another origin", closes: false)
        answer.credentialsFault = .foreignPage
        return answer
    }

    /// Of credentials that the bridge cannot use.
    init(_ refusal: BridgeRefusal) {
        self.init(
            status: refusal.status, cause: .credentialsRefused, evidence: "\(refusal.error.reason)",
            challenge: refusal.wwwAuthenticate, closes: false)
        urlHeldToken = refusal.urlHeldToken
        credentialsFault = CredentialsFault(refusal.error)
    }
}

extension ClientRequest {
    /// Whether a browser asks what a page may do, if the method is OPTIONS. Hops in front may add `Content-Length: 0`.
    var asksForMethod: Bool {
        let hasBody = head.framing != .none && head.framing != .length(0)
        guard head.contains(.origin), head.upgradeProtocol == nil, !hasBody else { return false }
        let methods = head.values(named: "access-control-request-method")
        return methods.count == 1 && !methods[0].isEmpty
    }
}

extension CompiledRoute {
    /// The value of `Vary` in refusals: the request's fields on which the answer depends. Nil for none.
    var refusalVary: StaticString? {
        guard let bridge, !bridge.onlyRemovesTickets else { return route.allowedOrigins.isEmpty ? nil : "Origin" }
        if bridge.usesCookies { return "Origin, Sec-Fetch-Site, Authorization, Cookie" }
        return route.allowedOrigins.isEmpty ? "Authorization" : "Origin, Authorization"
    }

    /// What the log must know of the token of a refused request: its path may hold the token too.
    func knownToken(ofRefused head: RequestHead) -> KnownToken? {
        let bytes = head.bytes.span
        let cookies = head.fields.filter { $0.known == .cookie }.map(\.value)
        var echo = bridge?.echo(in: bytes, target: head.target, cookies: cookies)
        if echo == nil, let value = head.firstValue(of: .authorization) {
            echo = Token.inAuthorization(bytes.extracting(value)).map(TokenEcho.init(of:))
        }
        return echo.map { KnownToken(fingerprint: nil, origin: nil, echo: $0) }
    }

    /// Whether a URL holds a token of this route, well-formed or not.
    func holdsToken(url: Span<UInt8>) -> Bool { bridge?.redact(url: url) != nil }
}

extension CredentialsFault {
    init(_ error: BridgeError) {
        switch error {
        case .missing: self = .missing
        case .unusableAuthorization: self = .unusableAuthorization
        case .otherScheme: self = .otherScheme
        case .tokenTooLong: self = .tokenTooLong
        case .malformedEncoding: self = .malformedEncoding
        case .forbiddenCharacter: self = .forbiddenCharacter
        case .repeatedToken: self = .repeatedToken
        case .severalSources: self = .severalSources
        case .conflictsWithAuthorization: self = .conflictsWithAuthorization
        case .severalAuthorizationFields: self = .severalAuthorizationFields
        }
    }
}

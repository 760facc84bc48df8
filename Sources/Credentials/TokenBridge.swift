// The token bridge: finds the bearer token that a browser put into the URL or a cookie, checks it, and says how the
// request goes on without it (RFC 6750). It reads bytes and returns bytes; fields are written by the proxy.
// How a query and a Cookie value are cut up is in Query.swift and CookieField.swift.
// Invariant: whatever the outcome, the token's bytes are in `Token` and in nothing else that is returned.

/// Applies one route's `BearerPolicy` to requests.
public struct TokenBridge: Sendable {
    /// The policy that is applied.
    public let policy: BearerPolicy
    let queryNames: [[UInt8]]
    let cookieNames: [[UInt8]]

    /// A bridge for one policy.
    public init(policy: BearerPolicy) {
        self.policy = policy
        var queryNames: [[UInt8]] = []
        var cookieNames: [[UInt8]] = []
        for source in policy.sources {
            switch source {
            case .query(let name): queryNames.append(Array(name.utf8))
            case .cookie(let name): cookieNames.append(Array(name.utf8))
            }
        }
        self.queryNames = queryNames
        self.cookieNames = cookieNames
    }

    /// Says what becomes of a request.
    /// - Parameters:
    ///   - head: the bytes that the ranges point into.
    ///   - target: the request target, in origin-form or absolute-form.
    ///   - cookies: the values of the Cookie fields, in order. Several count as one (RFC 9113 section 8.2.3).
    ///   - authorizationCount: how many `Authorization` fields there are, of any scheme.
    public func examine(
        _ head: Span<UInt8>, target: Range<Int>, cookies: [Range<Int>], authorizationCount: Int
    ) -> BridgeResult {
        var finding = Finding()
        let targetHits = scanQuery(of: head, target: target, into: &finding)
        let cookieHits = scanCookies(of: head, cookies, into: &finding)
        let isAuthorized = authorizationCount > 0

        guard let place = finding.first else {
            if authorizationCount > 1 { return refuse(.severalAuthorizationFields) }
            if !isAuthorized && policy.whenMissing == .refuse { return refuse(.missing) }
            return .untouched
        }
        var request = BridgedRequest(token: nil, origin: nil, target: nil, cookies: nil, dropAuthorization: false)
        if targetHits { request.target = targetWithoutTokens(head, target) }
        if cookieHits { request.cookies = cookiesWithoutTokens(head, cookies) }

        if isAuthorized {
            switch policy.onConflict {
            case .refuse:
                return refuse(.conflictsWithAuthorization)
            case .preferAuthorization:
                return authorizationCount > 1 ? refuse(.severalAuthorizationFields) : .forward(request)
            case .preferBridged:
                request.dropAuthorization = true
            }
        }
        if let error = finding.error { return refuse(error) }
        switch Token.decode(head, place.value, maximumBytes: policy.maximumTokenBytes) {
        case .success(let token):
            request.token = token
            request.origin = place.isCookie ? .cookie : .query
            return .forward(request)
        case .failure(let error):
            return refuse(error)
        }
    }

    /// The URL without the policy's query parameters, for values such as `Referer`; nil when it has none of them.
    /// Parameters are also found behind a `#`, and behind a `?` within either.
    public func redact(url: Span<UInt8>) -> [UInt8]? {
        redactParameters(url, names: queryNames)
    }

    /// The part of a request target that may be logged: its path, without scheme, authority, query and fragment.
    /// It depends on no policy. The range points into `target`.
    public static func loggablePath(of target: Span<UInt8>) -> Range<Int> {
        var end = 0
        while end < target.count, target[end] != UInt8(ascii: "?"), target[end] != UInt8(ascii: "#") { end += 1 }
        var start = 0
        if end > 0, target[0] != UInt8(ascii: "/") {
            // absolute-form: the authority may hold user information, and is logged as the host anyway.
            var index = 0
            while index + 2 < end, !isSchemeEnd(target, at: index) { index += 1 }
            if index + 2 < end {
                start = index + 3
                while start < end, target[start] != UInt8(ascii: "/") { start += 1 }
            }
        }
        return start..<end
    }

    private static func isSchemeEnd(_ target: Span<UInt8>, at index: Int) -> Bool {
        target[index] == UInt8(ascii: ":") && target[index + 1] == UInt8(ascii: "/")
            && target[index + 2] == UInt8(ascii: "/")
    }

    /// Where tokens were found so far, and what is wrong about their number.
    struct Finding {
        struct Place {
            var sourceName: [UInt8]
            var isCookie: Bool
            var value: Range<Int>
        }
        var first: Place?
        var error: BridgeError?

        mutating func add(_ name: [UInt8], isCookie: Bool, value: Range<Int>) {
            guard let first else {
                self.first = Place(sourceName: name, isCookie: isCookie, value: value)
                return
            }
            let isSameSource = first.isCookie == isCookie && first.sourceName == name
            if !isSameSource {
                error = .severalSources
            } else if error == nil {
                error = .repeatedToken
            }
        }
    }

    private func refuse(_ error: BridgeError) -> BridgeResult {
        .refused(BridgeRefusal(error: error, wwwAuthenticate: challenge(for: error)))
    }

    /// RFC 6750 section 3: a request without credentials is told no error code, only the scheme.
    private func challenge(for error: BridgeError) -> [UInt8] {
        var value = Array("Bearer realm=\"".utf8)
        for byte in policy.realm.utf8 where byte >= 0x20 && byte != 0x7F {
            // quoted-string, RFC 9110 section 5.6.4.
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { value.append(UInt8(ascii: "\\")) }
            value.append(byte)
        }
        value.append(UInt8(ascii: "\""))
        if error != .missing {
            value.append(contentsOf: ", error=\"invalid_request\", error_description=\"".utf8)
            error.reason.withUTF8Buffer { value.append(contentsOf: $0) }
            value.append(UInt8(ascii: "\""))
        }
        return value
    }
}

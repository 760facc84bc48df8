// The token bridge: finds the bearer token that a browser put into the URL or a cookie, checks it, and says how the request goes on
// without it (RFC 6750). The proxy writes the fields. Query.swift and CookieField.swift split a query and a Cookie value. Invariant:
// `Token`, `TokenEcho` and `TakenParameter` hold the token's bytes, and nothing else that is returned does.

/// Applies one route's `BearerPolicy` to requests.
package struct TokenBridge: Sendable {
    /// The policy that is applied.
    package let policy: BearerPolicy
    /// Whether nothing is searched for: tickets are removed, and the request passes as it is.
    package let onlyRemovesTickets: Bool
    /// The parameters that are taken out, those with what the policy uses first.
    let queryNames: [[UInt8]]
    let usedQueryCount: Int
    /// For each parameter that is used: the number of the block whose tickets it holds; nil for tokens.
    let queryTickets: [Int?]
    let cookieNames: [[UInt8]]
    let usedCookieCount: Int
    let cookieTickets: [Int?]

    /// A bridge for one policy.
    /// - Parameters:
    ///   - policy: nil for requests that pass as they are, without the tickets in them.
    ///   - tickets: where the tickets of all blocks stand. They are for no server, on no route.
    package init(policy: BearerPolicy?, tickets: [TicketPlaces] = []) {
        self.policy = policy ?? BearerPolicy(sources: [])
        onlyRemovesTickets = policy == nil
        var queries: [(name: String, ticket: Int?)] = []
        var cookies: [(name: String, ticket: Int?)] = []
        for source in self.policy.sources {
            switch source {
            case .query(let name): queries.append((name, nil))
            case .cookie(let name): cookies.append((name, nil))
            case .ticket(let name):
                guard let number = tickets.firstIndex(where: { $0.name == name }) else { continue }
                if let query = tickets[number].query { queries.append((query, number)) }
                if let cookie = tickets[number].cookie { cookies.append((cookie, number)) }
            }
        }
        (usedQueryCount, usedCookieCount) = (queries.count, cookies.count)
        (queryTickets, cookieTickets) = (queries.map(\.ticket), cookies.map(\.ticket))
        let unused = tickets.filter { !(policy?.sources.contains(.ticket(name: $0.name)) ?? false) }
        queryNames = (queries.map(\.name) + unused.compactMap(\.query)).map { Array($0.utf8) }
        cookieNames = (cookies.map(\.name) + unused.compactMap(\.cookie)).map { Array($0.utf8) }
    }

    /// Whether a ticket may stand for a token.
    package var usesTickets: Bool { (queryTickets + cookieTickets).contains { $0 != nil } }

    /// Whether the answer to a request depends on its cookies.
    package var usesCookies: Bool { usedCookieCount > 0 }

    /// Whether any query parameter is taken out.
    package var knowsParameters: Bool { !queryNames.isEmpty }

    /// Decides what happens to a request.
    /// - Parameters:
    ///   - head: the bytes that the ranges point into.
    ///   - target: the request target, in origin-form or absolute-form.
    ///   - cookies: the values of the Cookie fields, in order. Several count as one (RFC 9113 section 8.2.3).
    ///   - authorization: the value of the first `Authorization` field, of any scheme; nil for none.
    ///   - authorizationIsRepeated: whether there are more of them.
    ///   - kind: what the request is for.
    package func examine(
        _ head: Span<UInt8>, target: Range<Int>, cookies: [Range<Int>], authorization: Range<Int>?,
        authorizationIsRepeated: Bool = false, kind: RequestKind = .ordinary
    ) -> BridgeResult {
        var finding = Finding()
        let targetHits = scanQuery(of: head, target: target, into: &finding)
        let cookieHits = scanCookies(of: head, cookies, into: &finding)
        finding.close()
        let field = OwnField(head, authorization, isRepeated: authorizationIsRepeated)
        func refuse(_ error: BridgeError) -> BridgeResult {
            .refused(
                BridgeRefusal(error: error, wwwAuthenticate: challenge(for: error), urlHeldToken: finding.urlHasToken))
        }

        var request = BridgedRequest(
            token: nil, origin: nil, target: nil, cookies: nil, dropAuthorization: false, urlHeldToken: finding.urlHasToken,
            cookieHeldToken: finding.cookieHasToken)
        if targetHits { request.target = targetWithoutTokens(head, target) }
        if cookieHits { request.cookies = cookiesWithoutTokens(head, cookies) }
        if onlyRemovesTickets { return targetHits || cookieHits ? .forward(request) : .untouched }
        let isUnchecked = kind == .preflight && (policy.checksTokens || policy.asksService)
        if kind == .trace || isUnchecked, !cookies.isEmpty { request.cookies = [] }
        /// The request goes on with its own `Authorization`, or with none.
        func goOn() -> BridgeResult {
            if field == .several { return refuse(.severalAuthorizationFields) }
            if policy.checksTokens, field != .nothing, let authorization {
                request.dropAuthorization = true
                if kind == .ordinary {
                    switch Token.bearer(in: head.extracting(authorization), maximumBytes: policy.maximumTokenBytes) {
                    case .success(let token):
                        (request.token, request.origin) = (token, .authorization)
                        // In its usual spelling the field stays as it is.
                        request.dropAuthorization = !token.isWrittenAsUsual(in: head.extracting(authorization))
                    case .failure(let error): return refuse(error)
                    }
                    return .forward(request)
                }
                guard kind == .trace && policy.whenMissing == .refuse else { return .forward(request) }
                return refuse(.missing)
            }
            if kind == .trace, field != .nothing, policy.whenMissing == .refuse { return refuse(.missing) }
            if kind == .trace || isUnchecked, field != .nothing {
                request.dropAuthorization = true
                return .forward(request)
            }
            if policy.whenMissing == .refuse, kind != .preflight, field != .credentials {
                return refuse(field == .malformed ? .unusableAuthorization : .missing)
            }
            return request.target == nil && request.cookies == nil ? .untouched : .forward(request)
        }

        // Where tokens are checked, what asks for no credentials gets none to its server.
        guard let place = finding.first, kind != .trace, !isUnchecked else { return goOn() }
        if field != .nothing {
            switch policy.onConflict {
            case .refuseQuery where !finding.urlHasToken, .preferAuthorization: return goOn()
            case .refuseQuery, .refuse: return refuse(.conflictsWithAuthorization)
            case .preferBridged: break
            }
        }
        if let error = finding.error { return refuse(error) }
        if kind == .preflight, place.isCookie { return goOn() }
        let ticket = place.isCookie ? cookieTickets[place.nameIndex] : queryTickets[place.nameIndex]
        let decoded =
            ticket == nil
            ? Token.decode(head, place.value, maximumBytes: policy.maximumTokenBytes, characters: policy.characters)
            : Token.decode(head, place.value, maximumBytes: TicketSeal.mostCharacters, characters: .b64token)
        switch decoded {
        case .success(let token):
            request.dropAuthorization = authorization != nil
            request.token = token
            request.ticket = ticket
            request.origin = place.isCookie ? .cookie : .query
            if !place.isCookie {
                request.parameter = TakenParameter(around: place.value, in: head, target: target, name: queryNames[place.nameIndex])
            }
            return .forward(request)
        case .failure(let error):
            return refuse(error)
        }
    }

    /// An echo for the token of a refused request, to find it in the path: the first token, well-formed or not. Nil if there is none.
    /// - Parameters:
    ///   - head: the bytes that the ranges point into.
    ///   - target: the request target.
    ///   - cookies: the values of the Cookie fields, in order.
    package func echo(in head: Span<UInt8>, target: Range<Int>, cookies: [Range<Int>]) -> TokenEcho? {
        var finding = Finding()
        _ = scanQuery(of: head, target: target, into: &finding)
        _ = scanCookies(of: head, cookies, into: &finding)
        return finding.first.map { TokenEcho(ofEncoded: head.extracting($0.value)) }
    }

    /// Whether a non-empty cookie value is passed on like any other cookie. Where requests without a token pass, a value that cannot be
    /// a token belongs to the application: refusing its signed cookie would block the whole site, its login page too. Where tokens are
    /// checked it would be one that nobody has checked.
    func passesAsCookie(_ head: Span<UInt8>, _ value: Range<Int>) -> Bool {
        policy.whenMissing == .pass && !policy.checksTokens && !value.isEmpty
            && Token.error(head, value, maximumBytes: policy.maximumTokenBytes, characters: policy.characters) != nil
    }

    /// The URL without the policy's query parameters, for values such as `Referer`; nil when it has none of them.
    /// Parameters are also found behind a `#`, and behind a `?` within either.
    package func redact(url: Span<UInt8>) -> [UInt8]? {
        redactParameters(url, names: queryNames)
    }

    /// The part of a request target that may be logged: its path, without scheme, authority, query and fragment.
    /// It depends on no policy. The range points into `target`.
    package static func loggablePath(of target: Span<UInt8>) -> Range<Int> {
        var end = 0
        while end < target.count, target[end] != UInt8(ascii: "?"), target[end] != UInt8(ascii: "#") { end += 1 }
        var start = 0
        if end > 0, target[0] != UInt8(ascii: "/") {
            // absolute-form: the authority may hold user information, and the host is logged anyway.
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

    /// The request's own `Authorization`.
    private enum OwnField: Equatable {
        case nothing, malformed, credentials, several

        init(_ head: Span<UInt8>, _ value: Range<Int>?, isRepeated: Bool) {
            guard let value else {
                self = .nothing
                return
            }
            guard !isRepeated else {
                self = .several
                return
            }
            self =
                switch AuthorizationField(head.extracting(value)) {
                case .nothing: .nothing
                case .malformed: .malformed
                case .credentials: .credentials
                }
        }
    }

    /// Where tokens were found so far, and whether there are too many.
    struct Finding {
        struct Place {
            var nameIndex: Int
            var isCookie: Bool
            var value: Range<Int>
        }
        /// The first place with a value.
        private(set) var first: Place?
        private(set) var error: BridgeError?
        private(set) var urlHasToken = false
        private(set) var cookieHasToken = false
        /// The names of parameters without a value: bit n for the n-th. A policy has at most 64 names.
        private var emptyParameters: UInt64 = 0

        /// A parameter or cookie was found. Without a value it counts as absent (RFC 6749 section 3.1).
        mutating func add(_ nameIndex: Int, isCookie: Bool, value: Range<Int>) {
            if value.isEmpty {
                if !isCookie { emptyParameters |= 1 << UInt64(nameIndex & 63) }
                return
            }
            if isCookie { cookieHasToken = true } else { urlHasToken = true }
            guard let first else {
                self.first = Place(nameIndex: nameIndex, isCookie: isCookie, value: value)
                return
            }
            let isSameSource = first.isCookie == isCookie && first.nameIndex == nameIndex
            if !isSameSource {
                error = .severalSources
            } else if error == nil {
                error = .repeatedToken
            }
        }

        /// A ticket was found in the URL that the policy does not use.
        mutating func addUnused() { urlHasToken = true }

        /// Called when all have been found. A parameter that occurs twice in the URL is an error, even if one has no value: a page
        /// writes its URL itself. Cookies of one name may come for several paths, and a logout leaves an empty one.
        mutating func close() {
            guard let first, !first.isCookie, error == nil, emptyParameters >> UInt64(first.nameIndex & 63) & 1 == 1 else { return }
            error = .repeatedToken
        }
    }

    /// The value of `WWW-Authenticate` for credentials that cannot be used. Without any it has no error code (RFC 6750 section 3).
    package func challenge(for error: BridgeError) -> [UInt8] {
        error.isMissing ? challenge() : challenge() + challengeError("invalid_request", error.reason)
    }

    /// The value of `WWW-Authenticate` for a token that is not good: one answer for all faults of a kind (RFC 6750 section 3.1).
    /// - Parameter scopes: what the route requires; none of them holds a quote.
    package func challenge(for fault: TokenFault, scopes: [String]) -> [UInt8] {
        guard fault.isForbidden else { return challenge() + challengeError("invalid_token", fault.reason) }
        let scope = scopes.isEmpty ? "" : ", scope=\"\(scopes.joined(separator: " "))\""
        return challenge() + challengeError("insufficient_scope", fault.reason) + Array(scope.utf8)
    }

    private func challengeError(_ code: StaticString, _ reason: StaticString) -> [UInt8] {
        Array(", error=\"\(code)\", error_description=\"\(reason)\"".utf8)
    }

    /// The value of `WWW-Authenticate` for a request without credentials that count.
    package func challenge() -> [UInt8] {
        var value = Array("Bearer realm=\"".utf8)
        for byte in policy.realm.utf8 where byte >= 0x20 && byte != 0x7F {
            // quoted-string, RFC 9110 section 5.6.4.
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { value.append(UInt8(ascii: "\\")) }
            value.append(byte)
        }
        value.append(UInt8(ascii: "\""))
        return value
    }
}

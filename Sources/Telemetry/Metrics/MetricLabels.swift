// The closed sets of label values. A set with two labels lists the combinations that exist.

/// One of a closed set of label values.
package protocol MetricLabel: CaseIterable, Equatable, Sendable {
    /// The labels' names.
    static var names: [String] { get }
    /// The labels' values, in the order of their names.
    var values: [String] { get }
    /// Its place among all cases.
    var place: Int { get }
}

extension MetricLabel where Self: RawRepresentable, RawValue == Int {
    /// The number of the case, from 0.
    package var place: Int { rawValue }
}

extension MetricLabel where Self: RawRepresentable, RawValue == String {
    /// The case's own name.
    package var values: [String] { [rawValue] }
    /// Found by looking through all cases: for moments that are rare.
    package var place: Int {
        var place = 0
        for other in Self.allCases {
            if other == self { break }
            place += 1
        }
        return place
    }
}

/// No label.
package enum Unlabelled: Int, MetricLabel {
    /// The only case.
    case only

    /// No names.
    package static let names: [String] = []
    /// No values.
    package var values: [String] { [] }
}

/// Whether a stream's request brought a Last-Event-ID: the client had been here before.
package enum Resumption: Int, MetricLabel {
    case fresh, resumed

    /// `resumed`.
    package static let names = ["resumed"]
    /// `true` or `false`.
    package var values: [String] { [self == .resumed ? "true" : "false"] }

    /// The label of a stream.
    package init(_ resumes: Bool) { self = resumes ? .resumed : .fresh }
}

extension Cause: MetricLabel {
    /// A cause has one side, so that the second label makes no more series.
    package static let names = ["cause", "side"]
    /// The cause's name and its side.
    package var values: [String] { [rawValue, side.rawValue] }
}

extension Cause.Side: MetricLabel {
    /// `side`.
    package static let names = ["side"]
}

/// The side whose silence may have ended a stream. A stream that the proxy ends says nothing about silence.
package enum SilentSide: String, MetricLabel {
    case client, upstream

    /// `side`.
    package static let names = ["side"]
}

/// Where a stream's bytes go.
package enum Direction: Int, MetricLabel {
    case fromUpstream, toClient

    /// `direction`.
    package static let names = ["direction"]
    /// `from_upstream` or `to_client`.
    package var values: [String] { [self == .fromUpstream ? "from_upstream" : "to_client"] }
}

/// What became of a client that was held.
package enum HoldOutcome: String, MetricLabel {
    /// A server serves it, in the same response.
    case joined
    /// It was told to come back.
    case sentBack = "sent_back"
    /// It left, or was given up.
    case left

    /// `outcome`.
    package static let names = ["outcome"]
}

/// What became of a client that came back with an id, on a route with a history.
package enum ReturnOutcome: String, MetricLabel {
    /// It went on where it was.
    case resumed
    /// It had everything, and its server's stream was over.
    case over
    /// No stream with that id was kept for it.
    case unknown

    /// `outcome`.
    package static let names = ["outcome"]
}

/// What became of a request to publish an event.
package enum PublishOutcome: String, MetricLabel {
    /// The event was published, in whatever number of streams.
    case published
    /// The request had been answered before, and nothing was published again.
    case repeated
    /// The request was refused.
    case refused

    /// `outcome`.
    package static let names = ["outcome"]
}

/// What became of a drop of a server that its stream's clients did not see (`mask`).
package enum MaskOutcome: String, MetricLabel {
    /// A server went on with the stream.
    case resumed
    /// None did in time.
    case stayedAway = "stayed_away"
    /// A server gave another answer than the stream.
    case answered

    /// `outcome`.
    package static let names = ["outcome"]
}

/// Why something is or may be missing in an event stream.
package enum GapReason: String, MetricLabel {
    /// The history's bounds.
    case expired
    /// An id that nobody knows.
    case unknown
    /// An id that the server used more than once.
    case repeated
    /// The server's stream was over, and another one began.
    case upstream
    /// An event above the limit.
    case oversize

    /// `reason`.
    package static let names = ["reason"]
}

/// The first digit of a response's status.
package enum StatusClass: Int, MetricLabel {
    /// The client left before it was answered.
    case none, interim, success, redirection, clientError, serverError

    /// `code`.
    package static let names = ["code"]
    /// `2xx` and the like, or `none`.
    package var values: [String] { [self == .none ? "none" : "\(rawValue)xx"] }

    /// The class of a status; 0 is none.
    package init(status: Int) { self = StatusClass(rawValue: status / 100) ?? .none }
}

/// How a client's TLS handshake went.
package enum HandshakeOutcome: Int, MetricLabel {
    case full12, resumed12, full13, resumed13, failed

    /// `version` and `result`.
    package static let names = ["version", "result"]
    /// A handshake that failed has no version.
    package var values: [String] {
        switch self {
        case .full12: ["TLSv1.2", "full"]
        case .resumed12: ["TLSv1.2", "resumed"]
        case .full13: ["TLSv1.3", "full"]
        case .resumed13: ["TLSv1.3", "resumed"]
        case .failed: ["none", "failed"]
        }
    }

    /// A handshake that succeeded.
    package init(version: String, isResumed: Bool) {
        self = version == "TLSv1.2" ? (isResumed ? .resumed12 : .full12) : (isResumed ? .resumed13 : .full13)
    }
}

/// A limit of the configuration that refuses clients, by its name there.
package enum ReachedLimit: String, MetricLabel {
    case connections, pending
    case connectionsPerClient = "connections_per_client", requestHead = "request_head", requestFields = "request_fields",
        requestTarget = "request_target"

    /// `limit`.
    package static let names = ["limit"]
}

/// What was wrong with a request's credentials.
package enum CredentialsFault: String, MetricLabel {
    case missing, unusableAuthorization = "unusable_authorization", tokenTooLong = "token_too_long",
        malformedEncoding = "malformed_encoding", forbiddenCharacter = "forbidden_character", repeatedToken = "repeated_token",
        severalSources = "several_sources", conflictsWithAuthorization = "conflicts_with_authorization",
        severalAuthorizationFields = "several_authorization_fields"
    /// An `Authorization` field of another scheme, where tokens are checked.
    case otherScheme = "other_scheme"
    /// The token came in a cookie, and the request from a page of another origin.
    case foreignPage = "foreign_page"
    /// A ticket that is not ours or was changed; one for another path or another client; one that was taken back.
    case ticket, ticketPlace = "ticket_place", ticketRevoked = "ticket_revoked"
    /// The faults of a token that was checked, in the words of the log.
    case shape, header, algorithm, key, signature, payload, claims, issuer, audience, notYet = "not_yet", lifetime, type, confirmation,
        expired,
        scope, claim
    /// A service refused the request.
    case denied
    /// Nobody could say whether the credentials are good.
    case unavailable

    /// `reason`.
    package static let names = ["reason"]
}

/// What the answer of a service means that was asked whether a request may pass.
package enum ForwardAuthOutcome: String, MetricLabel {
    case allowed, denied, redirected
    /// It says nothing that counts, or there was none.
    case unavailable

    /// `outcome`.
    package static let names = ["outcome"]
}

/// What a fetch of keys brought.
package enum KeyFetchResult: String, MetricLabel {
    case keys, unreachable, status, unusable, stuck

    /// `result`.
    package static let names = ["result"]
}

/// What a fetch of a token of the proxy's own brought.
package enum TokenFetchResult: String, MetricLabel {
    case token, unreachable, status, unusable, stuck

    /// `result`.
    package static let names = ["result"]
}

/// What became of a ticket, or of a request for one.
package enum TicketEvent: String, MetricLabel {
    case made, renewed
    /// A request for one, or to take one back, was refused.
    case refused
    /// By the page that had it.
    case takenBack = "taken_back"

    /// `event`.
    package static let names = ["event"]
}

/// How an attempt to connect to a server ended.
package enum AttemptResult: String, MetricLabel {
    case connected, refused, timeout, failed, tlsFailed = "tls_failed", nameNotResolved = "name_not_resolved"
    /// The proxy had no descriptor or memory left; no server is to blame.
    case exhausted

    /// `result`.
    package static let names = ["result"]
}

/// A log.
package enum LogKind: String, MetricLabel {
    case stream, access, event, recording

    /// `log`.
    package static let names = ["log"]
}

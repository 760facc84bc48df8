// Which requests a route is for, and how they are treated.
//
// `RouteTable` finds the route of a request; the proxy treats it. Invariant: patterns are stored in the one spelling that matching uses
// (hosts in lower case without a port, paths beginning with a slash, a prefix ending with one).

import Credentials
import EventStream

/// One rule: its requests, their upstream, and how they are treated.
package struct Route: Sendable, Equatable {
    /// The pattern as it was written; logs show it.
    package var name: String
    /// The hosts of its requests.
    package var host: HostPattern
    /// The paths of its requests.
    package var path: PathPattern
    /// The place of its upstream in `Configuration.upstreams`.
    package var upstreamIndex: Int
    /// When and how event streams get heartbeats.
    package var heartbeat: HeartbeatPolicy
    /// How a token becomes an `Authorization` field; nil: requests pass unchanged.
    package var bearer: BearerPolicy?
    /// How its tokens are checked; nil: the servers check them.
    package var check: BearerCheck?
    /// The service that says whether its requests may pass; nil: none is asked.
    package var forwardAuth: String?
    /// What servers get in place of the client's credentials; nil: what the client brought.
    package var serverCredentials: ServerCredentials?
    /// Pages of other origins that may read answers; empty: the servers decide.
    package var allowedOrigins: [OriginPattern]
    /// Whether these pages may send cookies.
    package var allowsCredentials = true
    /// The query parameter that becomes Last-Event-ID; nil: none does.
    package var eventIDParameter: String?
    /// How it continues the streams of clients that come back; nil: nothing is kept.
    package var continuity: Continuity?
    /// What the upstream gets in the `Host` field.
    package var hostField = HostField.preserve
    /// What happens to an EventSource whose servers are down, or when a limit of connections is reached.
    package var outage: OutagePolicy
    /// Which answers of a server count as an outage.
    package var outageAnswers: OutageAnswers
    /// Whether an EventSource is answered before its server has answered; nil: never.
    package var early: EarlyPolicy?
    /// Whether its events and heartbeats are written to the event log, if there is one.
    package var logsEvents: Bool
    /// Whether every request asks the upstream for `identity`, and not only those for event streams.
    package var asksForIdentity = false
    /// Whether the proxy adds itself to `Via`, in requests and responses.
    package var writesVia = true

    /// Where its event streams are recorded; nil: nowhere.
    package var recording: RecordingPolicy?

    /// What the upstream gets in the `Host` field.
    package enum HostField: Sendable, Equatable {
        /// The client's own value.
        case preserve
        /// The host and port of the server that was chosen.
        case server
    }

    /// Makes a route; whatever is left out has its documented default (conf/README.md), also a property that has no parameter here.
    package init(
        name: String = "/*",
        host: HostPattern = .any,
        path: PathPattern = .any,
        upstreamIndex: Int,
        heartbeat: HeartbeatPolicy = HeartbeatPolicy(),
        bearer: BearerPolicy? = nil,
        allowedOrigins: [OriginPattern] = [],
        outage: OutagePolicy = .retry(holdMilliseconds: OutagePolicy.defaultHoldMilliseconds),
        outageAnswers: OutageAnswers = OutageAnswers(),
        early: EarlyPolicy? = nil,
        logsEvents: Bool = true
    ) {
        self.name = name
        self.host = host
        self.path = path
        self.upstreamIndex = upstreamIndex
        self.heartbeat = heartbeat
        self.bearer = bearer
        self.allowedOrigins = allowedOrigins
        self.outage = outage
        self.outageAnswers = outageAnswers
        self.early = early
        self.logsEvents = logsEvents
    }
}

/// The hosts of a route's requests.
package enum HostPattern: Sendable, Hashable {
    /// Every host, and requests without one.
    case any
    /// One host, in lower case, without a port, an IPv6 address in brackets.
    case exact(String)
    /// Every host below a domain, not the domain itself: `*.example.com` is `.suffix(".example.com")`.
    case suffix(String)
}

/// The paths of a route's requests.
package enum PathPattern: Sendable, Hashable {
    /// Every path, and the `*` of OPTIONS; written `/*`.
    case any
    /// One path.
    case exact(String)
    /// A path and everything below it: `/events/*` is `.prefix("/events/")` and matches `/events`,
    /// `/events/` and `/events/a`, but not `/events-old`.
    case prefix(String)
}

/// When and how the event streams of a route get heartbeats.
package struct HeartbeatPolicy: Sendable, Equatable {
    /// After how many milliseconds without a byte to the client a heartbeat is sent (100 ... 3,600,000); nil: never.
    package var intervalMilliseconds: Int?
    /// What a heartbeat is.
    package var kind: Heartbeat.Kind
    /// The text of a comment, after its colon; without CR and LF. Empty by default: the smallest sign of life.
    package var commentText: String
    /// Whether a comment follows the response head at once, so that `onopen` fires and intermediaries pass the head on.
    package var opening: Bool
    /// Whether a blank line follows the proxy's comments and its `retry` between events.
    package var form: CommentForm

    /// The default interval, in milliseconds.
    package static let defaultIntervalMilliseconds = 15_000
    /// The default name of heartbeat events.
    package static let defaultEventName = "heartbeat"

    /// Makes a policy; by default a comment after 15 seconds of silence, and one at the opening.
    package init(
        intervalMilliseconds: Int? = HeartbeatPolicy.defaultIntervalMilliseconds,
        kind: Heartbeat.Kind = .comment,
        commentText: String = "",
        opening: Bool = true,
        form: CommentForm = .automatic
    ) {
        self.intervalMilliseconds = intervalMilliseconds
        self.kind = kind
        self.commentText = commentText
        self.opening = opening
        self.form = form
    }
}

/// What happens to a request for an event stream whose servers are down (refusing, silent, or answering one of `OutageAnswers`), or
/// when a limit of connections is reached. Any status but 200 ends an `EventSource` for good.
package enum OutagePolicy: Sendable, Equatable {
    /// It is answered 200 and held with heartbeats while the servers are tried again, for at most that many milliseconds (0 ...
    /// 3,600,000); then it is told when to come back.
    case retry(holdMilliseconds: Int)
    /// It is refused like any other request.
    case refuse

    /// For how long a client is held by default, in milliseconds.
    package static let defaultHoldMilliseconds = 30_000
}

/// When a request for an event stream is answered before its server has answered.
package struct EarlyPolicy: Sendable, Equatable {
    /// After how long a wait, in milliseconds (100 ... 3,600,000).
    package var afterMilliseconds: Int
    /// What a failure that comes later becomes.
    package var onFailure: OnFailure

    /// What the client gets on a failure after its status has been sent.
    package enum OnFailure: Sendable, Equatable {
        /// When to come back.
        case retry
        /// An event of this name, and when to come back.
        case event(name: String)
    }

    /// The default name of the event. Not `error`: scripts would take that for a lost connection.
    package static let defaultEventName = "upstream_error"

    /// Makes a policy.
    package init(afterMilliseconds: Int, onFailure: OnFailure = .retry) {
        self.afterMilliseconds = afterMilliseconds
        self.onFailure = onFailure
    }
}

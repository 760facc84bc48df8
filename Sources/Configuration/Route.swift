// Which requests a rule is for, and what is done with them.
//
// How a request finds its route is `RouteTable`'s; what is done is the proxy's.
// Invariant: patterns are kept in the one spelling that matching uses (hosts in lower case without a port,
// paths beginning with a slash, a prefix ending with one).

public import Credentials

/// One rule: the requests that it is for, the upstream that they go to, and how they are treated.
public struct Route: Sendable, Equatable {
    /// The pattern as it was written; logs show it.
    public var name: String
    /// The hosts that it is for.
    public var host: HostPattern
    /// The paths that it is for.
    public var path: PathPattern
    /// The place of its upstream in `Configuration.upstreams`.
    public var upstreamIndex: Int
    /// How event streams are kept from being silent.
    public var heartbeat: HeartbeatPolicy
    /// How a token becomes an `Authorization` field; nil: requests pass as they are.
    public var bearer: BearerPolicy?
    /// What the upstream is told in the `Host` field.
    public var hostField: HostField

    /// What the upstream is told in the `Host` field.
    public enum HostField: Sendable, Equatable {
        /// What the client said.
        case preserve
        /// The host and port of the server that was chosen.
        case server
    }

    /// Makes a route; whatever is left out has its documented default (conf/README.md).
    public init(
        name: String = "/*",
        host: HostPattern = .any,
        path: PathPattern = .any,
        upstreamIndex: Int,
        heartbeat: HeartbeatPolicy = HeartbeatPolicy(),
        bearer: BearerPolicy? = nil,
        hostField: HostField = .preserve
    ) {
        self.name = name
        self.host = host
        self.path = path
        self.upstreamIndex = upstreamIndex
        self.heartbeat = heartbeat
        self.bearer = bearer
        self.hostField = hostField
    }
}

/// The hosts that a route is for.
public enum HostPattern: Sendable, Hashable {
    /// Every host, and requests without one.
    case any
    /// One host, in lower case, without a port, an IPv6 address in brackets.
    case exact(String)
    /// Every host below a domain, not the domain itself: `*.example.com` is `.suffix(".example.com")`.
    case suffix(String)
}

/// The paths that a route is for.
public enum PathPattern: Sendable, Hashable {
    /// Every path, and the `*` of OPTIONS; written `/*`.
    case any
    /// One path.
    case exact(String)
    /// A path and everything below it: `/events/*` is `.prefix("/events/")` and matches `/events`,
    /// `/events/` and `/events/a`, but not `/events-old`.
    case prefix(String)
}

/// How the event streams of a route are kept from being silent.
public struct HeartbeatPolicy: Sendable, Equatable {
    /// After how long without a byte to the client a heartbeat goes out, in milliseconds (100 ... 3,600,000);
    /// nil: never.
    public var intervalMilliseconds: Int?
    /// What goes out.
    public var kind: Kind
    /// The text of a comment, after its colon; without CR and LF. Empty by default: the smallest sign of life.
    public var commentText: String
    /// Whether a comment follows the response head at once, so that `onopen` and intermediaries wake.
    public var opening: Bool

    /// What a heartbeat is made of.
    public enum Kind: Sendable, Equatable {
        /// A comment, which page scripts do not see; it may stand between any two lines.
        case comment
        /// An event with this name, which page scripts can listen for; it may only stand between events.
        case event(name: String)
        /// A comment and an event where an event may stand, else a comment.
        case both(name: String)
    }

    /// The interval where none is named, in milliseconds.
    public static let defaultIntervalMilliseconds = 15_000
    /// The name of heartbeat events where none is given.
    public static let defaultEventName = "heartbeat"

    /// Makes a policy; by default a comment after 15 seconds of silence, and one at the opening.
    public init(
        intervalMilliseconds: Int? = HeartbeatPolicy.defaultIntervalMilliseconds,
        kind: Kind = .comment,
        commentText: String = "",
        opening: Bool = true
    ) {
        self.intervalMilliseconds = intervalMilliseconds
        self.kind = kind
        self.commentText = commentText
        self.opening = opening
    }
}

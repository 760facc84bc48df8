// What a route keeps of its event streams, so that a client that comes back gets the events that it missed, and by which parts of a
// request the proxy tells the streams of different clients apart.
//
// Invariant: names of fields are in lower case, because a request may spell them in any case.

/// How a route continues the event streams of clients that come back.
package struct Continuity: Sendable, Equatable {
    /// Whose stream a request asks for.
    package var identity = StreamIdentity.values([.credentials])
    /// Further fields of a request that tell streams apart, in lower case.
    package var variedFields: [String] = []
    /// Query parameters that do not tell streams apart, and that servers do not get.
    package var ignoredParameters: [String] = []
    /// What is kept.
    package var history = HistoryPolicy()
    /// How a client is told that events are or may be missing.
    package var gap = GapNotice.event(name: GapNotice.defaultEventName)
    /// Whether a server sends what follows the Last-Event-ID of a request.
    package var isResumable = false
    /// For how long a server whose stream is over is asked again while the client's response goes on, in milliseconds; nil: never.
    package var maskMilliseconds: Int?
    /// The types of the events that are dropped where they begin a stream that a server has sent after it was asked again.
    package var greetings: [String] = []
    /// When a server's stream is replaced by the next one, and how; nil: never.
    package var recycle: Recycle?
    /// How the streams of all servers become one; nil: a stream comes from one server. The ids of merged streams are the proxy's own.
    package var merge: Merge?
    /// What clients of a stream that others read already get first; nil: each client has a stream of its own.
    package var share: Sharing?
    /// What becomes of a client of a shared stream that is too slow.
    package var lag = Lag.gap
    /// The query parameter that holds the types of the events that a client wants. It tells no streams apart, and servers do not get it.
    package var filterParameter: String?

    /// The query parameter that holds the last event id in many replacements for EventSource.
    package static let eventIDParameter = "lastEventId"

    /// The defaults of conf/README.md.
    package init() {}
}

/// Which values of a request say whose stream it asks for.
package enum StreamIdentity: Sendable, Equatable {
    /// None: all clients may read the same stream. Requests for streams go to servers without credentials.
    case everybody
    /// These values together, in the order of the configuration; at least one.
    case values([Value])

    /// One value of a request.
    package enum Value: Sendable, Hashable {
        /// Authorization or the token in its place, all cookies, and the client's certificate.
        case credentials
        /// Authorization or the token in its place.
        case token
        /// The cookie of this name.
        case cookie(String)
        /// The field of this name, in lower case, as the proxy or a trusted proxy in front of it writes it.
        case header(String)
        /// The client's certificate.
        case clientCertificate
    }
}

/// How much is kept of an event stream, and for how long.
package struct HistoryPolicy: Sendable, Equatable {
    /// The ids with which events go to clients.
    package enum IDs: Sendable, Equatable {
        /// The server's ids; ids of the proxy while the server has sent none.
        case keep
        /// The server's ids, each followed by one of the proxy.
        case suffix
        /// Ids of the proxy only.
        case own
    }

    /// The most events of one stream.
    package var events = 1_000
    /// The most bytes of one stream.
    package var bytes = 262_144
    /// How long an event is kept, in milliseconds.
    package var ageMilliseconds = 300_000
    /// How long a server's stream is read while no client reads it, in milliseconds.
    package var awayMilliseconds = 30_000
    /// The ids with which events go to clients.
    package var ids = IDs.keep

    /// The defaults of conf/README.md.
    package init() {}
}

/// When a server's stream is replaced by the next one while the client's response goes on, and how.
package struct Recycle: Sendable, Equatable {
    /// Which of the two streams is there first.
    package enum Manner: Sendable, Equatable {
        /// The next one is opened while the present one is read. Events of both are recognised.
        case overlap
        /// The present one is closed before the next one is asked for.
        case interrupt
    }

    /// The age that a server's stream does not exceed, in milliseconds.
    package var ageMilliseconds: Int
    /// Which of the two streams is there first.
    package var manner: Manner

    /// Makes a policy.
    package init(ageMilliseconds: Int, manner: Manner) {
        self.ageMilliseconds = ageMilliseconds
        self.manner = manner
    }
}

/// How the streams of all addresses of all servers become one.
package struct Merge: Sendable, Equatable {
    /// Which events of different addresses are taken for the same one. Clients get the first of them.
    package struct Repetition: Sendable, Equatable {
        /// What such events have in common.
        package enum Mark: Sendable, Equatable {
            /// The server's id.
            case id
            /// The type and the data.
            case data
        }

        /// What they have in common.
        package var mark: Mark
        /// How long after the first of them the others may come, in milliseconds.
        package var withinMilliseconds: Int

        /// A kind of repetition.
        package init(_ mark: Mark, withinMilliseconds: Int) {
            self.mark = mark
            self.withinMilliseconds = withinMilliseconds
        }
    }

    /// Which events are dropped as repetitions; nil: none.
    package var dropped: Repetition?

    /// Makes a policy.
    package init(dropping dropped: Repetition? = nil) { self.dropped = dropped }
}

/// What clients that join a shared stream later get first. All of them get what comes from then on.
package enum Sharing: Sendable, Equatable {
    /// Nothing.
    case live
    /// The last event of each type.
    case latest
    /// That many of the last events; at least one, and at most as many as are kept.
    case replay(Int)
}

/// What becomes of a client of a shared stream for whom the next event is no longer kept.
package enum Lag: Sendable, Equatable {
    /// It is told that events are missing, and goes on with what is kept.
    case gap
    /// Its response ends.
    case close
}

/// How a client is told that events are or may be missing.
package enum GapNotice: Sendable, Equatable {
    /// An event of this name, in the place of the missing ones.
    case event(name: String)
    /// The response ends, and the client connects again.
    case reconnect
    /// It is not told.
    case off

    /// The default name of the event.
    package static let defaultEventName = "stream_gap"
}

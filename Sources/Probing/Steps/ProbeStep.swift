// The steps of a probe: their names, what each needs, and in which order they run.

/// One question that a probe asks.
package enum ProbeStep: Int, CaseIterable, Sendable, Comparable {
    /// What answers at the URL: its first response, plain and compressed.
    case meeting = 0
    /// Whether the head comes before the body's first byte.
    case head = 1
    /// Whether a hop keeps one event back.
    case firstEvent = 2
    /// Whether events are collected, until when, and with which requests.
    case buffering = 3
    /// Whether comments pass.
    case comments = 4
    /// Limits on silence and on a stream's life.
    case limits = 5
    /// Hops that forget a silent connection without closing it.
    case forgetting = 6
    /// Whether the configured heartbeat is short enough.
    case heartbeat = 7
    /// Limits on the wait for a response's head.
    case lateHead = 8
    /// Whether the server hears that a client has left.
    case leaving = 9
    /// Limits on connections, and caches.
    case width = 10
    /// What happens to a stream of any URL while it is watched.
    case watching = 11

    /// Steps are in order of their numbers.
    package static func < (one: ProbeStep, other: ProbeStep) -> Bool { one.rawValue < other.rawValue }

    /// What it looks at, in a few words for people.
    package var title: String {
        switch self {
        case .meeting: "first contact"
        case .head: "head"
        case .firstEvent: "first event"
        case .buffering: "buffering"
        case .comments: "comments"
        case .limits: "idle and absolute limits"
        case .forgetting: "forgetting hops"
        case .heartbeat: "heartbeat"
        case .lateHead: "late head"
        case .leaving: "leaving"
        case .width: "width"
        case .watching: "watching the stream"
        }
    }

    /// The steps that must be over before this one can be planned.
    var prerequisites: [ProbeStep] {
        switch self {
        case .meeting: []
        case .heartbeat: [.meeting, .limits, .forgetting]
        default: [.meeting]
        }
    }

    /// The steps of a quick run, in under two minutes.
    package static let quick: [ProbeStep] = [.head, .firstEvent, .buffering, .comments, .limits, .leaving]
    /// The steps that need the proxy's endpoint, which can be chosen by their numbers.
    package static let numbered: [ProbeStep] = (1...10).compactMap { ProbeStep(rawValue: $0) }
}

/// What a probe may do, and for how long.
package struct ProbeTerms: Sendable {
    /// For how long limits are searched where nothing is said: a second longer than a minute's timers and their lateness need.
    package static let quickMilliseconds: Int64 = 75_000
    /// The most connections at once.
    package static let connectionLimit = 14

    /// The steps, in order.
    package var steps: [ProbeStep]
    /// For how long limits are searched.
    package var limitMilliseconds: Int64
    /// Whether nothing but HTTP/2 is spoken.
    package var isHTTP2Only = false

    /// Terms. Without the endpoint's secret, a URL can only be watched. `chosen` are the steps by number, if any were asked for.
    package init(hasSecret: Bool, chosen: [ProbeStep]? = nil, limitMilliseconds: Int64? = nil) {
        self.limitMilliseconds = limitMilliseconds ?? Self.quickMilliseconds
        if hasSecret {
            steps = [.meeting] + (chosen ?? (limitMilliseconds == nil ? ProbeStep.quick : ProbeStep.numbered)).sorted()
        } else {
            steps = [.meeting, .watching]
        }
    }
}

/// Makes scripts with a nonce of their own.
package struct ScriptMaker {
    /// A new nonce.
    let nonce: () -> String
    /// The time of day, in seconds since 1970.
    let unixSeconds: () -> Int64

    /// A maker with these sources.
    package init(nonce: @escaping () -> String, unixSeconds: @escaping () -> Int64) {
        self.nonce = nonce
        self.unixSeconds = unixSeconds
    }
}

// What a probe concludes: findings in the vocabulary of `diagnose`, what was proved to be fine, and what it cannot tell.

/// One thing on the path that hurts event streams.
package struct ProbeFinding: Sendable, Equatable {
    /// What it is. The raw values stand in `--json`; those that `diagnose` has too mean the same there.
    package enum Kind: String, CaseIterable, Sendable {
        /// The connection ends, or is forgotten, after a silence.
        case idleTimeout = "idle_timeout"
        /// The stream ends at an age, whatever was sent.
        case absoluteTimeout = "absolute_timeout"
        /// A hop collects events.
        case buffering
        /// A hop keeps the response's head until something else comes.
        case headHeld = "head_held"
        /// A hop drops comments, and heartbeats with them.
        case commentsRemoved = "comments_removed"
        /// A response whose head comes late is answered by a hop itself.
        case firstByteTimeout = "first_byte_timeout"
        /// The proxy does not hear that a client has left.
        case leavingUnnoticed = "leaving_unnoticed"
        /// Fewer streams at once than were asked for.
        case connectionLimit = "connection_limit"
        /// A cache answered instead of the proxy.
        case cached
        /// The configured heartbeat does not keep a stream alive.
        case heartbeatTooSlow = "heartbeat_too_slow"
    }

    /// Where the cause is.
    package enum Side: String, Sendable {
        /// Before the proxy: a hop between the probe and the proxy.
        case client
        /// The proxy itself or what is behind it.
        case proxy
        /// A hop or the server: without the endpoint nobody can tell.
        case unknown
    }

    /// What it is.
    package var kind: Kind
    /// Where it is.
    package var side: Side
    /// The limit in seconds, where the kind has one.
    package var seconds: Double?
    /// From 0 to 1. From 0.5 on it is a claim, below it a remark.
    package var confidence: Double
    /// How many connections show it.
    package var streams: Int
    /// A hop forgot the connection without closing it.
    package var isSilentDrop = false
    /// For a silent drop: the longest silence that was survived, and the shortest that was not, in seconds.
    package var between: ClosedRange<Double>?
    /// What it is, in a sentence.
    package var summary: String
    /// What shows it, one clause with numbers each.
    package var evidence: [String] = []
    /// What to do about it.
    package var advice: String?

    init(_ kind: Kind, _ side: Side, seconds: Double? = nil, confidence: Double, streams: Int, _ summary: String) {
        self.kind = kind
        self.side = side
        self.seconds = seconds
        self.confidence = confidence
        self.streams = streams
        self.summary = summary
    }
}

/// What one step, or all of them, came to.
package struct Verdict: Sendable {
    /// What hurts.
    package var findings: [ProbeFinding] = []
    /// What was seen to be fine.
    package var proved: [String] = []
    /// What could not be told, and why.
    package var untold: [String] = []
    /// Plain facts.
    package var facts: [String] = []

    /// Nothing yet.
    package init() {}

    mutating func add(_ other: Verdict) {
        findings += other.findings
        proved += other.proved
        untold += other.untold
        facts += other.facts
    }
}

/// A span of time for people: `60.0 s`, or `250 ms` below a second.
func spoken(_ milliseconds: Int64) -> String {
    milliseconds < 1_000 ? "\(milliseconds) ms" : "\(milliseconds / 1_000).\(milliseconds % 1_000 / 100) s"
}

/// Milliseconds as seconds with one decimal.
func seconds(_ milliseconds: Int64) -> Double { Double((milliseconds + 50) / 100) / 10 }

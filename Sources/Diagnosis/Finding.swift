// What the method found, as values. `Saying` turns them into sentences, JSON and a page; the live page and the probe use the same words.

/// One thing that makes streams end, or that keeps them from working.
package struct Finding: Sendable, Equatable {
    /// What it is. The raw values are the contract of `--json`.
    package enum Kind: String, CaseIterable, Sendable {
        case idleTimeout = "idle_timeout"
        case absoluteTimeout = "absolute_timeout"
        case buffering
        case upstreamSilent = "upstream_silent"
        case serverRestart = "server_restart"
        case deployment
        case workerRecycling = "worker_recycling"
        case hopRestart = "hop_restart"
        case badServer = "bad_server"
        case staleToken = "stale_token"
        case reconnectStorm = "reconnect_storm"
        case slowReader = "slow_reader"
        case mobileSleep = "mobile_sleep"
        case connectionLimit = "connection_limit"
        case refusedByLimit = "refused_by_limit"
        case credentialsRefused = "credentials_refused"
        case proxyError = "proxy_error"
    }

    /// On which side of the proxy the cause is.
    package enum Side: String, Sendable {
        /// The browser, or a hop before the proxy.
        case client
        /// The server, or a hop behind the proxy.
        case upstream
        case proxy
    }

    package var kind: Kind
    package var side: Side
    /// The limit in seconds, where the kind has one.
    package var seconds: Double?
    /// How many streams show it; for a stale token, requests.
    package var streams: Int
    /// From 0 to 1. From 0.5 on it is a claim, below it a remark.
    package var confidence: Double
    /// A hop forgot the connection without closing it: the next byte met a reset or nothing.
    package var isSilentDrop = false
    /// For a silent drop: the longest silence that was survived, and the shortest that was not, in seconds.
    package var between: ClosedRange<Double>?
    /// Of those who reached the limit, the share that ended there.
    package var lethality: Double?
    /// The share of clients that came back after a pause, as somebody does who did not want to leave.
    package var returned: Double?
    /// How many clients, and how many addresses before the proxy.
    package var people = 0
    package var addresses = 0
    package var routes: [String] = []
    package var servers: [String] = []
    /// The intermediaries that these streams' requests name.
    package var hops: [String] = []
    /// The other reading, where the logs cannot tell the two apart.
    package var alternative: Kind?
    /// What decided between the readings, in one clause each, with numbers.
    package var evidence: [String] = []
    /// When it happened, in milliseconds since 1970-01-01 UTC, for moments.
    package var moments: [Int64] = []
    /// Up to three streams that show it: indices of `LogFacts.streams`.
    package var examples: [Int] = []
    /// Whether it is said as a claim, and not only as a remark.
    package var isClaim: Bool { confidence >= 0.5 }

    package init(kind: Kind, side: Side, seconds: Double? = nil, streams: Int, confidence: Double) {
        self.kind = kind
        self.side = side
        self.seconds = seconds
        self.streams = streams
        self.confidence = confidence
    }
}

/// What the method says of all the logs together.
package struct Diagnosis: Sendable {
    /// The surest first.
    package var findings: [Finding] = []
    /// What each side was proved to bear.
    package var client = Survived()
    package var upstream = Survived()
    /// How many streams were looked at, and how many of them had ended.
    package var streams = 0
    package var ended = 0

    /// What a path was proved to bear: no limit below it is there.
    package struct Survived: Sendable, Equatable {
        /// The longest silence in seconds that several streams outlived; nil if none did.
        package var silence: Double?
        /// How many streams outlived it.
        package var silenceStreams = 0
        /// The longest life in seconds that several streams reached.
        package var age: Double?
        package var ageStreams = 0

        package init() {}
    }

    package init() {}
}

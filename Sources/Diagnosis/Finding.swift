// What the method found, as values. `Saying` turns them into sentences, JSON and a page; the live page and the probe use the same words.

/// One thing that makes streams end, or that keeps them from working.
package struct Finding: Sendable, Equatable {
    /// What it is. The raw values are the contract of `--json`.
    package enum Kind: String, CaseIterable, Sendable {
        /// Ends after that long without bytes.
        case idleTimeout = "idle_timeout"
        /// Ends that long after the beginning, whatever is sent.
        case absoluteTimeout = "absolute_timeout"
        /// A hop holds bytes back.
        case buffering
        /// The proxy's own `stream_silence_timeout` ended streams.
        case upstreamSilent = "upstream_silent"
        /// All streams of a server end in one moment.
        case serverRestart = "server_restart"
        /// Several servers, one after another.
        case deployment
        /// A part of a server's streams ends in one moment, again and again.
        case workerRecycling = "worker_recycling"
        /// All streams of one address before the proxy end in one moment.
        case hopRestart = "hop_restart"
        /// One server of several ends streams far more often than the others.
        case badServer = "bad_server"
        /// The same clients are refused again and again.
        case staleToken = "stale_token"
        /// Everybody comes in one second, or the same clients come at once and without end.
        case reconnectStorm = "reconnect_storm"
        /// Clients take too little.
        case slowReader = "slow_reader"
        /// Clients vanish.
        case mobileSleep = "mobile_sleep"
        /// Six streams of one browser, and a seventh that waits.
        case connectionLimit = "connection_limit"
        /// The proxy's own limits refused clients.
        case refusedByLimit = "refused_by_limit"
        /// The proxy refused credentials.
        case credentialsRefused = "credentials_refused"
        /// Streams ended with their tokens.
        case tokenExpired = "token_expired"
        /// Streams ended because their credentials were taken back.
        case revoked
        /// Nobody could say whether credentials are good.
        case authorizationUnavailable = "authorization_unavailable"
        /// The proxy's own errors.
        case proxyError = "proxy_error"
    }

    /// On which side of the proxy the cause is.
    package enum Side: String, Sendable {
        /// The browser, or a hop before the proxy.
        case client
        /// The server, or a hop behind the proxy.
        case upstream
        /// This proxy itself.
        case proxy
    }

    /// What it is.
    package var kind: Kind
    /// On which side its cause is.
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
    /// The share of the streams that ended at the limit, among all streams that reached it.
    package var lethality: Double?
    /// The share of clients that came back after a pause, as somebody does who did not want to leave.
    package var returned: Double?
    /// How many clients, and how many addresses before the proxy.
    package var people = 0
    /// How many addresses before the proxy.
    package var addresses = 0
    /// The routes of these streams, as configured.
    package var routes: [String] = []
    /// The servers of these streams.
    package var servers: [String] = []
    /// The intermediaries that these streams' requests name.
    package var hops: [String] = []
    /// How many of these streams are of which class of program (`agent` in the log); of older logs `""`.
    package var agents: [String: Int] = [:]
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

    /// A finding of which the rest is filled in as it becomes known.
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
    /// What the servers' side was proved to bear.
    package var upstream = Survived()
    /// How many streams were looked at, and how many of them had ended.
    package var streams = 0
    /// How many of them had ended.
    package var ended = 0

    /// What a path was proved to bear: no limit below it is there.
    package struct Survived: Sendable, Equatable {
        /// The longest silence in seconds that several streams outlived; nil if none did.
        package var silence: Double?
        /// How many streams outlived it.
        package var silenceStreams = 0
        /// The longest life in seconds that several streams reached.
        package var age: Double?
        /// How many streams reached it.
        package var ageStreams = 0

        /// Nothing yet.
        package init() {}
    }

    /// Nothing yet.
    package init() {}
}

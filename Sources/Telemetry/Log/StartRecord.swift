// The line about the proxy itself: which process writes from here on, and under which limits its streams live. With it a log can be read
// without the configuration. Invariant: the line holds nothing secret; of the configuration it has a digest and a few numbers.

/// One line for a start of the proxy, a reload, or a log that is opened again (`"event":"proxy_start"`).
package struct StartRecord: Sendable {
    /// The limits of one route.
    package struct Route: Sendable {
        /// The route's name as configured (`route`).
        package var name: String
        /// The upstream's name as configured (`upstream`).
        package var upstream: String
        /// After how long a silence a client gets a heartbeat (`heartbeat_ms`); left out when nil: never.
        package var heartbeatMilliseconds: Int?
        /// How long a server may send nothing of a stream (`stream_silence_timeout_ms`); left out when nil: no limit.
        package var streamSilenceTimeoutMilliseconds: Int?
        /// How long a client may take nothing of what waits (`client_stall_ms`).
        package var clientStallMilliseconds: Int
        /// How long a server may take until its response's head (`response_timeout_ms`).
        package var responseTimeoutMilliseconds: Int

        /// The limits of a route.
        package init(
            name: String, upstream: String, heartbeatMilliseconds: Int?, streamSilenceTimeoutMilliseconds: Int?,
            clientStallMilliseconds: Int, responseTimeoutMilliseconds: Int
        ) {
            self.name = name
            self.upstream = upstream
            self.heartbeatMilliseconds = heartbeatMilliseconds
            self.streamSilenceTimeoutMilliseconds = streamSilenceTimeoutMilliseconds
            self.clientStallMilliseconds = clientStallMilliseconds
            self.responseTimeoutMilliseconds = responseTimeoutMilliseconds
        }
    }

    /// What the line is written for.
    package enum Occasion: Sendable {
        /// The process begins: stream numbers begin at 1.
        case start
        /// The configuration was read again.
        case reload
        /// The log was opened again; nothing else has changed.
        case reopening
    }

    private let timeMilliseconds: Int64
    private let occasion: Occasion
    private let process: Int32
    private let configurationDigest: UInt64?
    private let workerCount: Int
    private let routes: [Route]

    /// A record.
    /// - Parameters:
    ///   - timeMilliseconds: When, in milliseconds since 1970-01-01 UTC.
    ///   - occasion: What the line is written for (`reload`, `again`).
    ///   - process: The process's id (`process`).
    ///   - configurationDigest: A digest of the configuration (`configuration`, 16 hexadecimal digits); left out when nil.
    ///   - workerCount: How many workers the process has (`workers`).
    ///   - routes: The limits of each route, in the order of the configuration (`routes`).
    package init(
        timeMilliseconds: Int64, occasion: Occasion, process: Int32, configurationDigest: UInt64?, workerCount: Int, routes: [Route]
    ) {
        self.timeMilliseconds = timeMilliseconds
        self.occasion = occasion
        self.process = process
        self.configurationDigest = configurationDigest
        self.workerCount = workerCount
        self.routes = routes
    }

    /// Appends the record as one line. Keys in order: time, event (`proxy_start`), version, process, configuration, workers, reload, again
    /// (only when true), routes.
    package func encode(into bytes: inout [UInt8]) {
        appendLine(to: &bytes, timeMilliseconds: timeMilliseconds, event: "proxy_start") { line in
            line.string("version", Version.number)
            line.number("process", Int64(process))
            if let configurationDigest { line.hexadecimal("configuration", configurationDigest) }
            line.number("workers", Int64(workerCount))
            line.boolean("reload", occasion != .start)
            if occasion == .reopening { line.boolean("again", true) }
            line.openArray("routes")
            for route in routes { route.encode(into: &line) }
            line.closeArray()
        }
    }
}

extension StartRecord.Route {
    /// Keys in order: route, upstream, heartbeat_ms, stream_silence_timeout_ms, client_stall_ms, response_timeout_ms.
    fileprivate func encode(into line: inout RecordLine) {
        line.openElement()
        line.string("route", name)
        line.string("upstream", upstream)
        if let heartbeatMilliseconds { line.number("heartbeat_ms", Int64(heartbeatMilliseconds)) }
        if let streamSilenceTimeoutMilliseconds { line.number("stream_silence_timeout_ms", Int64(streamSilenceTimeoutMilliseconds)) }
        line.number("client_stall_ms", Int64(clientStallMilliseconds))
        line.number("response_timeout_ms", Int64(responseTimeoutMilliseconds))
        line.closeObject()
    }
}

// What the logs say, in a form that the method can go over many times: one small value for each stream, with everything that many
// streams share in tables beside it. The reader fills it, the method reads it. Invariant: its memory is bounded, however long the logs
// are; what was left out for that reason is counted.

import Telemetry

/// A number in one of the tables of `LogFacts`.
package typealias TableIndex = UInt32

/// One event stream as the logs tell it. A stream without a known end is still here: it counts in what was survived.
package struct StreamFacts: Sendable {
    /// For spans that the log does not tell.
    package static let missing = UInt32.max

    /// When it was opened, in milliseconds since 1970-01-01 UTC: from its `stream_open`, or its end less its duration.
    package var openedAt: Int64
    /// How long it lived, in milliseconds; of a stream without an end, until the last line of the logs.
    package var duration: UInt32
    /// The silence at its end towards the client, in milliseconds.
    package var clientSilenceAtEnd = StreamFacts.missing
    /// The silence at its end from the server, without the last chunk, in milliseconds.
    package var upstreamSilenceAtEnd = StreamFacts.missing
    /// The client's silence before the last write, in milliseconds: long when a hop forgot the connection.
    package var clientSilenceBeforeLastWrite = StreamFacts.missing
    /// The longest silence towards the client, the last one included, in milliseconds.
    package var longestClientSilence = StreamFacts.missing
    /// The longest silence from the server, the last one included, in milliseconds.
    package var longestUpstreamSilence = StreamFacts.missing
    /// Events that came from the server.
    package var events: UInt32 = 0
    /// The heartbeat interval in force, in milliseconds; `missing` if the logs do not say it.
    package var heartbeatInterval = StreamFacts.missing
    /// The `retry` that was last sent to the client, in milliseconds.
    package var retry = StreamFacts.missing
    /// Which client: the same for streams of the same forwarded address (else address), token, host and path.
    package var client: TableIndex
    /// Which address stands before the proxy (the peer's, without its port).
    package var address: TableIndex
    /// What it shares with many others: an index of `LogFacts.surroundings`.
    package var surroundings: TableIndex
    private var line: UInt32
    private var file: UInt16
    private var heartbeatCount: UInt16 = 0
    private var returnHundredths = UInt16.max
    /// How many other streams of its server were open at its end; `UInt16.max` if the logs do not say it.
    package var openStreamsOfServer = UInt16.max
    /// Yes and no.
    package var marks: Marks = []
    /// Why it ended; nil while it has not.
    package var cause: Cause?
    private var slowPendingUnits: UInt8 = 0

    // There are half a million of these values, so what can be small is: a whole one has 72 bytes.

    /// Where the line of its end (or of its opening, if it has none) is.
    package var place: LogPlace {
        get { LogPlace(file: file, line: line) }
        set { (file, line) = (newValue.file, newValue.line) }
    }

    /// Heartbeats that were sent, at most 65,535 of them.
    package var heartbeats: UInt32 {
        get { UInt32(heartbeatCount) }
        set { heartbeatCount = UInt16(clamping: newValue) }
    }

    /// After how many milliseconds the same client's next stream began, as that one's `previous_stream` tells it, to the hundredth of a
    /// second; the proxy itself remembers five minutes, and more than ten have no room.
    package var returnedAfter: UInt32 {
        get { returnHundredths == .max ? StreamFacts.missing : UInt32(returnHundredths) * 10 }
        set { returnHundredths = UInt16(exactly: newValue / 10) ?? .max }
    }

    /// The most that waited in the proxy for the client, in KiB, if bytes waited for at least half of the stream's life; otherwise 0. In
    /// steps of 16 KiB, and at most 4,080.
    package var slowPendingKibibytes: Int {
        get { Int(slowPendingUnits) * 16 }
        set { slowPendingUnits = UInt8(clamping: newValue / 16) }
    }

    /// What is true or not of a stream.
    package struct Marks: OptionSet, Sendable {
        /// The bits.
        package let rawValue: UInt16
        /// Marks of these bits.
        package init(rawValue: UInt16) { self.rawValue = rawValue }
        /// It got heartbeats (`woven`).
        package static let isWoven = Marks(rawValue: 1)
        /// The server stopped inside a line (`mid_line`), where no heartbeat may stand.
        package static let endedMidLine = Marks(rawValue: 2)
        /// The log tells whether the request brought a Last-Event-ID.
        package static let tellsResuming = Marks(rawValue: 4)
        /// The request brought a Last-Event-ID: the same `EventSource` came back.
        package static let resumes = Marks(rawValue: 8)
        /// It was held in place of a server's answer.
        package static let wasHeld = Marks(rawValue: 16)
        /// A connection over TLS ended without close_notify.
        package static let lacksCloseNotify = Marks(rawValue: 32)
        /// Its opening was seen.
        package static let openingSeen = Marks(rawValue: 64)
        /// The server sent an id (`last_event_id`, or one that was withheld): the same `EventSource` names it when it comes back, a new
        /// page does not.
        package static let hasEventID = Marks(rawValue: 128)
        /// The stream that names this one as its `previous_stream` brought a Last-Event-ID.
        package static let returnResumes = Marks(rawValue: 256)
        /// The log tells whether it did.
        package static let returnTellsResuming = Marks(rawValue: 512)
        /// Its client is known by a token, so it is surely the same.
        package static let returnIsByToken = Marks(rawValue: 1_024)
    }

    /// A stream of which the rest is filled in as its line tells it.
    package init(openedAt: Int64, duration: UInt32, client: TableIndex, address: TableIndex, surroundings: TableIndex, place: LogPlace) {
        self.openedAt = openedAt
        self.duration = duration
        self.client = client
        self.address = address
        self.surroundings = surroundings
        (file, line) = (place.file, place.line)
    }
}

/// Where a line is.
package struct LogPlace: Sendable, Hashable {
    /// The number of the file, in the order of the command line.
    package var file: UInt16
    /// The number of the line in it, counted from 1.
    package var line: UInt32

    /// A place.
    package init(file: UInt16, line: UInt32) {
        self.file = file
        self.line = line
    }
}

/// What many streams share. Texts are empty where the log does not tell.
package struct Surroundings: Sendable, Hashable {
    /// The route's pattern, as configured.
    package var route = ""
    /// The upstream's name, as configured.
    package var upstream = ""
    /// The address of the server.
    package var server = ""
    /// The request's host.
    package var host = ""
    /// The path; one word for all of them when there are too many different ones.
    package var path = ""
    /// The class of the client's program (`agent`).
    package var agent = ""
    /// The version of HTTP that the client speaks (`http`).
    package var http = ""
    /// The intermediaries that gave themselves away (`hops`), sorted.
    package var hops: [String] = []
    /// The absolute limit that Envoy told (`expected_timeout_ms`); 0 for none.
    package var expectedTimeout: UInt32 = 0
    /// Whether the client speaks TLS.
    package var isTLS = false

    /// Nothing yet.
    package init() {}
}

/// A request that was refused with 401 or 403, or by a limit of the proxy.
package struct RefusalFacts: Sendable {
    /// When, in milliseconds since 1970-01-01 UTC.
    package var time: Int64
    /// The client as in `StreamFacts.client`, so it holds token and path.
    package var client: TableIndex
    /// The path alone.
    package var surroundings: TableIndex
    /// The status of the answer.
    package var status: UInt16
    /// Whether the request had a token.
    package var hasToken: Bool
    /// The proxy's own reason, where it refused.
    package var cause: Cause?
    /// Where its line is.
    package var place: LogPlace
}

/// One start or reload of the proxy (`proxy_start`).
package struct StartFacts: Sendable {
    /// When, in milliseconds since 1970-01-01 UTC.
    package var time: Int64
    /// A reload of the configuration, not a new process.
    package var isReload: Bool
    /// The heartbeat interval from then on; 0 where the line does not tell it.
    package var heartbeatMilliseconds: UInt32
}

/// How events came from the server, where an event log tells it: one by one, or in lumps. Of each stream what came after its first lump.
package struct LumpFacts: Sendable, Equatable {
    /// Streams that had a second lump.
    package var streams = 0
    /// Instants in which events came.
    package var instants = 0
    /// Instants with five and more small events.
    package var lumps = 0
    /// How large the lumps were together, in bytes.
    package var bytes = 0
    /// Lumps that end a multiple of 4 KiB after the first lump, if the blank line behind each event has one byte.
    package var fullWithShortEnds = 0
    /// The same if it has two bytes.
    package var fullWithLongEnds = 0
    /// How many of the lumps would end there by chance.
    package var byChance = 0.0
    /// Names of a few of these streams, as in the log.
    package var examples: [String] = []

    /// None.
    package init() {}
}

/// All that was read.
package struct LogFacts: Sendable {
    /// The streams, in order of their opening.
    package var streams: [StreamFacts] = []
    /// What many streams share, each once.
    package var surroundings: [Surroundings] = []
    /// The addresses before the proxy, without ports.
    package var addresses: [String] = []
    /// How many different clients there are; a client is a number below it.
    package var clientCount = 0
    /// Requests that were refused, in the order of the lines.
    package var refusals: [RefusalFacts] = []
    /// Starts and reloads, in order of time.
    package var starts: [StartFacts] = []
    /// How events came from the server.
    package var lumps = LumpFacts()
    /// The files, in the order of the command line.
    package var files: [String] = []
    /// Names of files that were left out, because the same file stands under another name in `files`.
    package var repeatedFiles: [String] = []
    /// All lines, empty ones too.
    package var lineCount = 0
    /// Lines that were no JSON or of an unknown event.
    package var skippedLineCount = 0
    /// Lines that the proxy itself could not write (`log_dropped`): what they would have said is missing here.
    package var droppedLineCount = 0
    /// One in so many clients was kept, when there were more streams than memory: 1 for all.
    package var keptOneIn = 1
    /// How many streams were left out for that reason.
    package var leftOutStreamCount = 0
    /// The earliest time of a line, in milliseconds since 1970-01-01 UTC; 0 without any. Times that cannot be do not count here.
    package var firstTime: Int64 = 0
    /// The latest time of a line, likewise.
    package var lastTime: Int64 = 0
    /// How many lines have a time that cannot be: far from their neighbours', or years away from all others.
    package var wrongTimeLineCount = 0
    /// Such a time, likewise.
    package var wrongTime: Int64 = 0

    /// Nothing yet.
    package init() {}
}

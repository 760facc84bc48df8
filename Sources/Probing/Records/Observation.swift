// What happened on one connection of a probe, with its times. All verdicts are made from these values alone. Times are milliseconds since
// the request was sent, by the probe's own clock; where the connection could not be made, since it was begun.

import ProbeScripts

/// How a connection of a probe ended.
package enum FlightEnding: Sendable, Equatable {
    /// The probe closed it: its time was over, or it had what it wanted.
    case stopped
    /// The response was whole: its last chunk or its whole length came.
    case complete
    /// The peer ended its sending in the middle of the response, without the last chunk; over TLS without close_notify where
    /// `isAuthentic` is false.
    case closed(isAuthentic: Bool)
    /// A response without length or chunks ended with its connection, which is how such a response ends; whether it was cut cannot be
    /// told.
    case closedAsDelimiter(isAuthentic: Bool)
    /// The connection was reset.
    case reset
    /// The connection broke in another way, in the system's words.
    case broke(String)
    /// No connection was made, in the system's words.
    case notConnected(String)
    /// TLS failed, in OpenSSL's words.
    case notSecured(String)
    /// The peer does not speak HTTP, or breaks its rules; of HTTP/2 with the code that was sent to it.
    case brokeRules(String)
    /// The peer reset the stream (RST_STREAM), with that code.
    case streamReset(String)
    /// The peer said GOAWAY and did not serve the stream.
    case leftBehind
    /// The connection takes no more streams.
    case notOpened(String)
}

/// What happened on one connection.
package struct Observation: Sendable {
    /// Some bytes of the body that came at one moment.
    package struct Arrival: Sendable, Equatable {
        /// When they came.
        package var at: Int64
        /// How many, without framing.
        package var bytes: Int
    }

    /// One item of a script that came.
    package struct ArrivedItem: Sendable, Equatable {
        /// When it came.
        package var at: Int64
        /// What it says.
        package var item: ProbeItem
    }

    /// More arrivals and items than this are counted and not kept.
    static let arrivalLimit = 4_096
    /// How much is kept of a body, for its first line.
    static let beginningBytes = 2_048

    /// What was asked for.
    package var plan: FlightPlan
    /// When the request was sent, by the run's clock.
    package var sentAt: Int64 = 0
    /// How long connecting took; nil if it failed.
    package var connectMilliseconds: Int64?
    /// The TLS version; nil without TLS.
    package var security: String?
    /// When the response's head came.
    package var headAt: Int64?
    /// The status; 0 before it came.
    package var status = 0
    /// The version of HTTP that is spoken, as logs have it: `1.0`, `1.1` or `2`.
    package var http = "1.1"
    /// Whether the peer could choose HTTP/2, over TLS.
    package var couldChooseHTTP2 = false
    /// The code with which the peer said last that it takes no new streams; nil if it did not.
    package var goAway: String?
    /// The response's fields in their order, names in lower case.
    package var fields: [(name: String, value: String)] = []
    /// How the body is delimited, in the words of the standard.
    package var framing = ""
    /// When bytes of the body came.
    package var arrivals: [Arrival] = []
    /// When the last byte of the body came.
    package var lastByteAt: Int64?
    /// How many bytes of the body came.
    package var bodyBytes = 0
    /// How many events a browser would have dispatched.
    package var events: UInt64 = 0
    /// The items of a script that came.
    package var items: [ArrivedItem] = []
    /// What the endpoint said of the request as it arrived.
    package var facts: [(name: String, value: String)] = []
    /// The beginning of the body.
    package var beginning: [UInt8] = []
    /// How it ended; nil while it lasts.
    package var ending: FlightEnding?
    /// When it ended.
    package var endedAt: Int64 = 0

    /// Nothing has happened yet.
    package init(_ plan: FlightPlan) { self.plan = plan }

    /// The first value of a field.
    package func value(of lowercasedName: String) -> String? { fields.first { $0.name == lowercasedName }?.value }

    /// What the endpoint said under that name.
    package func fact(_ name: String) -> String? { facts.first { $0.name == name }?.value }

    /// Whether the endpoint itself answered: the nonce came back.
    package var isFromEndpoint: Bool {
        guard case .play(let script) = plan.request else { return false }
        return fact("nonce") == script.nonce
    }

    /// Whether somebody else ended it.
    package var wasEnded: Bool { ending != nil && ending != .stopped }

    /// How long nothing had come when it ended: since the last byte, else since the head, else since the request.
    package var silenceAtEnd: Int64 { endedAt - (lastByteAt ?? headAt ?? 0) }

    /// The first line of the body, for an error's page; empty without one.
    package var firstLine: String {
        let text = String(decoding: beginning, as: UTF8.self)
        let line = text.split(whereSeparator: { $0.isNewline }).first { !$0.allSatisfy(\.isWhitespace) } ?? ""
        return String(line.prefix(160))
    }
}

// What is true in the simulated world: what servers did with each request, what clients did, how attempts to connect came
// out. The actors write it down when they do it; the checks hold the proxy's answers and its log against it.
// Invariant: nothing here is learned from the proxy.

import Reactor

/// How one side ended something, of its own accord.
enum Deed: String {
    case finished, cutOff, reset, vanished, left
    /// Closed or reset a connection without having answered what was asked on it.
    case wentWithoutAnswer
    /// Sent what is no HTTP.
    case babbled
    /// Sent what is no TLS, where there should be TLS.
    case brokeTLS
}

/// What one server did with a request that came to it.
final class Arrival {
    let server: SocketAddress
    /// When the whole request had come.
    let cameAt: Int64
    /// What it answered, and when it sent the head; nil while it has not.
    private(set) var answer: Answer?
    private(set) var answeredAt: Int64?
    /// The body that the server has put on its way so far, framing taken off.
    var body: [UInt8] = []
    /// When the last of it was sent.
    var lastSentAt: Int64
    /// How it ended. What comes upon an end while that is still on its way may overtake it, so several may be true.
    private(set) var deeds: [Deed] = []
    /// It ended before all of `body` was on its way.
    var isTruncated = false
    /// It came to a server that cannot prove who it is.
    var isByImpostor = false
    /// It is not safe to repeat (RFC 9110 section 9.2.2).
    var isPOST = false
    /// The longest time for which it let the client wait in the middle of a line.
    var longestPauseInLine: Int64 = 0

    init(at server: SocketAddress, cameAt: Int64) {
        self.server = server
        self.cameAt = cameAt
        lastSentAt = cameAt
    }

    func answered(_ answer: Answer, at moment: Int64) {
        self.answer = answer
        answeredAt = moment
        lastSentAt = moment
    }

    func did(_ deed: Deed) { deeds.append(deed) }
}

/// What a server answers a request for an event stream with.
struct Answer {
    var status = 200
    var contentType = "text/event-stream"
    var isCompressed = false
    var setsCookie = false

    /// Whether an EventSource takes it.
    var isStream: Bool { status == 200 && contentType.hasPrefix("text/event-stream") }
}

/// What is true of one request. Where the proxy sent it several times, the last server's deeds count.
final class Truth {
    let path: String
    let isStream: Bool
    let isSlow: Bool
    /// The body of the request, framing taken off.
    let requestBody: [UInt8]
    /// What an EventSource brought along.
    let lastEventID: [UInt8]
    var clientDeed: Deed?
    /// The client left, besides what else it did.
    var hasLeft = false
    /// The client's end of the connection that it asked on.
    var socket: SimulatedSocket?
    /// When the client asked; nil before it has.
    var askedAt: Int64?
    private(set) var arrivals: [Arrival] = []

    var present: Arrival? { arrivals.last }
    var body: [UInt8] { present?.body ?? [] }

    init(path: String, isStream: Bool, isSlow: Bool = false, requestBody: [UInt8] = [], lastEventID: [UInt8] = []) {
        self.path = path
        self.isStream = isStream
        self.isSlow = isSlow
        self.requestBody = requestBody
        self.lastEventID = lastEventID
    }

    var description: String {
        let came = arrivals.map { arrival in
            let answer = arrival.answer.map { "\($0.status) at \(arrival.answeredAt ?? 0)" } ?? "nothing"
            return
                """
                came at \(arrival.cameAt), answered \(answer), \(arrival.body.count) bytes until \(arrival.lastSentAt), \
                \(arrival.deeds.map(\.rawValue))
                """
        }
        return
            """
            \(path) asked at \(askedAt.map(String.init) ?? "no time")\(isSlow ? ", slow" : ""), client \
            \(clientDeed?.rawValue ?? "did nothing"); \(came)
            """
    }

    func begin(at server: SocketAddress, _ moment: Int64) -> Arrival {
        let arrival = Arrival(at: server, cameAt: moment)
        arrivals.append(arrival)
        return arrival
    }
}

/// One attempt of the proxy's to connect to a server.
final class ConnectionAttempt {
    enum Outcome { case pending, open, refused, exhausted, full }

    let address: SocketAddress
    let beganAt: Int64
    private(set) var outcome = Outcome.pending
    /// When the outcome was known.
    private(set) var endedAt: Int64?

    init(to address: SocketAddress, at moment: Int64) {
        self.address = address
        beganAt = moment
    }

    func cameOut(_ outcome: Outcome, at moment: Int64) {
        self.outcome = outcome
        endedAt = moment
    }
}

/// How many connections the proxy had when it took one, this one included.
struct Crowding {
    var total: Int
    var ofPeer: Int
}

// What really happened in the simulated world: what servers did with each request, what clients did, how connection attempts ended. The
// actors record it when they do it; the checks compare the proxy's answers and its log with it. Invariant: nothing here comes from the
// proxy.

import Reactor

/// How one side ended something on its own initiative.
enum Deed: String {
    case finished, cutOff, reset, vanished, left
    /// Closed or reset a connection without answering a request on it.
    case wentWithoutAnswer
    /// Sent invalid HTTP.
    case babbled
    /// Sent bytes that are not TLS on a TLS connection.
    case brokeTLS
}

/// What one server did with a request that it received.
final class Arrival {
    let server: SocketAddress
    /// When the whole request had arrived.
    let cameAt: Int64
    /// When its head had arrived, where the server reads the rest slowly.
    var headCameAt: Int64
    /// Its answer, and when it sent the head; nil before that.
    private(set) var answer: Answer?
    private(set) var answeredAt: Int64?
    /// The body that the server has sent so far, without framing.
    var body: [UInt8] = []
    /// When the last byte was sent.
    var lastSentAt: Int64 {
        didSet {
            begun.append((body.count, lastSentAt))
            lastGoneAt = nil
        }
    }
    /// When everything sent so far had left the server; nil while some of it waits.
    private(set) var lastGoneAt: Int64?
    /// When the server began to send the body's bytes, and when they had left it; each with the size of the body by then.
    private(set) var begun: [(byteCount: Int, at: Int64)] = []
    private(set) var gone: [(byteCount: Int, at: Int64)] = []
    /// How it ended. A later event may overtake an end that is still on its way, so several may be true.
    private(set) var deeds: [Deed] = []
    /// The proxy has ended its connection to the server.
    var isProxyGone = false
    /// It came without an end of any kind so far.
    var isUnderWay: Bool { deeds.isEmpty && !isProxyGone }
    /// It ended before all of `body` was sent.
    var isTruncated = false
    /// It reached a server that cannot prove its name.
    var isByImpostor = false
    /// The server was told that it came from another client, as the client claimed.
    var isClaimed = false
    /// The values of the request's Authorization fields, and of those that name its user in any spelling.
    var authorizations: [String] = []
    var users: [String] = []
    /// The values of the fields that come from a service, in any spelling, and whether there are others of its answer.
    var members: [String] = []
    var answerNumbers: [String] = []
    var hasOthersOfService = false
    var method = "GET"
    /// Whether a token stands in its cookies.
    var cookieHoldsToken = false
    /// Whom the server takes its client for.
    var identity: String { users.isEmpty && members.isEmpty ? "nobody" : (users + members).joined(separator: "+") }
    /// It is not safe to repeat (RFC 9110 section 9.2.2).
    var isPOST = false
    /// The longest time for which the server made the client wait in the middle of a line.
    var longestPauseInLine: Int64 = 0

    /// When the server said nothing behind a blank line, and how many bytes of its body it had sent.
    private(set) var rests: [(from: Int64, until: Int64?, byteCount: Int)] = []

    init(at server: SocketAddress, cameAt: Int64) {
        self.server = server
        self.cameAt = cameAt
        headCameAt = cameAt
        lastSentAt = cameAt
    }

    func answered(_ answer: Answer, at moment: Int64) {
        self.answer = answer
        answeredAt = moment
        lastSentAt = moment
    }

    /// All of the body so far has left the server.
    func hasGone(at moment: Int64) {
        lastGoneAt = moment
        gone.append((body.count, moment))
        if Text.endsBlank(body) { rests.append((moment, nil, body.count)) }
    }

    /// It goes on.
    func goesOn(at moment: Int64) { if let last = rests.indices.last, rests[last].until == nil { rests[last].until = moment } }

    func did(_ deed: Deed) { deeds.append(deed) }
}

/// A server's answer to a request for an event stream.
struct Answer {
    var status = 200
    var contentType = "text/event-stream"
    var isCompressed = false
    var setsCookie = false

    /// Whether an EventSource accepts it.
    var isStream: Bool { status == 200 && contentType.hasPrefix("text/event-stream") }
}

/// What really happened to one request. If the proxy sent it several times, the last server's actions count.
final class Truth {
    let path: String
    let isStream: Bool
    let isSlow: Bool
    /// The body of the request, without framing.
    let requestBody: [UInt8]
    /// The version of HTTP.
    var version = "1.1"
    /// The class of its User-Agent; nil without one.
    var agent: String?
    /// Whether its server sends much, for a page that reads little.
    var isRich = false
    /// The token that it brings, which its server repeats in its stream; nil without one.
    var token: [UInt8]?
    /// The credentials that it brings; nil where nobody checks them.
    var credentials: BroughtCredentials?
    /// What a page asks for, where the route names its readers; nil elsewhere.
    var crossOrigin: CrossOriginAsk?
    /// The session that it brings, where a service is asked; nil elsewhere.
    var session: Session?
    /// Whether it is an EventSource's, which gets nothing of a service's refusal but the status.
    var isPlainlyRefused = false
    /// When its client read the first bytes of the answer; nil before that.
    var heardAt: Int64?
    /// The proxies in front that its Via names.
    var hops: [String] = []
    /// The id that an EventSource brought. A watcher brings another one each time.
    var lastEventID: [UInt8]
    var clientDeed: Deed?
    /// Whether the client left, in addition to its other actions.
    var hasLeft = false
    /// Whether it may have reset its stream before its connection was lost: nobody knows whether the reset has left.
    var mayHaveLeft = false
    /// The client's connection, or stream, with the request.
    var wire: Wire?
    /// The client's end of that connection.
    var socket: SimulatedSocket? { wire?.socket }
    /// When the client sent the request; nil before that.
    var askedAt: Int64?
    /// When a client asked for it last, where that happens more than once.
    var lastAskedAt: Int64?
    private(set) var arrivals: [Arrival] = []

    /// Whether its stream begins with an event that says whose it is.
    var isForUser: Bool { Scenario.isOfLaterRoute(path) && crossOrigin == nil }
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

/// One attempt of the proxy to connect to a server.
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

/// How many connections the proxy had when it accepted one, this one included.
struct Crowding {
    var total: Int
    var ofPeer: Int
}

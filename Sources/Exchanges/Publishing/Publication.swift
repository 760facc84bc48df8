// An event that somebody publishes, and for which streams it is meant.
//
//     request ──▶ exchange ──▶ mailbox of each worker ──▶ its streams: the event between two of the server's
//                    ▲                                        │
//                    └──── the answers, added up ◀────────────┘
//
// Invariant: a stream gets an event for a token only if all who read the stream have that token.

import Configuration
import EventStream

/// An event for some streams of a route.
struct Publication: Sendable {
    let event: OwnEvent
    /// The name of the route.
    let route: String
    /// The hash of the path of the streams' URLs; nil for all.
    let path: Int?
    /// The fingerprint of the token with which they were opened; nil for all.
    let token: UInt64?

    /// Whether it is meant for a stream of that route.
    func isMeant(for place: PublishingPlace, on routeName: String) -> Bool {
        guard route == routeName else { return false }
        if let token, place.token != token { return false }
        return path.map { $0 == place.path } ?? true
    }
}

/// What those who publish know of a stream besides its route.
struct PublishingPlace {
    /// The hash of the path of its URL; nil where not all of it is known. Nobody outside of this process can foresee hashes.
    var path: Int? { pathOrZero == 0 ? nil : pathOrZero }
    /// The fingerprint of the token that all who read the stream have; nil where there is none.
    var token: UInt64? { tokenOrZero == 0 ? nil : tokenOrZero }
    // Zero stands for nil, because each kept stream has a place. One that is zero by chance gets no events that are for it alone.
    private let pathOrZero: Int
    private let tokenOrZero: UInt64

    /// That of the stream which the exchange opens.
    init(of exchange: Exchange, _ terms: CompiledContinuity) {
        pathOrZero = exchange.summary.path.flatMap { $0.count < RequestSummary.pathLimit ? Array($0).hashValue : nil } ?? 0
        tokenOrZero = (terms.hasOneToken ? exchange.account.token?.fingerprint : nil) ?? 0
    }
}

/// How many streams have got an event, and how many clients read them.
struct PublicationCount: Sendable, Equatable {
    var streams = 0
    var clients = 0

    /// The answer to the request.
    var json: [UInt8] { Array("{\"streams\":\(streams),\"clients\":\(clients)}".utf8) }
}

/// A request to publish while workers append its event.
final class PendingPublication {
    private let exchange: Exchange
    /// The request's `Idempotency-Key`; nil without one.
    private let key: [UInt8]?
    /// How many workers have not answered yet.
    var awaited = 0
    private var count = PublicationCount()

    init(of exchange: Exchange, key: [UInt8]?) {
        self.exchange = exchange
        self.key = key
    }

    /// Adds the answer of a worker. Returns whether it is the last one.
    func counts(_ answer: PublicationCount) -> Bool {
        count.streams += answer.streams
        count.clients += answer.clients
        awaited -= 1
        return awaited == 0
    }

    /// All workers have answered.
    func finish() { exchange.published(count, key) }
}

// The streams of one worker that live only for as long as somebody stands by their credentials: a service that is asked again, or a
// ticket that can be taken back. Only routes with such a service or ticket register streams here, and all others pay nothing. Invariant:
// a stream that has ended is not here.

import Credentials
import Telemetry

/// Finds the exchanges of the same credentials, so that all of them end together.
final class AuthorizedStreams {
    /// Names credentials: 16 bytes that differ for different ones, and tell nothing of them.
    struct Key: Hashable {
        private let words: (UInt64, UInt64)

        /// The key of a digest, for example of a request's cookie.
        init(_ digest: KeyedDigest) { words = digest.beginning }

        /// The key of a ticket and all that renew it.
        init(_ ticket: TicketID) { words = ticket.words }

        static func == (left: Key, right: Key) -> Bool { left.words == right.words }

        func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
    }

    /// By the number of the exchange, so that one leaves in the same time however many there are.
    private var exchanges: [Key: [UInt64: Exchange]] = [:]
    private var keys: [UInt64: [Key]] = [:]
    /// What was found about streams that end now.
    private var endings: [UInt64: Ending] = [:]

    /// The number of credentials that streams have. For tests.
    var count: Int { exchanges.count }

    /// Registers an exchange under its credentials until it ends. It may have several keys: a ticket and a service's answer.
    func register(_ exchange: Exchange, under key: Key) {
        exchange.flags.insert(.isRegistered)
        guard exchanges[key, default: [:]].updateValue(exchange, forKey: exchange.number) == nil else { return }
        keys[exchange.number, default: []].append(key)
    }

    /// Whether an exchange has these credentials.
    func contains(_ key: Key) -> Bool { exchanges[key] != nil }

    /// The exchanges with these credentials.
    func exchanges(of key: Key) -> [Exchange] { exchanges[key].map { Array($0.values) } ?? [] }

    /// Ends all exchanges with these credentials, the oldest first: each stream as soon as no event is open, at most a second later.
    /// Returns their number.
    @discardableResult
    func endAll(_ key: Key, _ cause: Cause, evidence: String) -> Int {
        let ended = exchanges(of: key).sorted { $0.number < $1.number }
        for exchange in ended { exchange.endByVerdict(cause, evidence: evidence) }
        return ended.count
    }

    /// Keeps why a stream ends until it has ended. What was found first counts.
    func note(_ ending: Ending, about exchange: Exchange) {
        exchange.flags.insert(.isRegistered)
        if endings[exchange.number] == nil { endings[exchange.number] = ending }
    }

    /// Why a stream ends.
    func ending(of exchange: Exchange) -> Ending? { endings[exchange.number] }

    /// The exchange is over. Called for those that are flagged as registered.
    func remove(_ exchange: Exchange) {
        endings[exchange.number] = nil
        guard let known = keys.removeValue(forKey: exchange.number) else { return }
        for key in known {
            exchanges[key]?[exchange.number] = nil
            if exchanges[key]?.isEmpty == true { exchanges[key] = nil }
        }
    }
}

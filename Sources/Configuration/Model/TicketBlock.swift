// Tickets: what opens event streams in place of a token, because an EventSource can send neither a token in a field nor a new URL.

import Credentials

/// One kind of tickets, as it is configured.
package struct TicketBlock: Sendable, Equatable {
    /// For whom a ticket opens something.
    package enum Bond: Sendable, Equatable {
        /// For pages of the origin to which it was given.
        case origin
        /// For clients with the same address.
        case address
        /// For clients with the same certificate.
        case certificate
        /// For everybody who has it.
        case off
    }

    /// What routes call it.
    package var name: String
    /// The keys, of 32 bytes each: the first one seals, all of them open.
    package var keys: [[UInt8]] = []
    /// The path at which tickets are given out and taken back, compared byte by byte.
    package var path = "/-/ticket"
    /// For how long a ticket opens streams, in milliseconds, a whole number of seconds.
    package var lifetimeMilliseconds = 300_000
    /// The name of the cookie, without `__Host-`; nil where tickets come in no cookie.
    package var cookie: String? = "heartwire"
    /// The name of the query parameter; nil where tickets come in no URL.
    package var query: String?
    /// Whether each stream that a cookie opens sets a fresh one.
    package var renews = true
    /// For how long a ticket is renewed, in milliseconds, a whole number of seconds.
    package var limitMilliseconds = 43_200_000
    /// For whom a ticket opens something.
    package var bond = Bond.origin
    /// The pages of other origins that may ask for tickets.
    package var allowedOrigins: [OriginPattern] = []

    /// Tickets without a key.
    package init(name: String) { self.name = name }

    /// Where browsers put the tickets. With the prefix they take the cookie only from this host, over TLS (RFC 6265bis section 4.1.3.2).
    package var places: TicketPlaces { TicketPlaces(name: name, cookie: cookie.map { "__Host-\($0)" }, query: query) }
}

// What a route tells the clients of its streams about the ends of their tokens.

/// How the clients of a route learn that the time of a token is over, or will be soon.
package struct ExpiryPolicy: Sendable, Equatable {
    /// A warning, once for each stream.
    package struct Warning: Sendable, Equatable {
        /// How long before the token's `exp` it comes at the latest, in milliseconds (1,000 ... 3,600,000). Each stream is warned up to
        /// half of that earlier, so that not all pages renew their tokens in one moment.
        package var leadMilliseconds: Int
        /// The name of the event.
        package var eventName: String

        /// A warning.
        package init(leadMilliseconds: Int, eventName: String = ExpiryPolicy.defaultWarningName) {
            self.leadMilliseconds = leadMilliseconds
            self.eventName = eventName
        }
    }

    /// The default name of the event at the end. Not `error`: scripts would take that for a lost connection.
    package static let defaultEventName = "token_expired"
    /// The default name of the warning.
    package static let defaultWarningName = "token_expiring"

    /// The event that tells an EventSource of the end; nil where a status at the opening tells it, and nothing in a stream.
    package var eventName: String? = ExpiryPolicy.defaultEventName
    /// Nil for none.
    package var warning: Warning?

    /// The documented default: an event at the end, and no warning.
    package init() {}
}

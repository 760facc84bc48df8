// Where an issuer is asked about its tokens (RFC 7662).

/// An introspection endpoint.
package struct Introspection: Sendable, Equatable {
    /// The endpoint, for how long its answers are good, and how often it is asked again.
    package var asked: ForwardAuth
    /// What the proxy is known by there.
    package var clientID: String
    /// The proof of that.
    package var clientSecret: String

    /// An endpoint.
    package init(asked: ForwardAuth, clientID: String, clientSecret: String) {
        self.asked = asked
        self.clientID = clientID
        self.clientSecret = clientSecret
    }
}

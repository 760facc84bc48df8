// A token that the proxy gets for servers, as it is configured.

/// Who issues a token to the proxy, and for whom (RFC 6749 section 4.4).
package struct ServiceToken: Sendable, Equatable {
    /// What the configuration calls it.
    package var name: String
    /// Where it is fetched, and how long that may take.
    package var service: ServiceEndpoint
    /// The id of the client that the proxy is.
    package var clientID: String
    /// Its secret.
    package var clientSecret: String
    /// The scopes that are asked for; empty for those that the server chooses.
    package var scopes: [String]

    /// A token.
    package init(name: String, service: ServiceEndpoint, clientID: String, clientSecret: String, scopes: [String] = []) {
        self.name = name
        self.service = service
        self.clientID = clientID
        self.clientSecret = clientSecret
        self.scopes = scopes
    }
}

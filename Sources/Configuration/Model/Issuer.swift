// Who signs tokens, and what a route wants of them. Files of keys are named here and read by the proxy.

import Credentials

/// An issuer of tokens, as it is configured.
package struct Issuer: Sendable, Equatable {
    /// Where a key comes from.
    package enum Key: Sendable, Equatable {
        /// A public key in a PEM file, for one algorithm; `name` is the `kid` of its tokens.
        case file(String, SignatureAlgorithm, name: String?)
        /// A secret, for one algorithm.
        case secret([UInt8], SignatureAlgorithm, name: String?)
        /// A file with a set of keys (RFC 7517).
        case set(file: String)
    }

    /// What its tokens must be.
    package var rules: IssuerRules
    /// Its keys.
    package var keys: [Key]
    /// Where its keys are fetched; nil where they are configured.
    package var keysURL: KeysURL?
    /// Where it is asked about its tokens; nil where it has keys.
    package var introspection: Introspection?

    /// An issuer.
    package init(rules: IssuerRules, keys: [Key], keysURL: KeysURL? = nil, introspection: Introspection? = nil) {
        self.rules = rules
        self.keys = keys
        self.keysURL = keysURL
        self.introspection = introspection
    }
}

/// Where the keys of an issuer are fetched, and when.
package struct KeysURL: Sendable, Equatable {
    /// The server, with the path of the keys.
    package var service: ServiceEndpoint
    /// When they are fetched.
    package var times: KeyTimes

    /// Keys under a URL.
    package init(service: ServiceEndpoint, times: KeyTimes = KeyTimes()) {
        self.service = service
        self.times = times
    }
}

/// How a route checks its tokens.
package struct BearerCheck: Sendable, Equatable {
    /// The issuers, by what the configuration calls them.
    package var issuers: [String]
    /// What the route wants of a good token.
    package var claims: ClaimRules
    /// What clients are told about the ends of their tokens.
    package var expiry = ExpiryPolicy()

    /// A check.
    package init(issuers: [String], claims: ClaimRules = ClaimRules()) {
        self.issuers = issuers
        self.claims = claims
    }
}

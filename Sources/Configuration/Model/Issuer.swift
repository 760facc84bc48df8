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

    /// An issuer.
    package init(rules: IssuerRules, keys: [Key]) {
        self.rules = rules
        self.keys = keys
    }
}

/// How a route checks its tokens.
package struct BearerCheck: Sendable, Equatable {
    /// The issuers, by what the configuration calls them.
    package var issuers: [String]
    /// What the route wants of a good token.
    package var claims: ClaimRules

    /// A check.
    package init(issuers: [String], claims: ClaimRules = ClaimRules()) {
        self.issuers = issuers
        self.claims = claims
    }
}

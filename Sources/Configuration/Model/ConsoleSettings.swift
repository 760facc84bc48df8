// The operator's own listener, as a value. Invariant: a parsed value can be reached from other machines only over TLS, and only with a
// token or a client certificate.

import Credentials

/// The operator's listener: metrics, health, the live page.
package struct ConsoleSettings: Sendable, Equatable {
    /// Its addresses: numeric ones, `*`, or `unix:` and a path as the host.
    package var listeners: [Listener]
    /// The digest of the token that requests have to bring, except those about health; nil for none.
    package var tokenDigest: TokenDigest?
    /// The names by which it may be asked, in lower case and without a port, besides those of this machine's loopback.
    package var allowedHosts: [String]

    /// A listener on these addresses.
    package init(listeners: [Listener], tokenDigest: TokenDigest? = nil, allowedHosts: [String] = []) {
        self.listeners = listeners
        self.tokenDigest = tokenDigest
        self.allowedHosts = allowedHosts
    }
}

extension Listener {
    /// What stands before a path in the place of the host.
    package static let unixPrefix = "unix:"

    /// Whether it is a UNIX socket; only the console has such listeners.
    package var isUnix: Bool { host.hasPrefix(Listener.unixPrefix) }

    /// Whether only programs of this machine can reach it: a UNIX socket or a loopback address (RFC 1122 section 3.2.1.3, RFC 4291
    /// section 2.5.3).
    package var isLocal: Bool { isUnix || host == "::1" || host.hasPrefix("127.") }
}

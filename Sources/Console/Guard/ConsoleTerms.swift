// What a request to the console must bring. A reload makes another value. Invariant: every name is in lower case and has no port.

import Configuration
import Credentials

/// What the console demands of a request.
package struct ConsoleTerms: Equatable, Sendable {
    /// How many random bytes the page's token has.
    package static let pageTokenBytes = 16

    /// The names by which it may be asked.
    let hosts: Set<[UInt8]>
    /// The digest of the operator's token; nil where none is needed.
    let tokenDigest: TokenDigest?
    /// The token that the page brings with an action, in hexadecimal digits. Each process makes its own.
    let pageToken: [UInt8]

    /// The terms of a configuration. `pageToken` is random.
    package init(_ settings: ConsoleSettings, pageToken: [UInt8]) {
        var hosts: Set<[UInt8]> = [Array("localhost".utf8), Array("127.0.0.1".utf8), Array("[::1]".utf8)]
        for name in settings.allowedHosts { hosts.insert(Array(ConsoleTerms.bracketed(name).utf8)) }
        // Nobody's page can have a numeric address of ours as its name in DNS.
        for listener in settings.listeners where !listener.isUnix && listener.host != "*" {
            hosts.insert(Array(ConsoleTerms.bracketed(listener.host).utf8))
        }
        self.hosts = hosts
        tokenDigest = settings.tokenDigest
        self.pageToken = pageToken
    }

    private init(hosts: Set<[UInt8]>, pageToken: [UInt8]) {
        self.hosts = hosts
        tokenDigest = nil
        self.pageToken = pageToken
    }

    /// The terms of a configuration without a console: nobody is served. A connection can outlive the console that accepted it.
    package static func closed(pageToken: [UInt8]) -> ConsoleTerms { ConsoleTerms(hosts: [], pageToken: pageToken) }

    private static func bracketed(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }
}

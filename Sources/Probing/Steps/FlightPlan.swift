// What one connection of a probe asks for, and when the probe itself ends it. A step is made of rounds of these.

import ProbeScripts

/// One connection of a probe.
package struct FlightPlan: Sendable, Equatable {
    /// What is asked for.
    package enum Request: Sendable, Equatable {
        /// The URL as it was given.
        case url
        /// A play of the endpoint.
        case play(ProbeScript)
        /// How the proxy saw that play.
        case seen(nonce: String, askedAt: Int64)
    }

    /// Which version of HTTP is spoken.
    package enum Version: Sendable {
        /// What client and server agree on.
        case usual
        /// HTTP/1.1, also where the server would choose HTTP/2.
        case http11
        /// HTTP/1.0.
        case http10
    }

    /// What it is in its step, in one or two words.
    package var label: String
    /// What is asked for.
    package var request: Request
    /// Whether a compressed response is welcome.
    package var acceptsCompression = false
    /// The version of HTTP that the request wants.
    package var version = Version.usual
    /// Whether it goes on one connection with the others of its step that say so, as browsers do, where HTTP/2 is spoken.
    package var sharesConnection = false
    /// How long after the round's beginning the connection is made.
    package var delayMilliseconds: Int64 = 0
    /// When the probe closes the connection, in milliseconds since the request.
    package var limitMilliseconds: Int64
    /// The probe closes the connection once so many items of a script have come.
    package var itemLimit: Int?

    /// A connection.
    package init(_ label: String, _ request: Request, limitMilliseconds: Int64) {
        self.label = label
        self.request = request
        self.limitMilliseconds = limitMilliseconds
    }

    /// The script that it plays; nil for other requests.
    package var script: ProbeScript? {
        if case .play(let script) = request { script } else { nil }
    }

    /// The text that the probe proves to the endpoint; nil for a request to another server.
    package var provenText: String? {
        switch request {
        case .url: nil
        case .play(let script): script.query
        case .seen(let nonce, let askedAt): ProbeScript.seenQuery(nonce: nonce, askedAt: askedAt)
        }
    }
}

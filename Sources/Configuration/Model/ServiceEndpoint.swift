// An HTTP service that the proxy asks on its own behalf: for keys, for a token, or whether a request may pass. Each service becomes one
// more upstream, so that its name is looked up, its TLS verified and its connections kept like those of other servers.

/// Where a service is, and what is asked of it.
package struct ServiceEndpoint: Sendable, Equatable {
    /// What logs and metrics call the service, such as `issuer main`. No upstream of a file can have a name with a blank.
    package var name: String
    /// Its URL.
    package var url: ServiceURL
    /// How TLS is spoken to it; nil for plain HTTP.
    package var tls: UpstreamTLS?
    /// How long it may take to answer, in milliseconds, from the beginning of the question to the end of the answer.
    package var timeoutMilliseconds: Int

    /// A service. `tls` counts only where the URL begins with `https`.
    package init(name: String, url: ServiceURL, tls: UpstreamTLS = UpstreamTLS(), timeoutMilliseconds: Int) {
        self.name = name
        self.url = url
        self.tls = url.isSecure ? tls : nil
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// Its servers and their times.
    package var upstream: Upstream {
        Upstream(
            name: name, servers: [url.server], connectTimeoutMilliseconds: timeoutMilliseconds,
            responseTimeoutMilliseconds: timeoutMilliseconds, idleTimeoutMilliseconds: timeoutMilliseconds, tls: tls)
    }
}

/// An `http` or `https` URL without user and fragment.
package struct ServiceURL: Sendable, Equatable {
    /// The server.
    package var server: Upstream.Server
    /// Whether it is `https`.
    package var isSecure: Bool
    /// The path and the query; begins with `/`.
    package var target: String
    /// Host and port as they stand in the URL, for the Host field.
    package var authority: String

    /// A URL of these parts.
    package init(server: Upstream.Server, isSecure: Bool, target: String, authority: String) {
        self.server = server
        self.isSecure = isSecure
        self.target = target
        self.authority = authority
    }

    /// Whether only processes of this machine can answer it.
    package var isLoopback: Bool {
        server.host == "localhost" || server.host == "::1" || (server.host.hasPrefix("127.") && !server.host.contains { $0.isLetter })
    }
}

extension Configuration {
    /// The services that the proxy asks, in a fixed order.
    package var services: [ServiceEndpoint] {
        issuers.compactMap { $0.keysURL?.service ?? $0.introspection?.asked.service } + forwardAuths.map(\.service)
            + tokens.map(\.service)
    }

    /// The upstreams of routes, and behind them those of the services, in their order.
    package var allUpstreams: [Upstream] { upstreams + services.map(\.upstream) }
}

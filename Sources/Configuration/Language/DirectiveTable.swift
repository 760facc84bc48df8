// Every directive of the configuration language, described once.
//
// The interpreter, the suggestions for misspelt words, and the test that compares conf/README.md with the language all read this table.
// The interpreter applies a directive's arguments. Invariant: a name is unique in its scope, and a default is the one that the model's
// initializers use.

/// A property of the model, in a form that can be stored in a table.
typealias Setting<Root, Value> = any WritableKeyPath<Root, Value> & Sendable

/// Where a directive may stand.
enum Scope: String, Sendable, CaseIterable {
    case top, listen, listenTLS, upstream, upstreamTLS, route, limits, timeouts

    /// The scope as a message calls it.
    var phrase: String {
        switch self {
        case .top: "at the top level"
        case .listenTLS: "in the 'tls' block of a listener"
        case .upstreamTLS: "in the 'tls' block of an upstream"
        case .upstream: "in an 'upstream' block"
        case .listen, .route, .limits, .timeouts: "in a '\(rawValue)' block"
        }
    }

    /// The heading of its section in the reference.
    var title: String {
        switch self {
        case .top: "Top level"
        case .listenTLS: "tls of a listener"
        case .upstreamTLS: "tls of an upstream"
        case .listen, .upstream, .route, .limits, .timeouts: rawValue
        }
    }
}

/// One directive.
struct Directive: Sendable {
    /// What the directive changes, and how its arguments are read.
    enum Meaning: Sendable {
        case limit(Setting<Limits, Int>, Quantity)
        case timeout(Setting<Timeouts, Int>, Quantity)
        case general(Setting<Configuration, Int>, Quantity)
        case upstreamNumber(Setting<Upstream, Int>, Quantity)
        case log(Setting<Configuration, LogDestination>)
        case block(Scope)
        case listen, fingerprintKey, trustedProxies
        case server, balance, streamSilenceTimeout
        case routeUpstream, heartbeat, heartbeatComment, heartbeatForm, opening, hostField, outage, outageAnswers, early, logEvents
        case acceptEncoding, via
        case redirectToHTTPS, strictTransportSecurity
        case proxyProtocol
        case certificate, minimumVersion, clientCertificates, clientSubjectField, ticketLifetime
        case listenerTLSText(Setting<ListenerTLS, String?>)
        case upstreamTLSText(Setting<UpstreamTLS, String?>)
        case serverName, verification
        case bearerFrom, bearerMissing, bearerConflict, bearerCharacters, bearerLimit, realm, allowOrigin
    }

    var name: String
    var scope: Scope
    /// The arguments as a manual writes them; empty for none.
    var syntax: String
    var meaning: Meaning
    /// The arguments that have the same effect as no directive, or a sentence in parentheses.
    var defaultText: String
    /// Its meaning, in one sentence.
    var summary: String
    var isRepeatable = false
    /// Whether its arguments must never be shown.
    var isSecret = false

    /// How many arguments it takes, the opening brace not counted.
    var argumentCount: ClosedRange<Int> {
        switch meaning {
        case .limit, .timeout, .general, .upstreamNumber, .log, .fingerprintKey, .balance, .streamSilenceTimeout,
            .heartbeatComment, .heartbeatForm, .opening, .hostField, .logEvents, .bearerMissing, .bearerConflict, .bearerCharacters,
            .bearerLimit, .realm, .acceptEncoding, .via,
            .strictTransportSecurity, .minimumVersion, .clientCertificates, .clientSubjectField, .ticketLifetime, .listenerTLSText,
            .upstreamTLSText, .serverName, .verification, .proxyProtocol:
            1...1
        case .redirectToHTTPS: 0...1
        case .certificate: scope == .listenTLS ? 2...3 : 2...2
        case .block(let scope): scope == .upstream || scope == .route ? 1...1 : 0...0
        case .listen, .trustedProxies, .server, .routeUpstream, .outageAnswers, .allowOrigin: 1...64
        case .heartbeat, .early: 1...3
        case .outage: 1...2
        case .bearerFrom: 2...2
        }
    }

    /// The quantity that it sets, if any.
    var quantity: Quantity? {
        switch meaning {
        case .limit(_, let quantity), .timeout(_, let quantity), .general(_, let quantity),
            .upstreamNumber(_, let quantity):
            quantity
        case .streamSilenceTimeout: DirectiveTable.streamSilence
        case .heartbeat: DirectiveTable.heartbeatInterval
        case .outage: DirectiveTable.outageHold
        case .early: DirectiveTable.earlyAnswer
        case .bearerLimit: DirectiveTable.bearerBytes
        case .strictTransportSecurity: DirectiveTable.strictTransportSecurity
        case .ticketLifetime: DirectiveTable.ticketLifetime
        default: nil
        }
    }
}

enum DirectiveTable {
    static let heartbeatInterval = Quantity.milliseconds(100...3_600_000)
    static let outageHold = Quantity.milliseconds(0...3_600_000)
    static let earlyAnswer = Quantity.milliseconds(100...3_600_000)
    static let streamSilence = Quantity.milliseconds(100...86_400_000)
    static let strictTransportSecurity = Quantity.milliseconds(0...63_072_000_000)
    static let ticketLifetime = Quantity.milliseconds(600_000...604_800_000)
    static let bearerBytes = Quantity.bytes(16...65_536)
    static let fingerprintKeyBytes = 16...256
    static let heartbeatCommentBytes = 256
    static let heartbeatNameBytes = 64
    static let patternBytes = 1_024
    static let nameBytes = 64

    /// Every directive, in the order of the reference.
    static let all: [Directive] = top + listen + listenTLS + upstream + upstreamTLS + route + limits + timeouts

    /// The directives of a scope.
    static func directives(in scope: Scope) -> [Directive] { all.filter { $0.scope == scope } }

    private static let day = 86_400_000
    private static let hour = 3_600_000

    private static func quantityDirective(
        _ name: String, _ scope: Scope, _ meaning: Directive.Meaning, default value: Int, _ summary: String
    ) -> Directive {
        var directive = Directive(
            name: name, scope: scope, syntax: "", meaning: meaning, defaultText: "", summary: summary)
        if let quantity = directive.quantity {
            directive.defaultText = quantity.text(value)
            switch quantity.unit {
            case .count: directive.syntax = "COUNT"
            case .bytes: directive.syntax = "SIZE"
            case .milliseconds: directive.syntax = "DURATION"
            }
        }
        return directive
    }

    private static func general(
        _ name: String, _ path: Setting<Configuration, Int>, _ quantity: Quantity, _ summary: String
    ) -> Directive {
        quantityDirective(
            name, .top, .general(path, quantity), default: Configuration()[keyPath: path], summary)
    }

    private static func limit(
        _ name: String, _ path: Setting<Limits, Int>, _ quantity: Quantity, _ summary: String
    ) -> Directive {
        quantityDirective(name, .limits, .limit(path, quantity), default: Limits()[keyPath: path], summary)
    }

    private static func timeout(
        _ name: String, _ path: Setting<Timeouts, Int>, _ quantity: Quantity, _ summary: String
    ) -> Directive {
        quantityDirective(name, .timeouts, .timeout(path, quantity), default: Timeouts()[keyPath: path], summary)
    }

    private static func upstreamNumber(
        _ name: String, _ path: Setting<Upstream, Int>, _ quantity: Quantity, _ summary: String
    ) -> Directive {
        quantityDirective(
            name, .upstream, .upstreamNumber(path, quantity),
            default: Upstream(name: "", servers: [])[keyPath: path], summary)
    }

    private static let top: [Directive] = [
        Directive(
            name: "listen", scope: .top, syntax: "ADDRESS... [{ ... }]", meaning: .listen, defaultText: "(required)",
            summary: "Accepts clients on these addresses.", isRepeatable: true),
        Directive(
            name: "upstream", scope: .top, syntax: "NAME { ... }", meaning: .block(.upstream),
            defaultText: "(none)", summary: "Names a group of servers.", isRepeatable: true),
        Directive(
            name: "route", scope: .top, syntax: "[HOST]PATH { ... }", meaning: .block(.route),
            defaultText: "(required)", summary: "Says where requests go and how they are treated.",
            isRepeatable: true),
        Directive(
            name: "stream_log", scope: .top, syntax: "stdout|stderr|off|FILE", meaning: .log(\.streamLog),
            defaultText: "stdout", summary: "Where the opening and the end of every event stream are written."),
        Directive(
            name: "access_log", scope: .top, syntax: "stdout|stderr|off|FILE", meaning: .log(\.accessLog),
            defaultText: "off", summary: "Where all other exchanges are written."),
        Directive(
            name: "event_log", scope: .top, syntax: "stdout|stderr|off|FILE", meaning: .log(\.eventLog),
            defaultText: "off", summary: "Where each event that is passed on is written, without its data, and each heartbeat."),
        Directive(
            name: "fingerprint_key", scope: .top, syntax: "TEXT", meaning: .fingerprintKey,
            defaultText: "(a random key, made at every start)",
            summary: "The key of the token fingerprints in the logs.", isSecret: true),
        Directive(
            name: "trusted_proxies", scope: .top, syntax: "RANGE...", meaning: .trustedProxies,
            defaultText: "(none)", summary: "The peers whose X-Forwarded fields are believed.", isRepeatable: true),
        general("workers", \.workerCount, .count(0...1_024), "How many worker threads there are; 0 is one for each core."),
        general("grace", \.graceMilliseconds, .milliseconds(0...hour), "How long exchanges may go on after the signal to stop."),
        general(
            "drain", \.drainMilliseconds, .milliseconds(0...hour),
            "Over how long event streams are ended after the signal to stop, each at its own moment."),
        general(
            "resolve_interval", \.resolveIntervalMilliseconds, .milliseconds(1_000...day),
            "How often the names of servers are looked up again."),
        Directive(
            name: "limits", scope: .top, syntax: "{ ... }", meaning: .block(.limits), defaultText: "(as below)",
            summary: "Bounds of sizes and counts."),
        Directive(
            name: "timeouts", scope: .top, syntax: "{ ... }", meaning: .block(.timeouts), defaultText: "(as below)",
            summary: "How long the proxy waits for a client."),
    ]

    private static let listen: [Directive] = [
        Directive(
            name: "tls", scope: .listen, syntax: "{ ... }", meaning: .block(.listenTLS), defaultText: "(plain HTTP)",
            summary: "Speaks TLS on these addresses."),
        Directive(
            name: "redirect_to_https", scope: .listen, syntax: "[PORT]", meaning: .redirectToHTTPS, defaultText: "(requests are served)",
            summary: "Answers every request with 308 to the same URL over HTTPS, on port 443 or PORT."),
        Directive(
            name: "strict_transport_security", scope: .listen, syntax: "DURATION", meaning: .strictTransportSecurity,
            defaultText: "(nothing is said)", summary: "How long browsers must use HTTPS only (RFC 6797)."),
        Directive(
            name: "proxy_protocol", scope: .listen, syntax: "on|off", meaning: .proxyProtocol, defaultText: "off",
            summary: "Whether only trusted proxies may connect, and name their client in a header of the PROXY protocol."),
    ]

    private static let listenTLS: [Directive] = [
        Directive(
            name: "certificate", scope: .listenTLS, syntax: "FILE KEYFILE [STAPLEFILE]", meaning: .certificate, defaultText: "(required)",
            summary: "A certificate with its chain, its key, and an OCSP response to staple.", isRepeatable: true),
        Directive(
            name: "minimum_version", scope: .listenTLS, syntax: "1.2|1.3", meaning: .minimumVersion, defaultText: "1.2",
            summary: "The oldest version of TLS that is spoken."),
        Directive(
            name: "ciphers", scope: .listenTLS, syntax: "LIST", meaning: .listenerTLSText(\.ciphers),
            defaultText: "(ECDHE with AES-GCM or ChaCha20)", summary: "OpenSSL's list of ciphers for TLS 1.2."),
        Directive(
            name: "ciphersuites", scope: .listenTLS, syntax: "LIST", meaning: .listenerTLSText(\.ciphersuites),
            defaultText: "(OpenSSL's own)", summary: "OpenSSL's list of cipher suites for TLS 1.3."),
        Directive(
            name: "groups", scope: .listenTLS, syntax: "LIST", meaning: .listenerTLSText(\.groups),
            defaultText: "(X25519, P-256, P-384)", summary: "OpenSSL's list of groups for the key exchange."),
        Directive(
            name: "client_certificates", scope: .listenTLS, syntax: "off|optional|required", meaning: .clientCertificates,
            defaultText: "off", summary: "Whether clients are asked for a certificate."),
        Directive(
            name: "client_authority", scope: .listenTLS, syntax: "FILE", meaning: .listenerTLSText(\.clientAuthorityFile),
            defaultText: "(none)", summary: "The authorities whose client certificates are accepted."),
        Directive(
            name: "client_subject_field", scope: .listenTLS, syntax: "NAME", meaning: .clientSubjectField, defaultText: "(none)",
            summary: "The field in which servers are told the subject of the client's certificate."),
        Directive(
            name: "ticket_lifetime", scope: .listenTLS, syntax: "DURATION", meaning: .ticketLifetime, defaultText: "12h",
            summary: "How long a key protects new session tickets; it is accepted for the same time after that."),
    ]

    private static let upstreamTLS: [Directive] = [
        Directive(
            name: "authority", scope: .upstreamTLS, syntax: "FILE", meaning: .upstreamTLSText(\.authorityFile),
            defaultText: "(the system's)", summary: "The authorities that are trusted."),
        Directive(
            name: "certificate", scope: .upstreamTLS, syntax: "FILE KEYFILE", meaning: .certificate, defaultText: "(none)",
            summary: "Our own certificate with its chain, and its key."),
        Directive(
            name: "server_name", scope: .upstreamTLS, syntax: "NAME", meaning: .serverName, defaultText: "(each server's host)",
            summary: "The name that Heartwire asks for (SNI) and that servers have to prove."),
        Directive(
            name: "verification", scope: .upstreamTLS, syntax: "on|insecure_off", meaning: .verification, defaultText: "on",
            summary: "Whether servers have to prove who they are."),
    ]

    private static let limits: [Directive] = [
        limit("request_head", \.requestHeadBytes, .bytes(1_024...1_048_576), "The size of a request head; more is answered 431."),
        limit("request_fields", \.requestFields, .count(1...1_000), "The fields of a request; more are answered 431."),
        limit("request_target", \.requestTargetBytes, .bytes(256...1_048_576), "The size of a request target; more is answered 414."),
        limit("response_head", \.responseHeadBytes, .bytes(1_024...1_048_576), "The size of a response head; more becomes a 502."),
        limit("response_fields", \.responseFields, .count(1...1_000), "The fields of a response; more become a 502."),
        limit(
            "connections", \.connections, .count(0...10_000_000),
            "Client connections in all; 0 is half of the descriptors that the process may open."),
        limit(
            "connections_per_client", \.connectionsPerClient, .count(0...10_000_000),
            "Client connections from one address, trusted proxies excepted; 0 is no limit."),
        limit(
            "pending_per_stream", \.pendingBytesPerStream, .bytes(4_096...67_108_864),
            "How many bytes may wait for a slow client; above that the server is not read."),
        limit(
            "pending", \.pendingBytes, .bytes(1_048_576...1_099_511_627_776),
            "How many bytes may wait for all slow clients; above that a client that needs more is closed."),
        limit(
            "log_queue", \.logQueueBytes, .bytes(65_536...1_073_741_824),
            "How many bytes may wait to be written to a log; above that lines are dropped and counted."),
    ]

    private static let timeouts: [Directive] = [
        timeout(
            "request_head", \.requestHeadMilliseconds, .milliseconds(100...hour),
            "How long a client may take to send a request head; then 408, or no answer if not one byte of it came."),
        timeout(
            "handshake", \.handshakeMilliseconds, .milliseconds(100...hour), "How long a TLS handshake may take, with a client or a server."
        ),
        timeout(
            "keep_alive", \.keepAliveMilliseconds, .milliseconds(100...day),
            "How long a client's connection may be idle between requests."),
        timeout(
            "request_body", \.requestBodyMilliseconds, .milliseconds(100...day),
            "How long a request body may go without a byte; then 408."),
        timeout(
            "client_stall", \.clientStallMilliseconds, .milliseconds(100...day),
            "How long a client may take nothing while bytes wait for it; then it is closed."),
    ]

    private static let upstream: [Directive] = [
        Directive(
            name: "server", scope: .upstream, syntax: "ADDRESS...", meaning: .server, defaultText: "(required)",
            summary: "Servers of the group.", isRepeatable: true),
        Directive(
            name: "balance", scope: .upstream, syntax: "round_robin|least_connections", meaning: .balance,
            defaultText: "round_robin", summary: "How the server of a request is chosen."),
        upstreamNumber(
            "connect_timeout", \.connectTimeoutMilliseconds, .milliseconds(10...300_000),
            "How long connecting to a server may take."),
        upstreamNumber(
            "response_timeout", \.responseTimeoutMilliseconds, .milliseconds(10...day),
            "How long a server may take to begin its response; then 504."),
        upstreamNumber(
            "idle_timeout", \.idleTimeoutMilliseconds, .milliseconds(10...day),
            "How long an ordinary response may go without a byte."),
        Directive(
            name: "stream_silence_timeout", scope: .upstream, syntax: "DURATION|off", meaning: .streamSilenceTimeout,
            defaultText: "off", summary: "How long an event stream may go without a byte from its server."),
        upstreamNumber(
            "idle_connections", \.idleConnections, .count(0...10_000),
            "How many idle connections are kept for each worker and server."),
        upstreamNumber(
            "keep_alive", \.idleConnectionMilliseconds, .milliseconds(100...hour),
            "How long an idle connection to a server is kept; set less than the server's own time."),
        upstreamNumber(
            "failure_cooldown", \.failureCooldownMilliseconds, .milliseconds(0...hour),
            "How long a server that could not be reached is not chosen."),
        Directive(
            name: "tls", scope: .upstream, syntax: "{ ... }", meaning: .block(.upstreamTLS), defaultText: "(as below)",
            summary: "How Heartwire speaks TLS to servers at https://."),
    ]

    private static let route: [Directive] = [
        Directive(
            name: "upstream", scope: .route, syntax: "NAME|ADDRESS...", meaning: .routeUpstream,
            defaultText: "(required)", summary: "Where the requests go."),
        Directive(
            name: "heartbeat", scope: .route, syntax: "DURATION [comment|event [NAME]|both [NAME]]|off",
            meaning: .heartbeat, defaultText: "15s comment",
            summary: "After how long a silence an event stream gets a heartbeat, and what a heartbeat is."),
        Directive(
            name: "heartbeat_comment", scope: .route, syntax: "TEXT", meaning: .heartbeatComment,
            defaultText: "\"\"", summary: "The text of every comment that the proxy writes."),
        Directive(
            name: "heartbeat_form", scope: .route, syntax: "auto|line|block", meaning: .heartbeatForm, defaultText: "auto",
            summary: "Whether a blank line follows the proxy's comments and its `retry:` between events."),
        Directive(
            name: "opening", scope: .route, syntax: "on|off", meaning: .opening, defaultText: "on",
            summary: "Whether a comment follows the head of an event stream at once."),
        Directive(
            name: "bearer_from", scope: .route, syntax: "query|cookie NAME", meaning: .bearerFrom,
            defaultText: "(none)", summary: "Turns a query parameter or a cookie into the Authorization field.",
            isRepeatable: true),
        Directive(
            name: "bearer_missing", scope: .route, syntax: "pass|refuse", meaning: .bearerMissing,
            defaultText: "pass", summary: "What happens to a request without a token."),
        Directive(
            name: "bearer_conflict", scope: .route, syntax: "refuse|authorization|bridged", meaning: .bearerConflict,
            defaultText: "(`refuse` for the URL, `authorization` for cookies)",
            summary: "What happens when a request has an Authorization field as well."),
        Directive(
            name: "bearer_characters", scope: .route, syntax: "b64token|visible", meaning: .bearerCharacters, defaultText: "b64token",
            summary: "Which characters a token may have."),
        quantityDirective(
            "bearer_limit", .route, .bearerLimit, default: BearerDefaults.maximumTokenBytes,
            "The size of a token; a longer one is answered 400."),
        Directive(
            name: "realm", scope: .route, syntax: "TEXT", meaning: .realm, defaultText: BearerDefaults.realm,
            summary: "The realm named in a 401."),
        Directive(
            name: "allow_origin", scope: .route, syntax: "ORIGIN...", meaning: .allowOrigin, defaultText: "(none)",
            summary: "Pages of these other origins may use cookies as tokens for more than reading, and may read the proxy's refusals.",
            isRepeatable: true),
        Directive(
            name: "host", scope: .route, syntax: "preserve|server", meaning: .hostField, defaultText: "preserve",
            summary: "Whether the server is told the client's Host or its own name."),
        Directive(
            name: "accept_encoding", scope: .route, syntax: "pass|identity", meaning: .acceptEncoding, defaultText: "pass",
            summary: "Whether every request asks the server for an uncompressed answer."),
        Directive(
            name: "via", scope: .route, syntax: "on|off", meaning: .via, defaultText: "on",
            summary: "Whether the proxy adds itself to `Via`, in requests and responses."),
        Directive(
            name: "outage", scope: .route, syntax: "retry [DURATION]|refuse", meaning: .outage, defaultText: "retry 30s",
            summary:
                "Whether an EventSource is held, and then told to come back, when no server answers or a limit of connections is reached."),
        Directive(
            name: "outage_answers", scope: .route, syntax: "STATUS[-STATUS]...|none", meaning: .outageAnswers, defaultText: "502 503 504",
            summary: "Which answers of a server count as an outage for an EventSource."),
        Directive(
            name: "early", scope: .route, syntax: "DURATION [retry|event [NAME]]|off", meaning: .early, defaultText: "off",
            summary: "After how long a wait for its server an EventSource is answered, and how it learns of a later failure."),
        Directive(
            name: "log_events", scope: .route, syntax: "on|off", meaning: .logEvents, defaultText: "on",
            summary: "Whether the route's events and heartbeats are written to the event log, where there is one."),
    ]
}

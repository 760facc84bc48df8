// The configuration as a worker uses it: compiled once, shared by all workers, never changed. A later configuration becomes another
// value; running exchanges keep theirs.

import Configuration
import Credentials
import Downstreams
import EventStream
import HTTP
import Telemetry
import Upstreams

/// One route, with everything that its exchanges need, made in advance.
final class CompiledRoute: Sendable {
    let route: Route
    /// The numbers of its metrics' series: of the route, and of the path to its upstream.
    let series: (route: Int32, path: Int32)
    /// Nil where requests pass as they are.
    let bridge: TokenBridge?
    /// The query parameter that becomes Last-Event-ID; nil where none does.
    let eventIDParameter: EventIDParameter?
    /// Nil where nothing is kept for clients that come back.
    let continuity: CompiledContinuity?
    /// Nil where tokens are not checked.
    let check: CompiledCheck?
    /// The number of the proxy's own token for its servers; nil for none.
    let serverToken: Int?
    /// Whether anything is decided about its requests before they go to a server (`DecisionStep`).
    let hasSteps: Bool
    /// The check, where nothing else is decided.
    let onlyStep: CompiledCheck?
    /// Nil where no service is asked.
    let forwardAuth: CompiledForwardAuth?
    /// Nil when the route's heartbeat is off.
    let heartbeat: Heartbeat?
    let heartbeatMilliseconds: Int64
    let commentForm: CommentForm
    private let opensWithComment: Bool

    init(
        _ route: Route, issuers: [Issuer] = [], forwardAuth: CompiledForwardAuth? = nil, tickets: [TicketPlaces] = [],
        tokens: [ServiceToken] = [], upstream: String = "",
        series: (route: Int32, path: Int32) = (MetricSeries.none, MetricSeries.none)
    ) {
        self.route = route
        eventIDParameter = route.eventIDParameter.map { EventIDParameter(names: [$0]) }
        continuity = route.continuity.map { CompiledContinuity($0, of: route, upstream: upstream) }
        check = route.check.map { CompiledCheck($0, of: issuers) }
        self.forwardAuth = forwardAuth
        if case .token(let name)? = route.serverCredentials?.authorization {
            guard let index = tokens.firstIndex(where: { $0.name == name }) else {
                preconditionFailure("a route sends a token of the configuration")
            }
            serverToken = index
        } else {
            serverToken = nil
        }
        self.series = series
        bridge = route.bearer == nil && tickets.isEmpty ? nil : TokenBridge(policy: route.bearer, tickets: tickets)
        let hasOtherSteps = forwardAuth != nil || bridge?.usesTickets == true || serverToken != nil
        hasSteps = check != nil || hasOtherSteps
        onlyStep = hasOtherSteps ? nil : check
        let policy = route.heartbeat
        commentForm = policy.form
        // The configuration has checked name and text. An invalid value, made by hand, becomes the plain comment.
        let heartbeat =
            (try? Heartbeat(policy.kind, text: policy.commentText, form: commentForm)) ?? (try? Heartbeat(.comment, form: commentForm))
        self.heartbeat = policy.intervalMilliseconds == nil ? nil : heartbeat
        heartbeatMilliseconds = Int64(policy.intervalMilliseconds ?? 0)
        opensWithComment = policy.opening && policy.intervalMilliseconds != nil
    }

    /// The comment that follows the head of an event stream at once; nil for none.
    func openingComment(in weaver: Weaver) -> [UInt8]? { opensWithComment ? heartbeat?.openingComment(in: weaver) : nil }
}

/// The whole configuration, compiled.
package final class Settings: Sendable {
    /// As it was written.
    package let configuration: Configuration
    let routes: [CompiledRoute]
    let table: RouteTable
    /// The upstreams of routes and of services.
    let allUpstreams: [Upstream]
    /// The series of the metrics of this configuration, and of those before it.
    package let series: MetricSeries
    /// The numbers of the series of each server of each upstream.
    let serverSeries: [[Int32]]
    /// The numbers of the series of each service that is asked whether requests may pass.
    let forwardAuthSeries: [Int32]
    /// The numbers of the series of each issuer.
    let issuerSeries: [Int32]
    /// The numbers of the series of each issuer as a service that is asked.
    let introspectionSeries: [Int32]
    /// The numbers of the series of the proxy's own tokens.
    let tokenSeries: [Int32]
    /// TLS with the servers of each upstream and each service.
    let upstreamSecurity: [UpstreamSecurity]
    /// The proxy's own tokens for servers, in the order of the configuration.
    let tokens: [FetchedToken]
    /// The issuers of tokens, with their keys.
    let issuers: [TokenIssuer]
    /// The fields in which servers are told who a client is: certificates' subjects, claims, what services say, and the routes' own fields.
    /// They are never taken from a client, on no route: two routes may lead to one server under different names.
    private let guardedFields: [String]
    private let withheldOfTrusted: WithheldNames
    private let withheldOfStrangers: WithheldNames
    /// What may be logged of a request's path.
    let loggedPaths: PathRedaction
    let responseLimits: HeadLimits
    /// What pages get for their tokens, in the order of the configuration.
    let tickets: [CompiledTickets]
    /// The endpoint for probes; nil where there is none.
    let probeAccess: ProbeAccess?
    /// The terms of clients' connections.
    let downstreamTerms: DownstreamTerms
    /// How many workers share its limits.
    let workerCount: Int

    /// A configuration, compiled for `workerCount` workers. It continues the metrics of the settings before it.
    package init(
        _ configuration: Configuration, _ upstreamSecurity: [UpstreamSecurity], issuers: [TokenIssuer] = [],
        probeSecret: ProbeSecret? = nil, workerCount: Int, succeeding previous: Settings? = nil
    ) {
        self.configuration = configuration
        allUpstreams = configuration.allUpstreams
        self.upstreamSecurity = upstreamSecurity
        self.issuers = issuers
        tokens = configuration.tokens.map { token in
            let index = previous?.configuration.tokens.firstIndex(of: token)
            return index.flatMap { previous?.tokens[$0] }
                ?? FetchedToken(label: token.name, timeoutMilliseconds: token.service.timeoutMilliseconds)
        }
        let claimFields = Set(configuration.routes.flatMap { $0.check?.claims.fields.map(\.name) ?? [] })
        let ownFields = configuration.routes.flatMap { $0.serverCredentials?.guardedFields ?? [] }
        let told = claimFields.union(configuration.forwardAuths.flatMap(\.terms.taken)).union(ownFields)
        guardedFields = configuration.listeners.compactMap { $0.tls?.clientSubjectField } + told.sorted()
        withheldOfTrusted = WithheldNames(guarded: guardedFields, believesProxyFields: true)
        withheldOfStrangers = WithheldNames(guarded: guardedFields, believesProxyFields: false)
        var series = previous?.series ?? MetricSeries()
        series.begin(configuration)
        serverSeries = allUpstreams.map { upstream in
            upstream.servers.map { series.add([upstream.name, $0.description], in: .server) }
        }
        let guarded = withheldOfStrangers
        forwardAuthSeries = configuration.forwardAuths.map { series.add([$0.name], in: .forwardAuth) }
        introspectionSeries = configuration.issuers.map { issuer in
            issuer.introspection.map { series.add([$0.asked.name], in: .forwardAuth) } ?? MetricSeries.none
        }
        issuerSeries = configuration.issuers.map { issuer in
            issuer.keysURL == nil ? MetricSeries.none : series.add([issuer.rules.label], in: .issuer)
        }
        tokenSeries = configuration.tokens.map { series.add([$0.name], in: .token) }
        let ticketSeries = configuration.tickets.map { series.add([$0.name], in: .ticket) }
        let places = configuration.tickets.map(\.places)
        let routes = configuration.routes.map { route in
            let upstream = configuration.upstreams[route.upstreamIndex].name
            return CompiledRoute(
                route, issuers: configuration.issuers,
                forwardAuth: route.forwardAuth.map { CompiledForwardAuth($0, of: configuration.forwardAuths, guarded: guarded) },
                tickets: places,
                tokens: configuration.tokens, upstream: upstream,
                series: (series.add([route.name], in: .route), series.add([route.name, upstream], in: .path)))
        }
        self.routes = routes
        tickets = zip(configuration.tickets, ticketSeries).map { block, series in
            CompiledTickets(block, routes: routes.filter { $0.route.bearer?.sources.contains(.ticket(name: block.name)) ?? false }, series)
        }
        self.series = series
        table = RouteTable(configuration.routes)
        loggedPaths = PathRedaction(configuration.routes.compactMap(\.bearer), tickets: places)
        let heartbeats = configuration.routes.compactMap(\.heartbeat.intervalMilliseconds)
        probeAccess = configuration.probeEndpoint.flatMap { endpoint in
            probeSecret.map { ProbeAccess(path: endpoint.path, secret: $0, heartbeatMilliseconds: heartbeats.max()) }
        }
        let limits = configuration.limits
        downstreamTerms = DownstreamTerms(configuration, workerCount: workerCount)
        self.workerCount = workerCount
        responseLimits = HeadLimits(
            headBytes: limits.responseHeadBytes, fieldCount: limits.responseFields, targetBytes: limits.responseHeadBytes)
    }

    /// The number of the series of a listener's metrics.
    package func series(of listener: Listener) -> Int32 { series.known(MetricSeries.labels(of: listener), in: .listener) }

    /// Which of a client's fields are not passed on. `subjectField` is the certificate field of the client's listener, if any: a reload
    /// may have removed that listener since.
    func withheldNames(and subjectField: String?, isTrusted: Bool) -> WithheldNames {
        let withheld = isTrusted ? withheldOfTrusted : withheldOfStrangers
        guard let subjectField, !withheld.guards(subjectField) else { return withheld }
        return WithheldNames(guarded: guardedFields + [subjectField], believesProxyFields: isTrusted)
    }
}

extension MetricSeries {
    fileprivate static func labels(of listener: Listener) -> [String] { [listener.description, listener.tls == nil ? "false" : "true"] }

    /// Begins another configuration with the series of its listeners.
    fileprivate mutating func begin(_ configuration: Configuration) {
        beginConfiguration()
        for listener in configuration.listeners { _ = add(MetricSeries.labels(of: listener), in: .listener) }
    }
}

// What one seed decides about the world and the proxy's configuration: which troubles there are, how many clients, which limits.
// Invariant: all random choices here are made before anything happens.

import Configuration
import Credentials
import EventStream
import Reactor
import TestSupport

/// The kinds of trouble of one run; each seed has a random part of them (swarm testing).
struct Troubles {
    var outages = false
    /// Answers that end an EventSource for good, and other unexpected answers.
    var oddities = false
    var slowServers = false
    var nonsense = false
    var babble = false
    var limits = false
    var clock = false
    var reloads = false
    /// Handshakes and records that are not TLS, if there is TLS.
    var insecurity = false
    /// All EventSources come at once, and their servers are down.
    var crowdedOutage = false

    /// `besideHop`: without those that make all ages and silences alike, and without those that keep clients away.
    init(_ chance: inout Chance, besideHop: Bool) {
        outages = chance.permille(450)
        oddities = chance.permille(350)
        slowServers = chance.permille(250)
        nonsense = chance.permille(150)
        babble = chance.permille(400)
        limits = chance.permille(200)
        clock = chance.permille(150)
        reloads = chance.permille(300)
        insecurity = chance.permille(500)
        crowdedOutage = chance.permille(60)
        if besideHop { (limits, clock, crowdedOutage) = (false, false, false) }
        // Servers do nothing else then, so the turns of all clients can be predicted.
        if crowdedOutage, chance.permille(600) { (oddities, slowServers, nonsense, clock) = (false, false, false, false) }
    }
}

struct Plan {
    let troubles: Troubles
    let faults: Faults
    let bufferBytes: Int
    let workerCount: Int
    let heartbeatMilliseconds: Int
    /// The name of heartbeats that are events.
    let heartbeatName: String?
    /// Whether blank lines follow comments.
    let heartbeatForm: CommentForm
    let serverNames: [String]
    let clientCount: Int
    let eventSourceCount: Int
    let hogCount: Int
    /// How many pages send small requests and uploads over HTTP/2.
    let uploadingPageCount: Int
    /// How many clients ask for the same path again and again.
    let returnerCount: Int
    let isSecuredDownstream: Bool
    let isSecuredUpstream: Bool
    /// Whether servers listen on UNIX sockets.
    let usesUnixSockets: Bool
    /// Whether clients come through a proxy that names them in a PROXY header.
    let takesProxyProtocol: Bool
    /// Whether clients may name other clients, as a trusted proxy does, until a reload forbids it.
    let trustsClients: Bool
    /// Whether EventSources and other pages speak HTTP/2, all of one address on one connection.
    let speaksHTTP2: Bool
    /// How many addresses the clients come from.
    let addressCount: Int
    /// The windows of the browser of each address, where they speak HTTP/2.
    private let browserKinds: [BrowserManner.Kind]
    let outage: OutagePolicy
    let early: EarlyPolicy?
    let outageAnswers: OutageAnswers
    /// Whether each event has a line in the log.
    let logsEvents: Bool
    let configuration: Configuration
    /// A hop with a limit, which `diagnose` has to find.
    let hop: PlantedHop?
    /// Who brings credentials, and what is wanted of them; nil where nobody checks any.
    let credentials: CredentialPlan?
    /// The service that is asked about requests, and who makes them; nil where none is asked.
    let forwardAuth: ForwardAuthPlan?
    /// The tickets for tokens, and who has them; nil where there are none.
    let tickets: TicketPlan?
    /// Which pages of other origins may read, and who asks; nil where no route says so.
    let crossOrigin: CrossOriginPlan?

    static let eventName = "upstream_error"
    /// The proxy that names its clients.
    static let proxyInFront = SocketAddress(numeric: "198.18.0.1", port: 40_000)!

    init(
        _ chance: inout Chance, hop: PlantedHop? = nil, recording: RecordingPolicy? = nil, probes: ProbeEndpoint? = nil,
        credentials: CredentialPlan? = nil, forwardAuth: ForwardAuthPlan? = nil,
        tickets: TicketPlan? = nil, crossOrigin: CrossOriginPlan? = nil
    ) {
        self.hop = hop
        troubles = Troubles(&chance, besideHop: hop != nil)
        // Their clients would be a crowd of their own.
        var credentials = troubles.crowdedOutage || hop != nil ? nil : credentials
        let forwardAuth = troubles.crowdedOutage || hop != nil ? nil : forwardAuth
        self.forwardAuth = forwardAuth
        // Where keys are fetched, nobody knows whether a page's token could be checked when it asked for a ticket.
        let tickets = credentials == nil || credentials?.keepMilliseconds != nil ? nil : tickets
        self.tickets = tickets
        let crossOrigin = troubles.crowdedOutage || hop != nil ? nil : crossOrigin
        self.crossOrigin = crossOrigin
        faults = Faults.swarm(&chance)
        // There the proxy may fail to ask, or not know how late it is.
        if troubles.limits || troubles.clock || faults.connectExhausted > 0 { credentials = credentials?.withoutServices() }
        self.credentials = credentials
        bufferBytes = chance.pick([2_048, 16_384, 65_536, 262_144])
        workerCount = chance.permille(200) ? chance.number(2...3) : 1
        heartbeatMilliseconds = max(chance.pick([100, 500, 2_000, 15_000]), hop?.leastHeartbeatMilliseconds ?? 0)
        heartbeatName = chance.permille(300) ? "alive" : nil
        heartbeatForm = chance.pick([.automatic, .automatic, .line, .block])
        usesUnixSockets = chance.permille(200)
        takesProxyProtocol = chance.permille(250)
        trustsClients = troubles.reloads && !takesProxyProtocol && chance.permille(500)
        let isUnix = usesUnixSockets
        serverNames = (1...chance.number(1...3)).map { isUnix ? "unix:/run/\($0).sock" : "10.0.0.\($0)" }
        clientCount = troubles.crowdedOutage ? 0 : chance.number(1...6)
        speaksHTTP2 = chance.permille(250)
        // Pages that share connections tell more where there are several.
        let usual = speaksHTTP2 ? 2...7 : chance.permille(700) ? 1...5 : 0...0
        eventSourceCount =
            troubles.crowdedOutage ? (chance.permille(400) ? chance.number(1...3) : chance.number(15...40)) : chance.number(usual)
        isSecuredDownstream = chance.permille(200)
        isSecuredUpstream = chance.permille(200) && !usesUnixSockets
        hogCount = troubles.limits && !troubles.crowdedOutage ? chance.number(4...30) : 0
        returnerCount = !troubles.crowdedOutage && chance.permille(500) ? chance.number(1...4) : 0
        addressCount = chance.number(speaksHTTP2 && chance.permille(700) ? 1...3 : 1...10)
        browserKinds = (0..<addressCount).map { _ in chance.pick([.usual, .usual, .small, .small, .narrow]) }
        outage =
            chance.permille(150)
            ? .refuse : .retry(holdMilliseconds: chance.pick(troubles.crowdedOutage ? [5_000, 30_000, 30_000] : [0, 5_000, 30_000]))
        early =
            chance.permille(400)
            ? EarlyPolicy(
                afterMilliseconds: chance.pick([300, 2_000, 5_000]),
                onFailure: chance.permille(500) ? .event(name: Plan.eventName) : .retry)
            : nil
        outageAnswers = chance.permille(200) ? OutageAnswers([500...501, 503...504]) : OutageAnswers()
        var route = Route(upstreamIndex: 0, outageAnswers: outageAnswers)
        route.heartbeat.intervalMilliseconds = heartbeatMilliseconds
        if let heartbeatName { route.heartbeat.kind = chance.permille(500) ? .event(name: heartbeatName) : .both(name: heartbeatName) }
        route.heartbeat.opening = chance.permille(700)
        route.heartbeat.form = heartbeatForm
        route.outage = outage
        route.early = early
        route.recording = recording
        var upstream = Plan.upstream(serverNames, heartbeatMilliseconds, isCrowded: troubles.crowdedOutage, &chance)
        var listener = Listener(host: "10.9.9.9", port: 80)
        // The proxy would cut first.
        if hop?.side == .upstream { upstream.streamSilenceTimeoutMilliseconds = nil }
        if isSecuredUpstream {
            upstream.tls = UpstreamTLS()
            upstream.tls?.authorityFile = SimulatedCertificates.shared.authority
            upstream.tls?.serverName = SimulatedCertificates.name
            upstream.tls?.isVerified = !troubles.reloads || chance.permille(500)
        }
        if isSecuredDownstream {
            let identity = SimulatedCertificates.shared.server
            listener.tls = ListenerTLS(certificates: [Certificate(certificateFile: identity.certificate, keyFile: identity.key)])
        }
        listener.speaksHTTP2 = speaksHTTP2
        uploadingPageCount = speaksHTTP2 && !troubles.crowdedOutage ? chance.number(0...4) : 0
        listener.takesProxyProtocol = takesProxyProtocol
        let more = (credentials?.regulars ?? 0) + (forwardAuth?.regulars ?? 0) + (tickets?.regulars ?? 0) + (crossOrigin?.pageCount ?? 0)
        var limits = Plan.limits(troubles, regulars: clientCount + eventSourceCount + returnerCount + more, &chance)
        // Who a client is would be known here only after the proxy has read its header.
        if takesProxyProtocol || trustsClients { limits.connectionsPerClient = 0 }
        let checked = credentials?.route(like: route)
        let ticketed = tickets.flatMap { tickets in checked.map { tickets.route(like: $0) } }
        let later = [checked, forwardAuth?.route(like: route), ticketed, crossOrigin?.route(like: route)]
        var configuration = Configuration(
            workerCount: workerCount, listeners: [listener], upstreams: [upstream],
            routes: [route] + later.compactMap { $0 }, limits: limits,
            timeouts: Plan.timeouts,
            trustedProxies: [takesProxyProtocol ? Plan.proxyInFront.host : nil, trustsClients ? "192.0.2.0/24" : nil].compactMap {
                $0.flatMap(AddressRange.init)
            })
        configuration.probeEndpoint = probes
        configuration.issuers = credentials?.issuers ?? []
        configuration.tickets = [tickets?.block].compactMap { $0 }
        configuration.forwardAuths = [forwardAuth?.service].compactMap { $0 }
        self.configuration = configuration
        logsEvents = chance.permille(500)
    }

    /// Fields by which somebody wants to be taken for somebody else, where servers believe them; often nothing.
    func forgedFields(_ chance: inout Chance) -> String {
        (credentials == nil ? "" : CredentialPlan.forgedField(&chance))
            + (forwardAuth == nil ? "" : ForwardAuthPlan.forgedFields(&chance, isHTTP2: true))
    }

    /// The windows of the browser that a client of that number shares with others of its address.
    func kindOfBrowser(_ number: Int) -> BrowserManner.Kind {
        speaksHTTP2 ? browserKinds[number % addressCount] : .usual
    }

    private static func upstream(_ names: [String], _ heartbeatMilliseconds: Int, isCrowded: Bool, _ chance: inout Chance) -> Upstream {
        var upstream = Upstream(name: "origin", servers: names.map { Upstream.Server(host: $0, port: $0.hasPrefix("unix:") ? 0 : 80) })
        upstream.connectTimeoutMilliseconds = 1_000
        upstream.responseTimeoutMilliseconds = 5_000
        upstream.idleTimeoutMilliseconds = 8_000
        upstream.failureCooldownMilliseconds = chance.pick(isCrowded ? [500, 2_000] : [0, 500, 2_000])
        if chance.permille(300) { upstream.streamSilenceTimeoutMilliseconds = 4 * heartbeatMilliseconds + 1_000 }
        if chance.permille(300) { upstream.balance = .leastConnections }
        if chance.permille(200) { upstream.idleConnections = 0 }
        return upstream
    }

    /// More connections than there are in any world.
    static let muchRoom = 1_000

    /// Limits that a crowd exceeds, and that leave room for all others as soon as the crowd is gone.
    private static func limits(_ troubles: Troubles, regulars: Int, _ chance: inout Chance) -> Limits {
        var limits = Limits()
        limits.connections = muchRoom
        limits.pendingBytesPerStream = chance.pick([4_096, 65_536])
        guard troubles.limits else { return limits }
        if chance.permille(500) { limits.connections = 2 * regulars + chance.number(2...6) }
        if chance.permille(400) { limits.connectionsPerClient = 2 * regulars + 2 }
        if chance.permille(400) { limits.pendingBytes = chance.pick([10_000, 100_000]) }
        return limits
    }

    private static var timeouts: Timeouts {
        Timeouts(
            requestHeadMilliseconds: 2_000, handshakeMilliseconds: 2_000, keepAliveMilliseconds: 4_000, requestBodyMilliseconds: 3_000,
            clientStallMilliseconds: 3_000)
    }

    /// Whether a slow reader may find no room.
    var pendingIsTight: Bool { configuration.limits.pendingBytes < 1 << 20 }
}

// What a world of shared streams is like, drawn from its seed, and what each of its pages asks for.

import Configuration
import TestSupport

@testable import Reactor

/// The choices of one world.
struct SharedPlan {
    /// By what the route tells the streams of different clients apart.
    enum Identity: CaseIterable { case everybody, cookie, token }

    static let paths = ["/shared/x?room=1", "/shared/y?room=1"]
    static let types = ["message", "price", "trade"]

    let workerCount: Int
    let identity: Identity
    /// Whether the language of a request tells streams apart.
    let varies: Bool
    let share: Sharing
    let lag: Lag
    let history: HistoryPolicy
    /// Whether servers set ids, which are unique.
    let serversSetIDs: Bool
    let gap: GapNotice
    let limits: Limits
    let heartbeatMilliseconds: Int
    /// For how long clients do not see that a server has dropped its response; nil where they see it at once.
    let maskMilliseconds: Int?
    /// How often a response ends or breaks by itself, in thousandths.
    let shareOfEnds: Int
    /// How often a server says that its response is for one client, and how often it says something else than a stream.
    let (shareOfVetoes, shareOfRefusals): (Int, Int)
    let isSecured: Bool
    let speaksHTTP2: Bool
    /// How many browsers there are, whose pages share a connection of HTTP/2.
    let browserCount: Int
    let kindOfBrowsers: BrowserManner.Kind
    let pageCount: Int
    /// How many users, hosts, paths and languages there are.
    let (userCount, hostCount, pathCount, languageCount): (Int, Int, Int, Int)
    /// How often pages want some types only, in thousandths.
    let shareOfFilters: Int
    /// How often pages bring an id of somebody else, and how often none, in thousandths.
    let (shareOfThefts, shareOfReloads): (Int, Int)
    /// Whether somebody publishes events.
    let publishes: Bool

    init(_ chance: inout Chance) {
        workerCount = chance.number(1...3)
        identity = chance.pick(Identity.allCases)
        varies = chance.permille(400)
        share = chance.pick([.live, .latest, .replay(1), .replay(7), .replay(20)])
        lag = chance.pick([.gap, .close])
        serversSetIDs = chance.permille(400)
        var history = HistoryPolicy()
        history.ids = chance.pick([.keep, .keep, .suffix, .own])
        if chance.permille(350) {
            history.events = chance.pick([20, 50, 1_000])
            history.bytes = chance.pick([2_000, 20_000, 262_144])
            history.ageMilliseconds = chance.pick([2_000, 10_000, 300_000])
        }
        history.awayMilliseconds = chance.pick([300, 3_000, 10_000])
        self.history = history
        let event = GapNotice.event(name: GapNotice.defaultEventName)
        gap = chance.pick([event, event, event, event, event, event, .reconnect, .off])
        var limits = Limits()
        if chance.permille(150) { limits.eventBytes = chance.pick([100, 200]) }
        if chance.permille(100) { limits.keptStreams = chance.pick([1, 3]) }
        if chance.permille(100) { limits.historyBytes = chance.pick([4_096, 20_000]) }
        self.limits = limits
        maskMilliseconds = chance.permille(400) ? chance.pick([3_000, 20_000]) : nil
        heartbeatMilliseconds = chance.pick([500, 2_000, 15_000])
        shareOfEnds = chance.pick([0, 0, 200, 600])
        shareOfVetoes = chance.pick([0, 0, 0, 100, 400])
        shareOfRefusals = chance.pick([0, 0, 100])
        isSecured = chance.permille(200)
        speaksHTTP2 = chance.permille(400)
        browserCount = chance.number(1...3)
        kindOfBrowsers = chance.pick([.usual, .usual, .narrow, .small])
        pageCount = chance.number(2...8)
        userCount = chance.number(1...3)
        hostCount = chance.number(1...2)
        pathCount = chance.number(1...2)
        languageCount = chance.number(1...2)
        shareOfFilters = chance.pick([0, 300, 700])
        shareOfThefts = chance.pick([0, 0, 100])
        shareOfReloads = chance.pick([50, 400])
        publishes = chance.permille(600)
    }

    /// The proxy's configuration.
    var configuration: Configuration {
        var continuity = Continuity()
        continuity.history = history
        continuity.gap = gap
        continuity.share = share
        continuity.lag = lag
        continuity.maskMilliseconds = maskMilliseconds
        continuity.ignoredParameters = ["nonce"]
        continuity.filterParameter = "types"
        switch identity {
        case .everybody: continuity.identity = .everybody
        case .cookie: continuity.identity = .values([.cookie("who")])
        case .token: continuity.identity = .values([.token])
        }
        if varies { continuity.variedFields = ["accept-language"] }
        var route = Route(upstreamIndex: 0)
        route.heartbeat.intervalMilliseconds = heartbeatMilliseconds
        route.continuity = continuity
        var listener = Listener(host: "10.9.9.9", port: 80)
        if isSecured {
            let identity = SimulatedCertificates.shared.server
            listener.tls = ListenerTLS(certificates: [Certificate(certificateFile: identity.certificate, keyFile: identity.key)])
        }
        listener.speaksHTTP2 = speaksHTTP2
        var publishing = Listener(host: "10.9.9.9", port: 81, tls: listener.tls)
        publishing.publishKeys = [Array("another-key-of-theirs".utf8), Array(Publisher.key.utf8)]
        return Configuration(
            workerCount: workerCount, listeners: [listener, publishing],
            upstreams: [Upstream(name: "origin", servers: [Upstream.Server(host: "10.0.0.1", port: 80)])], routes: [route], limits: limits,
            streamLog: .standardOutput)
    }

    /// Whether clients are told of gaps by events.
    var tellsByEvent: Bool { if case .event = gap { true } else { false } }

    /// Whether a late client may get fewer events than the route says, because not all are kept.
    var forgetsEarly: Bool {
        let usual = HistoryPolicy()
        return history.events < usual.events || history.bytes < usual.bytes || history.ageMilliseconds < usual.ageMilliseconds
            || limits.historyBytes < Limits().historyBytes
    }

    /// Whether a stream goes on in the server's next response.
    var masks: Bool { maskMilliseconds != nil }

    /// Whether a page's own stream goes on too, with responses that are for all.
    var masksOwnStreams: Bool { masks && shareOfVetoes + shareOfRefusals > 0 }

    /// Whether streams that nobody reads are forgotten before their time.
    var forgetsStreams: Bool { limits.keptStreams < Limits().keptStreams || limits.historyBytes < Limits().historyBytes }

    /// For somebody who reads of a failure.
    var summary: String {
        "\(workerCount) workers, identity \(identity)\(varies ? ", vary" : ""), share \(share), lag \(lag), \(history), "
            + "\(serversSetIDs ? "server's ids, " : "")\(gap), \(isSecured ? "TLS" : "no TLS"), "
            + (speaksHTTP2 ? "HTTP/2, \(browserCount) browsers \(kindOfBrowsers)" : "HTTP/1")
            + "\(publishes ? ", publishes" : "")\(maskMilliseconds.map { ", mask \($0)" } ?? ""), events of \(limits.eventBytes), "
            + "\(limits.keptStreams) kept, \(limits.historyBytes) bytes"
    }
}

/// What one page asks for, each time.
struct SharedPageManner {
    let host: String
    let target: String
    /// Nil for somebody without a name, who has other credentials.
    let user: Int?
    let number: Int
    let language: String?
    let origin: String?
    /// The types of the events that it wants; nil for all.
    let types: [String]?

    init(_ number: Int, _ plan: SharedPlan, _ chance: inout Chance) {
        self.number = number
        host = chance.pick(Array(["a", "b"].prefix(plan.hostCount)))
        target = chance.pick(Array(SharedPlan.paths.prefix(plan.pathCount)))
        user = chance.permille(100) ? nil : chance.below(plan.userCount)
        language = chance.permille(200) ? nil : chance.pick(Array(["en", "de"].prefix(plan.languageCount)))
        origin = chance.permille(100) ? "https://pages.example" : nil
        types =
            chance.permille(plan.shareOfFilters) ? chance.pick([["price"], ["message", "trade"], ["trade", "notice"], ["none"]]) : nil
    }

    /// Whether the page wants events of that type.
    func wants(_ type: String) -> Bool { types?.contains(type) ?? true }

    /// Its user's token.
    static func token(of user: Int) -> String { "token-of-user-\(user)" }

    /// The request that a server may get for it, by the key of its stream alone.
    func sharedRequest(_ plan: SharedPlan) -> String {
        var lines = ["GET \(target) HTTP/1.1", "Host: \(host)", "Accept: text/event-stream", "Accept-Encoding: identity"]
        if let origin { lines.append("Origin: \(origin)") }
        switch (plan.identity, user) {
        case (.everybody, _): break
        case (.cookie, let user?): lines.append("Cookie: who=\(user)")
        case (.token, let user?): lines.append("Authorization: Bearer \(Self.token(of: user))")
        // Who brings no name is told apart by all credentials.
        case (_, nil): lines.append("Cookie: guest=\(number)")
        }
        if plan.varies, let language { lines.append("accept-language: \(language)") }
        return (lines + ["Via: 1.1 heartwire", "", ""]).joined(separator: "\r\n")
    }

    /// A request of its own: what does not belong to the key is another each time.
    func request(_ plan: SharedPlan, _ chance: inout Chance) -> String {
        var parameters: [String] = []
        if let types { parameters.append("types=\(types.joined(separator: chance.permille(500) ? "," : "%2C"))") }
        if chance.permille(500) { parameters.append("nonce=\(chance.number(0...999))") }
        if chance.permille(500) { parameters.reverse() }
        let query = parameters.map { "&\($0)" }.joined()
        var lines = ["GET \(target)\(query) HTTP/1.1", "Host: \(chance.permille(300) ? host.uppercased() : host)"]
        lines.append("Accept: text/event-stream\(chance.permille(300) ? ", */*;q=0.1" : "")")
        lines.append("User-Agent: page-\(number)-\(chance.number(0...99))")
        if let origin { lines.append("Origin: \(origin)") }
        let passing = "visit=\(number).\(chance.number(0...999))"
        switch (plan.identity, user) {
        case (.everybody, _): lines += ["Cookie: \(passing)", "Authorization: Bearer passing-\(chance.number(0...99))"]
        case (.cookie, let user?): lines.append("Cookie: \(chance.permille(500) ? "\(passing); who=\(user)" : "who=\(user); \(passing)")")
        case (.token, let user?): lines += ["Authorization: Bearer \(Self.token(of: user))", "Cookie: \(passing)"]
        case (_, nil): lines.append("Cookie: guest=\(number)")
        }
        if plan.varies {
            if let language { lines.append("Accept-Language: \(language)") }
        } else {
            lines.append("Accept-Language: \(chance.pick(["en", "de", "fr"]))")
        }
        if chance.permille(300) { lines.append("X-Forwarded-For: 198.51.100.\(number)") }
        return lines.joined(separator: "\r\n") + "\r\n"
    }
}

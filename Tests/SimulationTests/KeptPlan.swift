// What a world of kept streams is like, drawn from its seed.

import Configuration
import TestSupport

@testable import Reactor

/// The choices of one world.
struct KeptPlan {
    /// Whether servers set ids: none; on every event, none twice; or on some, and again and again.
    enum ServerIDs: CaseIterable { case none, unique, loose }

    /// What servers say first when a request brings an id: what comes next, what follows that event, that event too, or all that there is.
    enum Replay: CaseIterable { case none, exact, inclusive, everything }

    static let listenAddress = SocketAddress(numeric: "10.9.9.9", port: 80)!
    static let originAddress = SocketAddress(numeric: "10.0.0.1", port: 80)!

    let workerCount: Int
    let serverIDs: ServerIDs
    /// Whether servers of loose ids also empty the id at times.
    let emptiesIDs: Bool
    let history: HistoryPolicy
    let gap: GapNotice
    let limits: Limits
    let heartbeatMilliseconds: Int
    /// How often a response ends or breaks by itself, in thousandths.
    let shareOfEnds: Int
    let isSecured: Bool
    let speaksHTTP2: Bool
    /// How many browsers there are, whose pages share a connection of HTTP/2.
    let browserCount: Int
    let kindOfBrowsers: BrowserManner.Kind
    /// How often pages bring an id of somebody else, in thousandths.
    let shareOfThefts: Int

    /// For how long servers that drop are asked again behind the pages' back; nil where they are not.
    let maskMilliseconds: Int?
    let replay: Replay
    /// Whether the events of a user go on in the server's next response; else each response counts from zero.
    let isContinuous: Bool
    /// Whether the route says that servers send what follows an id.
    let isResumable: Bool
    /// Whether each response begins with a greeting, which the route knows.
    let greets: Bool
    /// After so many milliseconds servers end a response in order, as Tomcat does.
    let capMilliseconds: Int?

    /// How responses are replaced; nil where they are not.
    let recycling: RecyclingPlan?
    /// Whether nothing happens to a stream but that its responses are replaced.
    var isSteady: Bool { recycling?.isSteady ?? false }

    init(_ chance: inout Chance) {
        workerCount = chance.number(1...3)
        serverIDs = chance.pick([.none, .unique, .unique, .loose])
        emptiesIDs = chance.permille(300)
        var history = HistoryPolicy()
        history.ids = chance.pick([.keep, .keep, .suffix, .own])
        if chance.permille(500) {
            history.events = chance.pick([5, 30, 1_000])
            history.bytes = chance.pick([2_000, 20_000, 262_144])
            history.ageMilliseconds = chance.pick([2_000, 10_000, 300_000])
        }
        history.awayMilliseconds = chance.pick([300, 3_000, 30_000, 30_000])
        self.history = history
        let event = GapNotice.event(name: GapNotice.defaultEventName)
        gap = chance.pick([event, event, event, event, event, event, .reconnect, .off])
        maskMilliseconds = chance.permille(700) ? chance.pick([3_000, 10_000, 60_000]) : nil
        recycling = maskMilliseconds != nil && chance.permille(450) ? RecyclingPlan(&chance) : nil
        let isSteady = recycling?.isSteady ?? false
        var limits = Limits()
        if !isSteady, chance.permille(200) { limits.eventBytes = chance.pick([100, 200]) }
        if chance.permille(150) { limits.keptStreams = chance.pick([1, 3]) }
        if chance.permille(150) { limits.historyBytes = chance.pick([4_096, 20_000]) }
        self.limits = limits
        heartbeatMilliseconds = chance.pick([500, 2_000, 15_000])
        shareOfEnds = isSteady ? 0 : chance.pick([0, 0, 200, 600])
        isSecured = chance.permille(250)
        speaksHTTP2 = chance.permille(450)
        browserCount = chance.number(1...3)
        kindOfBrowsers = chance.pick([.usual, .usual, .narrow, .small])
        shareOfThefts = chance.pick([0, 0, 100])
        isContinuous = recycling != nil || maskMilliseconds != nil && chance.permille(600)
        // All that there is, without unique ids, would come again at each replacement.
        let replays: [Replay] = recycling == nil || serverIDs == .unique ? Replay.allCases : [.none, .exact, .inclusive]
        replay = isContinuous ? chance.pick(replays) : .none
        isResumable = replay != .none && serverIDs != .none && chance.permille(700)
        greets = maskMilliseconds != nil && chance.permille(300)
        capMilliseconds = maskMilliseconds != nil && !isSteady && chance.permille(400) ? chance.pick([300, 2_000, 5_000]) : nil
    }

    /// The proxy's configuration.
    var configuration: Configuration {
        var continuity = Continuity()
        continuity.history = history
        continuity.gap = gap
        continuity.maskMilliseconds = maskMilliseconds
        continuity.isResumable = isResumable
        continuity.recycle = recycling?.recycle
        if greets { continuity.greetings = ["connected"] }
        var route = Route(upstreamIndex: 0)
        route.heartbeat.intervalMilliseconds = heartbeatMilliseconds
        route.continuity = continuity
        var listener = Listener(host: "10.9.9.9", port: 80)
        if isSecured {
            let identity = SimulatedCertificates.shared.server
            listener.tls = ListenerTLS(certificates: [Certificate(certificateFile: identity.certificate, keyFile: identity.key)])
        }
        listener.speaksHTTP2 = speaksHTTP2
        return Configuration(
            workerCount: workerCount, listeners: [listener],
            upstreams: [Upstream(name: "origin", servers: [Upstream.Server(host: "10.0.0.1", port: 80)])], routes: [route], limits: limits,
            streamLog: .standardOutput)
    }

    /// Whether a page's id is the server's alone, so that it names no place exactly.
    var pagesHaveServerIDs: Bool { history.ids == .keep && serverIDs != .none }

    /// Whether a page's place may be an older one than it has read.
    var isLoose: Bool { history.ids == .keep && serverIDs == .loose }

    /// Whether blocks or streams are forgotten before their time by some limit.
    var forgetsEarly: Bool {
        let usual = HistoryPolicy()
        return history.events < usual.events || history.bytes < usual.bytes || history.ageMilliseconds < usual.ageMilliseconds
            || limits.keptStreams < Limits().keptStreams || limits.historyBytes < Limits().historyBytes
    }

    /// Whether clients are told of gaps by events.
    var tellsByEvent: Bool { if case .event = gap { true } else { false } }

    /// For somebody who reads of a failure.
    var summary: String {
        "\(workerCount) workers, server's ids \(serverIDs), \(history), \(gap), \(isSecured ? "TLS" : "no TLS"), "
            + (speaksHTTP2 ? "HTTP/2, \(browserCount) browsers \(kindOfBrowsers)" : "HTTP/1")
            + (maskMilliseconds.map { ", mask \($0), replay \(replay), \(isContinuous ? "" : "not ")continuous" } ?? "")
            + (recycling.map { ", \($0.summary)" } ?? "")
            + "\(isResumable ? ", resumable" : "")\(greets ? ", greets" : ""), ends after \(capMilliseconds ?? 0), "
            + "events of \(limits.eventBytes), \(limits.keptStreams) kept, \(limits.historyBytes) bytes"
    }
}

// What a world of merged streams is like, drawn from its seed.

import Configuration
import TestSupport

@testable import Reactor

/// The choices of one world, whose pages read a stream of several servers, its pods.
struct MergedPlan {
    let workerCount: Int
    let podAddresses: [SocketAddress]
    /// Whether one name stands for all pods, so that they come and go; else each is a server of the upstream.
    let isOneName: Bool
    /// What makes events of different pods the same, where all say what comes from one topic; nil where each has its own.
    let repetition: Merge.Repetition.Mark?
    /// Whether events have ids.
    let haveIDs: Bool
    /// Whether pods go on behind an id, and the route knows it.
    let isResumable: Bool
    let maskMilliseconds: Int?
    let awayMilliseconds: Int
    let heartbeatMilliseconds: Int
    /// Whether pages stay, and all that happens to pods is that they come and are taken from the name.
    let isSteady: Bool
    /// Whether pods are down at times.
    let hasOutages: Bool
    /// How often a response ends or breaks by itself, in thousandths.
    let shareOfEnds: Int
    /// How late an event comes over a connection, at most: each has a lag of its own.
    let lagMilliseconds: Int
    let clients: PagesWorld.Clients
    let speaksHTTP2: Bool

    /// Longer than any pod is away.
    private static let repetitionMilliseconds = 120_000

    init(_ chance: inout Chance) {
        workerCount = chance.number(1...3)
        podAddresses = (1...chance.number(2...4)).map { SocketAddress(numeric: "10.0.0.\($0)", port: 80)! }
        isOneName = chance.permille(600)
        repetition = chance.pick([nil, .id, .data])
        haveIDs = repetition == .id || chance.permille(600)
        isResumable = haveIDs && chance.permille(500)
        maskMilliseconds = chance.pick([nil, 10_000, 60_000])
        heartbeatMilliseconds = chance.pick([500, 2_000, 15_000])
        isSteady = chance.permille(300)
        // A whole browser may go, and its pages come back some seconds later.
        awayMilliseconds = isSteady ? 30_000 : chance.pick([3_000, 30_000, 30_000])
        hasOutages = !isSteady && chance.permille(600)
        shareOfEnds = isSteady ? 0 : chance.pick([0, 20, 100])
        lagMilliseconds = chance.pick([0, 300, 1_500])
        clients = PagesWorld.Clients(
            isSecured: chance.permille(200), browserCount: chance.number(1...2), kindOfBrowsers: chance.pick([.usual, .narrow, .small]))
        speaksHTTP2 = chance.permille(300)
    }

    /// The proxy's configuration.
    var configuration: Configuration {
        var continuity = Continuity()
        // What the language makes of `merge`.
        continuity.history.ids = .own
        continuity.history.awayMilliseconds = awayMilliseconds
        continuity.maskMilliseconds = maskMilliseconds
        continuity.isResumable = isResumable
        continuity.merge = Merge(dropping: repetition.map { Merge.Repetition($0, withinMilliseconds: Self.repetitionMilliseconds) })
        var route = Route(upstreamIndex: 0)
        route.heartbeat.intervalMilliseconds = heartbeatMilliseconds
        route.continuity = continuity
        var listener = Listener(host: "10.9.9.9", port: 80)
        if clients.isSecured {
            let identity = SimulatedCertificates.shared.server
            listener.tls = ListenerTLS(certificates: [Certificate(certificateFile: identity.certificate, keyFile: identity.key)])
        }
        listener.speaksHTTP2 = speaksHTTP2
        let names = isOneName ? ["pods"] : (1...podAddresses.count).map { "10.0.0.\($0)" }
        return Configuration(
            workerCount: workerCount, listeners: [listener],
            upstreams: [Upstream(name: "pods", servers: names.map { Upstream.Server(host: $0, port: 80) })], routes: [route],
            limits: Limits(), streamLog: .standardOutput)
    }

    /// The addresses of each server, where those pods are known.
    func addresses(of pods: [Int]) -> [[SocketAddress]] {
        isOneName ? [pods.map { podAddresses[$0] }] : podAddresses.map { [$0] }
    }

    /// For somebody who reads of a failure.
    var summary: String {
        "\(workerCount) workers, \(podAddresses.count) pods\(isOneName ? " of one name" : ""), "
            + "\(repetition.map { "unique \($0)" } ?? "events of their own")\(haveIDs ? ", ids" : "")\(isResumable ? ", resumable" : ""), "
            + "mask \(maskMilliseconds ?? 0), away \(awayMilliseconds)\(isSteady ? ", steady" : "")\(hasOutages ? ", outages" : ""), "
            + "ends \(shareOfEnds), lag \(lagMilliseconds), \(clients.isSecured ? "TLS" : "no TLS"), \(speaksHTTP2 ? "HTTP/2" : "HTTP/1")"
    }
}

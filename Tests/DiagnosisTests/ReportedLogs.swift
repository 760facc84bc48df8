// Public reports of dropped streams, each made into a small log with its tell-tale.

import Telemetry
import TestSupport

@testable import Diagnosis

struct ReportedLog: Sendable {
    let report: String
    /// What the log has to be said to show; nothing where only a probe can see it.
    let expected: [Expected]
    let world: @Sendable (inout World) -> Void

    /// The log with that seed. Reports without a world of their own are made by hand.
    func facts(seed: UInt64) -> LogFacts {
        var setting = World(seed: seed)
        setting.streams = 120
        setting.span = 14_400
        world(&setting)
        return setting.log()
    }

    static let all: [ReportedLog] = [
        ReportedLog(report: "stellar horizon #424", expected: [Expected(kind: .idleTimeout, side: .client, seconds: 60)]) {
            $0.gap = .exponential(mean: 30)
            $0.clientIdle = Timer(seconds: 60)
        },
        ReportedLog(report: "mustafaturan/sse #9", expected: [Expected(kind: .absoluteTimeout, side: .upstream, seconds: 60)]) {
            $0.gap = .uniform(0.99...1.01)
            $0.upstreamAbsolute = Timer(seconds: 60, cause: .upstreamCutOff)
        },
        ReportedLog(report: "SquadQuest #466", expected: [Expected(kind: .absoluteTimeout, side: .upstream, seconds: 300, within: 2)]) {
            $0.heartbeat = 15
            $0.stay = .exponential(mean: 3_000)
            $0.upstreamAbsolute = Timer(seconds: 300, late: .uniform(1.5...2), cause: .upstreamFinished)
        },
        ReportedLog(report: "burla #170", expected: [Expected(kind: .absoluteTimeout, side: .upstream, seconds: 61)]) {
            $0.gap = .exponential(mean: 4)
            $0.upstreamAbsolute = Timer(seconds: 61, cause: .upstreamCutOff)
        },
        ReportedLog(
            report: "BuilderIO agent-native #4788", expected: [Expected(kind: .absoluteTimeout, side: .client, seconds: 300, within: 2)]
        ) {
            $0.heartbeat = 15
            $0.stay = .exponential(mean: 6_000)
            $0.clientAbsolute = Timer(seconds: 301.4, late: .uniform(0...0.1))
        },
        ReportedLog(report: "mercure #96", expected: [Expected(kind: .idleTimeout, side: .client, seconds: 30)]) {
            $0.heartbeat = 40
            $0.clientIdle = Timer(seconds: 30, cause: .clientReset)
        },
        ReportedLog(report: "WaveHouse #226", expected: [Expected(kind: .idleTimeout, side: .client, seconds: 120)]) {
            $0.gap = .exponential(mean: 60)
            $0.stay = .exponential(mean: 2_000)
            $0.clientIdle = Timer(seconds: 120, cause: .clientReset)
        },
        ReportedLog(report: "ingress-gce #518", expected: [Expected(kind: .absoluteTimeout, side: .client, seconds: 30)]) {
            $0.gap = .exponential(mean: 6)
            $0.clientAbsolute = Timer(seconds: 30)
        },
        ReportedLog(report: "MCP typescript-sdk #270", expected: [Expected(kind: .idleTimeout, side: .client, seconds: 300)]) {
            $0.addresses = 0
            $0.gap = .exponential(mean: 150)
            $0.stay = .exponential(mean: 6_000)
            $0.clientIdle = Timer(seconds: 300)
        },
        ReportedLog(report: "omnara #502", expected: [Expected(kind: .absoluteTimeout, side: .upstream, seconds: 16)]) {
            $0.streams = 18
            $0.gap = .exponential(mean: 0.01)
            $0.upstreamAbsolute = Timer(seconds: 16, late: .uniform(0...0.1), cause: .upstreamCutOff)
        },
        ReportedLog(report: "gogatekeeper #718", expected: [Expected(kind: .absoluteTimeout, side: .upstream, seconds: 15)]) {
            $0.gap = .always(5)
            $0.upstreamAbsolute = Timer(seconds: 15, cause: .upstreamCutOff)
        },
        ReportedLog(report: "dust #19917", expected: [Expected(kind: .deployment, side: .upstream)]) {
            $0.servers = 2
            $0.stay = .exponential(mean: 7_000)
            $0.retry = .uniform(5...5.05)
            $0.breaks = [Break(time: 6_000, server: 0), Break(time: 6_060, server: 1)]
        },
        ReportedLog(
            report: "kubernetes #54505, ingress-nginx #2647", expected: [Expected(kind: .hopRestart, side: .client)]
        ) {
            $0.stay = .exponential(mean: 7_000)
            $0.breaks = [Break(time: 5_000, cause: .clientClosed, address: 0), Break(time: 9_000, cause: .clientClosed, address: 1)]
        },
        // Sent and acknowledged at once: the log cannot tell.
        ReportedLog(report: "featurehub #296", expected: []) { $0.gap = .exponential(mean: 40) },
    ]
}

// How sure a limit is. The caps matter more than the sums: without them one healthy log in five would accuse somebody.

import Telemetry

/// What is known of the streams that a limit ended.
struct Members {
    let streams: [Int]
    let returns: Returns
    /// The share of the streams that ended at the limit, among all streams that reached it.
    let lethality: Double
    /// The share that ended by a reset.
    private let resets: Double
    /// The share that the server ended in good order.
    private let orderly: Double
    /// The share whose last silence is as long as their life: they never said anything.
    let alwaysSilent: Double
    /// All of them had the same number of events.
    private let isSameCount: Bool
    /// Many of them began together: after something had ended their streams before, and may have ended these too.
    private let isBunched: Bool
    /// They ended together and had not begun together, so something happened to all of them at one time.
    private let endedTogether: Bool
    /// They ended at one moment, all of them.
    private let endedOnce: Bool

    init(_ streams: [Int], outlived: Int, silenceOn side: Finding.Side, in book: Casebook) {
        self.streams = streams
        returns = Returns(after: streams, in: book)
        let count = Double(streams.count)
        lethality = count / Double(streams.count + outlived)
        func share(_ holds: (StreamFacts) -> Bool) -> Double { Double(streams.count { holds(book.facts.streams[$0]) }) / count }
        resets = share { $0.cause == .clientReset || $0.cause == .upstreamReset }
        orderly = share { $0.cause == .upstreamFinished }
        alwaysSilent = share { stream in stream.atEnd(.silence, on: side).map { $0 + 1_000 >= stream.duration } ?? (stream.events == 0) }
        let events = book.facts.streams[streams[0]].events
        let begins = Set(streams.map { book.facts.streams[$0].openedAt / 2_500 }).count
        let stops = Set(streams.map { book.facts.streams[$0].endedAt / 2_500 }).count
        endedTogether = stops * 2 <= begins
        endedOnce = endedTogether && stops <= 2
        isBunched = min(begins, stops) * 2 <= streams.count || begins < 3
        isSameCount = streams.allSatisfy { book.facts.streams[$0].events == events }
    }

    /// The confidence in a limit on this side.
    func confidence(_ reading: Reading, on side: Finding.Side) -> Double {
        var confidence: Double
        if side == .upstream {
            confidence = atServer
        } else if reading.isIdle && alwaysSilent <= 0.7 {
            confidence = afterSilence
        } else {
            confidence = atOneAge
        }
        if streams.count < 6 { confidence -= 0.1 }
        if endedTogether && !reading.isIdle { confidence = min(confidence, 0.4) }
        // A machine or a process that stood still leaves all its streams the same silence, once.
        if endedOnce && reading.isIdle { confidence = min(confidence, 0.45) }
        // A server that is replaced every ten minutes gives one age to those who come back each time. Others outlive that age.
        if isBunched && !reading.isIdle && lethality < 0.5 { confidence = min(confidence, 0.45) }
        return max(min(confidence, reading.isSure ? 1 : 0.75), 0.05)
    }

    /// Clients that end at one age: people do that too (a page that reloads itself, a monitor, a script with a limit of its own). So only
    /// clients that came back after a pause make a claim of it.
    private var atOneAge: Double {
        var confidence = 0.35
        if returns.many { confidence += 0.45 } else if returns.some { confidence += 0.25 }
        if lethality > 0.8 { confidence += 0.1 }
        if resets > 0.5 { confidence += 0.05 }
        if !returns.some { confidence = min(confidence, 0.45) }
        if returns.mostlyAtOnce { confidence = min(confidence, 0.4) }
        if returns.people < 3 && returns.afterPause + returns.atOnce == 0 { confidence = min(confidence, 0.4) }
        return confidence
    }

    /// Clients that end at one silence and many ages: nobody leaves a page 60.0 s after its last event.
    private var afterSilence: Double {
        var confidence = 0.7
        if lethality > 0.7 { confidence += 0.1 }
        if returns.some { confidence += 0.1 }
        if streams.count >= 10 { confidence += 0.05 }
        if lethality < 0.5 { confidence = min(confidence, returns.some ? 0.6 : 0.45) }
        return confidence
    }

    /// A server or a hop behind the proxy.
    private var atServer: Double {
        // Jobs that have done their work: their clients have what they came for.
        if isSameCount && orderly > 0.9 && alwaysSilent < 0.9 && returns.afterPause + returns.atOnce < 0.15 { return 0.3 }
        var confidence = 0.65
        if returns.some { confidence += 0.2 }
        if orderly < 0.5 { confidence += 0.15 }
        if lethality > 0.7 { confidence += 0.05 }
        return confidence
    }
}

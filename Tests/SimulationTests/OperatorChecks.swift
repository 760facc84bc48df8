// What must hold of the operator's side. The stream that was named ends, between two of its events, with that cause, and no other does; the
// answer is true of streams that are over; lines about events appear only while they are switched on. What is shown is true, and nothing
// waits for viewers that never read.

import Console
import Foundation
import ReferenceEventSource

@testable import Proxy
@testable import Reactor
@testable import Telemetry

extension Scenario {
    /// All that was switched, by reloads and by the operator.
    var eventLogSwitches: EventLogSwitches {
        var switches = reloadedEventLogs
        for wish in wishes { switches.add(wish) }
        return switches
    }

    func checkWishes(_ log: LogView) {
        let openings = Dictionary(
            (log.records + log.probes).filter { $0["event"] as? String == "stream_open" }.map { ($0["stream"] as? String ?? "", $0) },
            uniquingKeysWith: { first, _ in first })
        let endings = Dictionary(
            (log.records + log.probes).filter { $0["event"] as? String == "stream_end" }.map { ($0["stream"] as? String ?? "", $0) },
            uniquingKeysWith: { first, _ in first })
        for (stream, ending) in endings where ending["cause"] as? String == Cause.endedByOperator.rawValue {
            expect(
                log.moments(of: ending).contains { isWished(stream, by: $0) }, "\(stream): ended by the operator, who had not asked for it")
        }
        for wish in wishes {
            guard case .end(let stream) = wish.what, let answeredAt = wish.answeredAt else { continue }
            check(wish, answeredAt, stream, openings[stream], endings[stream], log)
        }
    }

    /// Whether the operator had asked by then for the stream's end.
    func isWished(_ stream: String, by moment: Int64) -> Bool {
        wishes.contains { wish in if case .end(stream) = wish.what { wish.askedAt <= moment } else { false } }
    }

    private func check(
        _ wish: OperatorWish, _ answeredAt: Int64, _ stream: String, _ opening: [String: Any]?, _ ending: [String: Any]?, _ log: LogView
    ) {
        guard let opening, let ending else {
            return expect(wish.status == 404, "\(stream): never was, and its end was answered \(wish.status)")
        }
        // Where the clock was set, a moment of the log may be one of several.
        let (began, ended) = (log.moments(of: opening), log.moments(of: ending))
        let mayRun = began.contains { $0 <= answeredAt } && ended.contains { $0 >= wish.askedAt }
        let runs = began.allSatisfy { $0 < wish.askedAt } && ended.allSatisfy { $0 > answeredAt }
        switch wish.status {
        case 200: expect(mayRun, "\(stream): did not run from \(wish.askedAt) to \(answeredAt), and the operator was told that it ends")
        case 404: expect(!runs, "\(stream): ran from \(began) to \(ended), and the operator was told at \(answeredAt) that it does not")
        case 503: expect(world.leapt(between: wish.askedAt, and: answeredAt), "\(stream): the operator was not answered in time")
        default: expect(false, "\(stream): the operator was answered \(wish.status)")
        }
        guard wish.status == 200, let path = ending["path"] as? String, !Scenario.isShared(path), let truth = truths[path] else {
            return
        }
        checkTime(answeredAt, ended, truth, ending)
    }

    /// The stream ends as soon as its server has sent all of an event.
    private func checkTime(_ answeredAt: Int64, _ ended: [Int64], _ truth: Truth, _ ending: [String: Any]) {
        // A proxy that waits for its client does not read what the server has sent.
        guard !truth.isSlow, ending["max_pending_bytes"] as? Int == 0, let arrival = truth.present else { return }
        let way = Int64(2 * plan.faults.delayMilliseconds.upperBound) + 4 * TimerWheel.tickMilliseconds
        let isLate = arrival.rests.contains { rest in
            let seenAt = max(rest.from, answeredAt) + way
            return seenAt < rest.until ?? .max && ended.allSatisfy { $0 > seenAt } && !world.leapt(between: answeredAt, and: seenAt)
        }
        expect(
            !isLate,
            """
            \(truth.path): its end was asked for at \(answeredAt), and it went on until \(ended) although no event was open: \
            \(arrival.rests)
            """)
    }

    /// What a client got of a stream that the operator ended stops between two events. Called with a whole response.
    func checkPlaceOfEnd(_ truth: Truth, _ body: [UInt8], _ read: ReferenceEventSource, _ ending: [String: Any]?) {
        guard ending?["cause"] as? String == Cause.endedByOperator.rawValue else { return }
        // The proxy's own last line tells when to come back. A byte order mark opens no event.
        let start = read.lastBoundary ?? (body.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0)
        let last = body[start...].split(separator: 10)
        let isOpen = last.contains { $0.first != UInt8(ascii: ":") && !$0.starts(with: Array("retry: ".utf8)) && $0 != [13] }
        expect(read.endsBetweenLines && !isOpen, "\(truth.path): the operator ended it within an event")
        world.count("a stream that the operator ended was read to its end")
    }
}

// MARK: - What the operator is shown

extension Scenario {
    /// Notes twice a second what runs.
    func rememberRunning(on proxies: [ProxyWorker]) {
        guard drainsSince == .max, let operators else { return }
        operatorWaitsSince = operators.hasBytesForDeafViewer ? operatorWaitsSince ?? world.now : nil
        // The viewer that never reads is dropped after `stallMilliseconds`. Where time jumps, it had no turn meanwhile.
        let waits = plan.troubles.clock ? 0 : world.now - (operatorWaitsSince ?? world.now)
        expect(
            waits < Int64(ConsoleLimits.stallMilliseconds) + 4_000,
            "bytes have waited in the console for \(waits) ms for a viewer that never reads")
        let runningNow = { Operators.running(on: proxies) }
        self.runningNow = runningNow
        runningBefore.append((world.now, runningNow(), shownNow))
        runningBefore.removeAll { $0.moment < world.now - Operators.lagMilliseconds }
        world.after(500) { [self] in rememberRunning(on: proxies) }
    }

    private var shownNow: Set<String> {
        var shown = operators?.watcher?.shown ?? []
        tamperShown(&shown)
        return shown
    }

    /// What the watcher is shown is true: every stream that has run for a while, and for a while none that does not run.
    func checkOperators() {
        defer { runningNow = nil }
        guard let operators, let watcher = operators.watcher, let runningNow else { return }
        expect(operators.scraper.map { $0.answerCount > 5 } ?? false, "the scraper has \(operators.scraper?.answerCount ?? 0) answers")
        // A viewer begins again when it was too slow, and not because the snapshot itself is large.
        expect(watcher.mostBeginnings <= 20, "the watcher was told everything \(watcher.mostBeginnings) times on one connection")
        let isSettled = world.now - watcher.connectedAt > Operators.lagMilliseconds
        let shown = shownNow
        operators.retire()
        guard isSettled else { return }
        // A stream that has ended since the last look may be gone already.
        let lasting = runningBefore.reduce(runningNow()) { $0.intersection($1.streams) }
        let lately = runningBefore.reduce(Set<String>()) { $0.union($1.streams) }
        expect(lasting.isSubset(of: shown), "the operator is not shown \(lasting.subtracting(shown).sorted())")
        let constantly = runningBefore.reduce(shown) { $0.intersection($1.shown) }
        expect(constantly.isSubset(of: lately), "the operator is shown \(constantly.subtracting(lately).sorted()), which do not run")
    }
}

// One service that says whether requests may pass, on one worker: its desk, and the living streams that depend on its word. A reload that
// describes the service in the same words keeps it, with its answers. Streams that were opened before another reload keep their own.

import Configuration
import Credentials
import HTTP
import Reactor
import Telemetry
import Upstreams

/// A service that says whether requests may pass.
package final class ForwardAuthService {
    /// The service as it is configured.
    package let settings: ForwardAuth
    private let desk: ForwardAuthDesk
    private let evidence: (ForwardAuthLoss) -> String
    private let rechecks: Rechecks
    private let counters: WorkerCounters
    /// The number of its metrics' series, which a reload does not change.
    private let series: Int32
    private weak var streams: (any WatchedStreams)?
    private var watched = WatchedQuestions()
    /// The longest page that is passed on with a refusal, in bytes.
    private static let mostBodyBytes = 65_536

    /// A service that nobody has asked yet. `streams` are told what becomes of the streams that depend on it.
    package convenience init(
        _ settings: ForwardAuth, _ group: ServerGroup, _ rechecks: Rechecks, of streams: any WatchedStreams, _ counters: WorkerCounters,
        _ series: Int32
    ) { self.init(settings, .byStatus(settings), group, rechecks, of: streams, counters, series) }

    /// An issuer that nobody has asked yet. `streams` are told what becomes of the streams that depend on its answers.
    package convenience init(
        _ introspection: Introspection, _ group: ServerGroup, _ rechecks: Rechecks, of streams: any WatchedStreams,
        _ counters: WorkerCounters, _ series: Int32
    ) { self.init(introspection.asked, .introspection(introspection), group, rechecks, of: streams, counters, series) }

    private init(
        _ settings: ForwardAuth, _ manner: ForwardAuthManner, _ group: ServerGroup, _ rechecks: Rechecks, of streams: any WatchedStreams,
        _ counters: WorkerCounters, _ series: Int32
    ) {
        self.settings = settings
        self.rechecks = rechecks
        self.streams = streams
        self.counters = counters
        self.series = series
        evidence = manner.evidence
        let worker = rechecks.worker
        let terms = settings.terms
        let connections = ServiceConnections(most: ForwardAuthDesk.mostCalls)
        desk = ForwardAuthDesk(
            cacheMilliseconds: terms.cacheMilliseconds, deniedMilliseconds: terms.deniedCacheMilliseconds,
            timeoutMilliseconds: settings.service.timeoutMilliseconds, clock: { [unowned worker] in worker.now }
        ) { [unowned worker] question, milliseconds, answer in
            var limits = ServiceLimits(
                timeoutMilliseconds: Int(milliseconds), bodyBytes: ForwardAuthService.mostBodyBytes, needsWholeBody: false)
            limits.needsBody = manner.needsBody
            let beganAt = worker.now
            ServiceCall.ask(manner.request(question), of: group, on: worker, limits, among: connections) { result in
                let verdict: ForwardAuthVerdict =
                    switch result {
                    case .answered(let head, let body): manner.verdict(head, body)
                    case .failed(_, let evidence): .unusable(evidence)
                    }
                counters.add(.forwardAuthAnswers, verdict.outcome, of: series)
                counters.observe(.forwardAuthDuration, of: series, milliseconds: worker.now - beganAt)
                answer(verdict)
            }
        }
        desk.whenAnswered = { [weak self] in self?.learn($0, $1) }
    }

    /// The kept answer to a question; nil where the service has to be asked. `needsRefusalOnly` as of a waiter.
    package func keptVerdict(on question: ForwardAuthQuestion, needsRefusalOnly: Bool) -> ForwardAuthVerdict? {
        guard let verdict = desk.keptVerdict(on: question, needsRefusalOnly: needsRefusalOnly) else { return nil }
        counters.add(.forwardAuthKept, of: series)
        return verdict
    }

    /// Asks for a waiter. False where too many questions wait already: then the waiter is told nothing.
    package func ask(_ question: ForwardAuthQuestion, for waiter: ForwardAuthWaiter) -> Bool { desk.ask(question, for: waiter) }

    // MARK: Living streams

    /// A stream depends on a question that the service has just answered, or whose answer was kept. `streams` knows it already.
    package func watch(_ question: ForwardAuthQuestion) {
        guard let pause = settings.terms.recheckMilliseconds else { return }
        let now = rechecks.worker.now
        watched.add(
            question,
            RecheckSchedule(
                pauseMilliseconds: pause, graceMilliseconds: settings.terms.recheckGraceMilliseconds,
                now: min(desk.allowedAt(question) ?? now, now), chance: chance),
            isAlive: hasStreams)
        if let next = watched.nextAt { rechecks.expect(self, at: next) }
    }

    /// Whether it has to be asked again, at some moment.
    var isWatching: Bool { watched.count > 0 }

    /// Asks again what is due. Returns when to look again; nil for not before another answer.
    func askAgain(now: Int64) -> Int64? {
        for question in watched.takeDue(now: now, isAlive: hasStreams) {
            // What comes of it is learnt in `learn`, like every answer.
            let waiter = ForwardAuthWaiter(needsRefusalOnly: true, isGone: { false }, whenDecided: { _ in })
            if !desk.ask(question, for: waiter, isRecheck: true) { learn(question.digest, ForwardAuthDesk.tooMany) }
        }
        return watched.nextAt
    }

    /// Every answer counts, also one that was wanted for an opening.
    private func learn(_ question: KeyedDigest, _ verdict: ForwardAuthVerdict) {
        guard isWatching else { return }
        if let loss = watched.answered(question, verdict, now: rechecks.worker.now, chance: chance) {
            streams?.end(streamsOf: question, loss, evidence: evidence(loss))
        }
        if let next = watched.nextAt { rechecks.expect(self, at: next) }
    }

    private func hasStreams(_ question: KeyedDigest) -> Bool { streams?.hasStreams(of: question) ?? false }

    /// A random number below the limit.
    private func chance(below limit: UInt64) -> UInt64 {
        var number: UInt64 = 0
        withUnsafeMutableBytes(of: &number) { rechecks.worker.kernel.fillRandom($0) }
        return number % limit
    }
}

extension ForwardAuthVerdict {
    /// The metrics' word for it.
    fileprivate var outcome: ForwardAuthOutcome {
        switch self {
        case .allowed: .allowed
        case .denied: .denied
        case .redirected: .redirected
        case .unusable: .unavailable
        }
    }
}

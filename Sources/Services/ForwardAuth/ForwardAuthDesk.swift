// Puts questions to one service, on one worker. Many openings of one identity at the same moment ask once, and answers are kept.
//
//     kept? --no--> asked already? --no--> a connection is free? --no--> queue
//       \------------------yes: nobody is asked ------------/
//
// Invariant: each waiter gets exactly one verdict unless it is gone; connections, queue and answers are bounded; what was meant for
// one client (a cookie) goes to the client for which the service was asked.

import Credentials

/// Somebody who waits for a service's verdict.
package final class ForwardAuthWaiter {
    /// Whether a refusal is enough for it. Otherwise it wants the service's own refusal, cookies included.
    let needsRefusalOnly: Bool
    fileprivate let isGone: () -> Bool
    fileprivate let whenDecided: (ForwardAuthVerdict) -> Void

    /// A waiter. `whenDecided` is called once, never before `ask` has returned, and not while `isGone`.
    package init(needsRefusalOnly: Bool, isGone: @escaping () -> Bool, whenDecided: @escaping (ForwardAuthVerdict) -> Void) {
        self.needsRefusalOnly = needsRefusalOnly
        self.isGone = isGone
        self.whenDecided = whenDecided
    }
}

/// One question on its way.
private final class ForwardAuthCall {
    let question: ForwardAuthQuestion
    /// Monotonic milliseconds: when its waiters are told that there is no answer.
    let deadline: Int64
    /// Whether other waiters may join.
    let isShared: Bool
    /// The service is asked for the first one; the others have joined.
    var waiters: [ForwardAuthWaiter] = []

    init(_ question: ForwardAuthQuestion, deadline: Int64, isShared: Bool) {
        self.question = question
        self.deadline = deadline
        self.isShared = isShared
    }
}

/// Questions that wait until they are asked, in their order.
private struct CallQueue {
    private var calls: [ForwardAuthCall] = []
    private var first = 0

    var count: Int { calls.count - first }

    mutating func append(_ call: ForwardAuthCall) { calls.append(call) }

    mutating func takeFirst() -> ForwardAuthCall? {
        guard first < calls.count else { return nil }
        let call = calls[first]
        first += 1
        if first == calls.count || first >= ForwardAuthDesk.mostQueued {
            calls.removeFirst(first)
            first = 0
        }
        return call
    }
}

/// The questions for one service.
package final class ForwardAuthDesk {
    /// Sends a question. The verdict must come once, within so many milliseconds, and not before the call has returned.
    typealias Sending = (ForwardAuthQuestion, _ timeoutMilliseconds: Int64, @escaping (ForwardAuthVerdict) -> Void) -> Void

    /// How many questions may be asked at a time.
    static let mostCalls = 32
    /// How many questions about openings may wait until they are asked, and as many about living streams.
    static let mostQueued = 1_024
    /// How many answers are kept, and how many bytes of them.
    static let mostAnswers = 10_000
    static let mostAnswerBytes = 16 << 20
    /// What a waiter is told where too many questions wait already.
    package static let tooMany = ForwardAuthVerdict.unusable("the service has too many questions to answer")

    /// For how long an answer that lets requests pass is kept, in milliseconds.
    var cacheMilliseconds: Int64
    /// The same for all other answers.
    var deniedMilliseconds: Int64
    /// How long the service may take.
    var timeoutMilliseconds: Int64
    /// Called with each answer before its waiters are told, and also where there was none.
    var whenAnswered: (KeyedDigest, ForwardAuthVerdict) -> Void = { _, _ in }

    private let clock: () -> Int64
    private let send: Sending
    private var kept = KeptAnswers<ForwardAuthVerdict>(
        mostAnswers: ForwardAuthDesk.mostAnswers, mostBytes: ForwardAuthDesk.mostAnswerBytes)
    /// What others can join.
    private var shared: [KeyedDigest: ForwardAuthCall] = [:]
    private var openings = CallQueue()
    /// Questions about living streams wait apart, and have every second turn: a flood of openings must not end the streams of others.
    private var rechecks = CallQueue()
    private var isTurnOfRechecks = false
    /// How many questions are being asked.
    private(set) var callCount = 0

    /// A desk. `clock` gives monotonic milliseconds.
    init(
        cacheMilliseconds: Int, deniedMilliseconds: Int, timeoutMilliseconds: Int, clock: @escaping () -> Int64, send: @escaping Sending
    ) {
        self.cacheMilliseconds = Int64(cacheMilliseconds)
        self.deniedMilliseconds = Int64(deniedMilliseconds)
        self.timeoutMilliseconds = Int64(timeoutMilliseconds)
        self.clock = clock
        self.send = send
    }

    /// How many questions wait for a free connection. For tests.
    var queuedCount: Int { openings.count + rechecks.count }

    /// The kept answer to a question, if it is good for somebody who needs a refusal only, or for somebody who needs more.
    func keptVerdict(on question: ForwardAuthQuestion, needsRefusalOnly: Bool) -> ForwardAuthVerdict? {
        guard let verdict = kept.answer(to: question.digest, now: clock()) else { return nil }
        return verdict.isForOthers(needingRefusalOnly: needsRefusalOnly) ? verdict : nil
    }

    /// When the service last let the question's requests pass, as far as that is known.
    func allowedAt(_ question: ForwardAuthQuestion) -> Int64? { kept.end(of: question.digest).map { $0 - cacheMilliseconds } }

    /// Asks for a waiter, whatever is kept. False where too many questions wait already: then the waiter is told nothing.
    /// - Parameter isRecheck: whether living streams depend on the answer.
    func ask(_ question: ForwardAuthQuestion, for waiter: ForwardAuthWaiter, isRecheck: Bool = false) -> Bool {
        // Where the last answer was meant for one client, the next one will be too.
        let last = kept.answer(to: question.digest, now: clock())
        let isShared = last?.isForOthers(needingRefusalOnly: waiter.needsRefusalOnly) ?? true
        if isShared, let call = shared[question.digest] {
            call.waiters.append(waiter)
            return true
        }
        return begin(question, for: waiter, isShared: isShared, isRecheck: isRecheck)
    }

    // MARK: One question

    private func begin(
        _ question: ForwardAuthQuestion, for waiter: ForwardAuthWaiter, isShared: Bool, isRecheck: Bool = false
    ) -> Bool {
        let queued = isRecheck ? rechecks.count : openings.count
        guard callCount < ForwardAuthDesk.mostCalls || queued < ForwardAuthDesk.mostQueued else { return false }
        let call = ForwardAuthCall(question, deadline: clock() + timeoutMilliseconds, isShared: isShared)
        if isShared { shared[question.digest] = call }
        call.waiters = [waiter]
        if callCount < ForwardAuthDesk.mostCalls {
            start(call)
        } else if isRecheck {
            rechecks.append(call)
        } else {
            openings.append(call)
        }
        return true
    }

    private func start(_ call: ForwardAuthCall) {
        callCount += 1
        send(call.question, max(call.deadline - clock(), 1)) { [self] verdict in
            callCount -= 1
            finish(call, verdict)
            startQueued()
        }
    }

    /// Starts questions that waited, the oldest first. All that were asked before them end by their deadlines, so none waits longer.
    private func startQueued() {
        while callCount < ForwardAuthDesk.mostCalls, let call = takeQueued() {
            if call.waiters.allSatisfy({ $0.isGone() }) {
                leave(call)
            } else if call.deadline <= clock() {
                finish(call, ForwardAuthDesk.tooMany)
            } else {
                start(call)
            }
        }
    }

    private func takeQueued() -> ForwardAuthCall? {
        isTurnOfRechecks.toggle()
        return isTurnOfRechecks ? rechecks.takeFirst() ?? openings.takeFirst() : openings.takeFirst() ?? rechecks.takeFirst()
    }

    /// Nobody can join the call any more.
    private func leave(_ call: ForwardAuthCall) {
        if call.isShared, shared[call.question.digest] === call { shared[call.question.digest] = nil }
    }

    private func finish(_ call: ForwardAuthCall, _ verdict: ForwardAuthVerdict) {
        leave(call)
        keep(verdict, call.question)
        for (index, waiter) in call.waiters.enumerated() where !waiter.isGone() {
            // The cookie belongs to the first client: another one that can take a cookie asks for itself.
            let asksItself = index > 0 && !verdict.isForOthers(needingRefusalOnly: waiter.needsRefusalOnly)
            if asksItself, begin(call.question, for: waiter, isShared: false) { continue }
            waiter.whenDecided(asksItself ? ForwardAuthDesk.tooMany : verdict)
        }
    }

    private func keep(_ verdict: ForwardAuthVerdict, _ question: ForwardAuthQuestion) {
        let now = clock()
        switch verdict {
        case .allowed where !verdict.isForOthers(needingRefusalOnly: true): kept.remove(question.digest)
        case .allowed: kept.keep(verdict, to: question.digest, bytes: verdict.bytes, until: now + cacheMilliseconds, now: now)
        case .denied, .redirected:
            // A kept answer with a cookie is given only to those who need a refusal, without the cookie.
            kept.keep(verdict, to: question.digest, bytes: verdict.bytes, until: now + deniedMilliseconds, now: now)
        case .unusable: break
        }
        whenAnswered(question.digest, verdict)
    }
}

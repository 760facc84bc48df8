// Living streams whose service is asked about them again. Streams of the same credentials are one question: it is kept once and asked once
// for all of them. Invariant: a question is watched while a stream depends on it, and not much longer.

import Configuration
import Credentials

/// What a service that was asked again means for living streams.
package enum ForwardAuthLoss: Sendable, Equatable {
    /// The service refuses them now, with this status.
    case refused(status: Int)
    /// The service has not answered for longer than `recheck_grace`.
    case silent
}

/// Who knows the streams that depend on a question.
package protocol WatchedStreams: AnyObject {
    /// Whether a stream depends on the question.
    func hasStreams(of question: KeyedDigest) -> Bool
    /// The streams that depend on the question may not go on. `evidence` is for the log and for clients without an answer.
    func end(streamsOf question: KeyedDigest, _ loss: ForwardAuthLoss, evidence: String)
}

/// The questions about living streams, for one service on one worker.
struct WatchedQuestions {
    private struct Watch {
        let question: ForwardAuthQuestion
        let number: UInt64
        var schedule: RecheckSchedule
        var isAsked = false
    }

    /// With so many questions those are looked for on which no stream depends any more.
    private static let leastSwept = 1_024

    private var watches: [KeyedDigest: Watch] = [:]
    private var sweepAt = WatchedQuestions.leastSwept
    /// No question is due before. It may be too early, because it is corrected only when all questions are looked at.
    private var dueAt = Int64.max
    private var nextNumber: UInt64 = 0

    /// How many questions are watched.
    var count: Int { watches.count }

    /// A stream depends on a question. `schedule` is used where no other stream does.
    mutating func add(_ question: ForwardAuthQuestion, _ schedule: @autoclosure () -> RecheckSchedule, isAlive: (KeyedDigest) -> Bool) {
        guard watches[question.digest] == nil else { return }
        if watches.count >= sweepAt {
            watches = watches.filter { isAlive($0.key) }
            sweepAt = max(2 * watches.count, WatchedQuestions.leastSwept)
        }
        let schedule = schedule()
        watches[question.digest] = Watch(question: question, number: nextNumber, schedule: schedule)
        nextNumber += 1
        dueAt = min(dueAt, schedule.nextAt)
    }

    /// When to look for questions that are due; nil for not before another answer.
    var nextAt: Int64? { dueAt < .max ? dueAt : nil }

    /// Takes the questions that are due, and forgets those of them on which no stream depends any more. The one that has been due for the
    /// longest time comes first, as not all of them may be asked at once.
    mutating func takeDue(now: Int64, isAlive: (KeyedDigest) -> Bool) -> [ForwardAuthQuestion] {
        var due: [Watch] = []
        guard dueAt <= now else { return [] }
        dueAt = .max
        for (digest, watch) in watches where !watch.isAsked {
            if watch.schedule.nextAt > now {
                dueAt = min(dueAt, watch.schedule.nextAt)
            } else if isAlive(digest) {
                watches[digest]?.isAsked = true
                due.append(watch)
            } else {
                watches[digest] = nil
            }
        }
        due.sort { ($0.schedule.nextAt, $0.number) < ($1.schedule.nextAt, $1.number) }
        return due.map(\.question)
    }

    /// A question was answered, that of an opening too. Returns why its streams have to end; then it is no longer watched.
    mutating func answered(
        _ question: KeyedDigest, _ verdict: ForwardAuthVerdict, now: Int64, chance: (UInt64) -> UInt64
    ) -> ForwardAuthLoss? {
        guard watches[question] != nil else { return nil }
        watches[question]?.isAsked = false
        let loss: ForwardAuthLoss
        switch verdict {
        case .allowed:
            watches[question]?.schedule.answered(now: now, chance: chance)
            plan(question)
            return nil
        case .unusable:
            watches[question]?.schedule.failed(now: now, chance: chance)
            plan(question)
            guard watches[question]?.schedule.isOver(now: now) == true else { return nil }
            loss = .silent
        case .denied(let denial): loss = .refused(status: denial.status)
        case .redirected(let login): loss = .refused(status: login.status)
        }
        watches[question] = nil
        return loss
    }

    private mutating func plan(_ question: KeyedDigest) {
        if let next = watches[question]?.schedule.nextAt { dueAt = min(dueAt, next) }
    }
}

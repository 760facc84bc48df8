// Answers of a service that are good for some time, each for one question. A question is known by the keyed digest of all that the service
// is told. Invariant: the number of answers and their bytes are bounded, and an answer is given for the question that it answered only.

import Credentials

/// The answers of one service on one worker. The oldest one makes room for a new one.
struct KeptAnswers<Answer> {
    private struct Entry {
        var answer: Answer
        var bytes: Int
        /// Monotonic milliseconds: from then on the question has to be asked again.
        var end: Int64
        /// The place in `order` that counts: an answer that is replaced leaves its first place behind.
        var number: UInt64
    }

    let mostAnswers: Int
    let mostBytes: Int
    /// How many bytes the answers have, as their owner counts them.
    private(set) var bytes = 0
    private var entries: [KeyedDigest: Entry] = [:]
    /// The questions in the order in which their answers came, from `first` on.
    private var order: [(question: KeyedDigest, number: UInt64)] = []
    private var first = 0
    private var nextNumber: UInt64 = 0

    /// No answers.
    init(mostAnswers: Int, mostBytes: Int) {
        self.mostAnswers = mostAnswers
        self.mostBytes = mostBytes
    }

    /// How many answers are kept, those included whose time is over and that nobody has asked for since.
    var count: Int { entries.count }

    /// The answer to a question; nil where none is kept, or its time is over.
    func answer(to question: KeyedDigest, now: Int64) -> Answer? {
        guard let entry = entries[question], now < entry.end else { return nil }
        return entry.answer
    }

    /// Until when the answer to a question is kept; nil for none.
    func end(of question: KeyedDigest) -> Int64? { entries[question]?.end }

    /// Keeps an answer up to a moment, in the place of an earlier one. An answer that is too large for all of the room is not kept.
    mutating func keep(_ answer: Answer, to question: KeyedDigest, bytes: Int, until end: Int64, now: Int64) {
        remove(question)
        guard end > now, bytes <= mostBytes, mostAnswers > 0 else { return }
        makeRoom(for: bytes, now: now)
        entries[question] = Entry(answer: answer, bytes: bytes, end: end, number: nextNumber)
        order.append((question, nextNumber))
        nextNumber += 1
        self.bytes += bytes
    }

    /// Forgets the answer to a question.
    mutating func remove(_ question: KeyedDigest) {
        guard let entry = entries.removeValue(forKey: question) else { return }
        bytes -= entry.bytes
    }

    /// Removes what is over at the front of the order, and then the oldest answers while there is no room.
    private mutating func makeRoom(for added: Int, now: Int64) {
        while first < order.count {
            let (question, number) = order[first]
            if let entry = entries[question], entry.number == number {
                let isFull = entries.count >= mostAnswers || bytes + added > mostBytes
                guard isFull || entry.end <= now else { break }
                remove(question)
            }
            first += 1
        }
        // Answers that were replaced leave places behind. So the order gets shorter before it is twice as long as it has to be.
        guard first > mostAnswers || order.count - first >= 2 * mostAnswers else { return }
        order = order[first...].filter { entries[$0.question]?.number == $0.number }
        first = 0
    }
}

// A question to all workers. It says that each of their loops turns, and when each of them has done what was posted before it.

import Reactor
import Synchronization

/// One question to all workers.
package final class Pulse: Sendable {
    private let expected: Int
    private let answers = Mutex<(count: Int, failure: SystemError?)>((0, nil))

    /// A question to so many workers.
    init(expected: Int) { self.expected = expected }

    /// One of them answers; with an error where it could not do what was posted before.
    func answer(_ failure: SystemError? = nil) {
        answers.withLock { answers in
            answers.count += 1
            answers.failure = answers.failure ?? failure
        }
    }

    /// Whether all of them have answered.
    package var isComplete: Bool { answers.withLock { $0.count >= expected } }

    /// The first error that one of them answered with.
    var failure: SystemError? { answers.withLock { $0.failure } }

    /// Waits until all have answered, but at most that long. Returns whether they have.
    func wait(atMostMilliseconds limit: Int, _ kernel: Kernel) -> Bool {
        kernel.poll(everyMilliseconds: 1, atMostMilliseconds: limit) { isComplete }
    }
}

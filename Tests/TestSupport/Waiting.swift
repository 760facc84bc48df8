// Waiting in tests that use the real clock.

import Glibc
import Reactor

/// What a test waited for did not come about in time.
package struct TookTooLong: Error {}

extension Worker {
    /// Turns by hand until something is so.
    ///
    /// - Throws: `TookTooLong` after ten seconds.
    package func turn(until condition: () -> Bool) throws(TookTooLong) {
        let end = kernel.monotonicMilliseconds() + 10_000
        while !condition() {
            guard kernel.monotonicMilliseconds() < end else { throw TookTooLong() }
            mailbox.post { _ in }
            turn()
        }
    }
}

/// Waits until something holds that another thread brings about, for ten seconds at most.
package func eventually(_ condition: () -> Bool) -> Bool {
    for _ in 0..<5_000 {
        if condition() { return true }
        usleep(2_000)
    }
    return condition()
}

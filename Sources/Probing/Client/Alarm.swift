// A moment at which something is done, once.

import Reactor

/// A timer that acts once.
final class Alarm: Endpoint {
    private let deadline: Int64
    private let action: () -> Void

    /// `action` runs after so many milliseconds; never from within this call.
    init(worker: Worker, afterMilliseconds delay: Int64, _ action: @escaping () -> Void) {
        deadline = worker.now + delay
        self.action = action
        super.init(worker: worker)
        openTimer()
        wake(atMilliseconds: deadline)
    }

    /// Nothing is done any more.
    func cancel() { closeTimer() }

    override func deadlineReached() {
        guard worker.now >= deadline else { return wake(atMilliseconds: deadline) }
        closeTimer()
        action()
    }
}

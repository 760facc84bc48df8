// How a thread without a poller waits for something: it looks, sleeps, and looks again. Time is the kernel's, so that tests drive it.

extension Kernel {
    /// Looks at once, and then every `step` milliseconds, until `isOver` says true or `limit` milliseconds have passed; nil for no limit.
    /// - Returns: whether `isOver` said true. It is asked once more when the time is over.
    @discardableResult
    package func poll(everyMilliseconds step: Int, atMostMilliseconds limit: Int? = nil, until isOver: () -> Bool) -> Bool {
        precondition(step > 0, "a step takes time")
        let beginning = monotonicMilliseconds()
        while !isOver() {
            let left = limit.map { Int64($0) - (monotonicMilliseconds() - beginning) } ?? Int64(step)
            guard left > 0 else { return false }
            sleep(milliseconds: Int(min(Int64(step), left)))
        }
        return true
    }
}

// Signs of life for a service manager that ends a process without them (WatchdogSec= in systemd.service(5)).

import Reactor

/// Gives a manager a sign of life again and again, but only while every worker gives one too.
enum Watchdog {
    /// Gives four signs within the manager's limit, because a worker may be busy for a while, and so may the machine. Returns when
    /// `isOver` says so. The first sign comes after one interval.
    static func feed(
        withinMicroseconds limit: Int, _ kernel: Kernel, until isOver: () -> Bool, ask: () -> Pulse, sign: () -> Void
    ) {
        var pulse: Pulse?
        kernel.poll(everyMilliseconds: max(1, limit / 4_000)) {
            guard !isOver() else { return true }
            if let pulse {
                guard pulse.isComplete else { return false }
                sign()
            }
            pulse = ask()
            return false
        }
    }
}

// The clock by which services are asked again about living streams: one timer a worker, however many streams there are. Invariant: the
// timer is open exactly while a service has a question to ask again.

import Reactor

/// Looks from time to time which questions are due.
package final class Rechecks: Endpoint {
    /// Between two looks lies at least so long, however many questions there are.
    private static let pauseMilliseconds: Int64 = 250

    private var services: [ForwardAuthService] = []
    private var lookedAt = Int64.min

    /// A service has a question to ask again at that moment.
    func expect(_ service: ForwardAuthService, at moment: Int64) {
        if !services.contains(where: { $0 === service }) { services.append(service) }
        if !isOpen { openTimer() }
        wake(atMilliseconds: moment)
    }

    /// The worker ends: nobody is asked again.
    package func end() {
        services = []
        if isOpen { closeTimer() }
    }

    /// A deadline has come.
    package override func deadlineReached() {
        let now = worker.now
        guard now >= lookedAt + Rechecks.pauseMilliseconds else { return wake(atMilliseconds: lookedAt + Rechecks.pauseMilliseconds) }
        lookedAt = now
        var nextAt: Int64?
        services = services.filter { service in
            let next = service.askAgain(now: now)
            nextAt = [nextAt, next].compactMap(\.self).min()
            return service.isWatching
        }
        if let nextAt { wake(atMilliseconds: max(nextAt, now + Rechecks.pauseMilliseconds)) } else if services.isEmpty { closeTimer() }
    }
}

// Which server of an upstream a request goes to: the next in turn, or the one with the fewest exchanges. Healthy servers go first. The
// choice does not look at addresses or connections.

import Configuration

/// The choice among the servers of one upstream, on one worker.
struct ServerChoice {
    private let balance: Upstream.Balance
    private var turn: Int

    /// Workers begin at different servers, so that a few requests on many workers are spread too.
    init(_ balance: Upstream.Balance, beginningAt turn: Int) {
        self.balance = balance
        self.turn = turn
    }

    /// Chooses an untried server, a healthy one before one that failed recently; nil when all have been tried. `isWaiting` says that
    /// the request waits because servers could not serve it before; `probe` says which servers it probes.
    mutating func choose(
        among servers: [ServerState], excluding tried: Set<Int>, isWaiting: Bool, probe: HalfOpenProbe?, now: Int64
    ) -> Int? {
        var best: (index: Int, isPassedOver: Bool)?
        for offset in servers.indices {
            let index = (turn + offset) % servers.count
            guard !tried.contains(index) else { continue }
            let isPassedOver = servers[index].isPassedOver(byWaiting: isWaiting, probe, now: now)
            guard let current = best else {
                best = (index, isPassedOver)
                continue
            }
            let isBetter =
                isPassedOver != current.isPassedOver
                ? current.isPassedOver
                : balance == .leastConnections && servers[index].activeCount < servers[current.index].activeCount
            if isBetter { best = (index, isPassedOver) }
        }
        guard let best else { return nil }
        turn = (best.index + 1) % servers.count
        return best.index
    }
}

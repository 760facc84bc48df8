// The pollers of the simulated world: readiness by level or by change, reported in random order. Descriptors that cannot have news are
// skipped, so ten thousand idle connections cost nothing.

import Reactor
import TestSupport

/// What a poller watches.
struct Watch {
    var interest: Readiness
    let token: UInt64
    let poller: Int32
    /// For `onChange` interests: whether there is an unreported change.
    var isFresh = true

    init(interest: Readiness, token: UInt64, poller: Int32) {
        self.interest = interest
        self.token = token
        self.poller = poller
    }
}

/// One worker's poller.
struct Poller {
    /// Descriptors that may have news, in the order in which that began. All others have none.
    var hot: [Int32] = []
    var isHot: Set<Int32> = []
    /// Until when its worker last wanted to wait, and whether it has nothing else to do until then.
    var waitsUntil: Int64 = 0
    var isSettled = false
    var waitedLastAt: Int64 = 0
}

extension SimulatedKernel {
    func refresh(_ descriptor: Int32) {
        watches[descriptor]?.isFresh = true
        heat(descriptor)
    }

    func heat(_ descriptor: Int32) {
        guard let poller = watches[descriptor]?.poller else { return }
        if pollers[poller]?.isHot.insert(descriptor).inserted == true { pollers[poller]?.hot.append(descriptor) }
    }

    private func readiness(of descriptor: Int32) -> Readiness {
        var found: Readiness = []
        switch nodes[descriptor] {
        case .listener(let listener):
            if !listener.backlog.isEmpty { found = [.readable] }
        case .waker(let isSignalled):
            if isSignalled { found = [.readable] }
        case .socket(let socket):
            if socket.error != nil { return [.broken, .readable, .writable, .peerEnded] }
            guard socket.phase == .open else { return [] }
            if !socket.incoming.isEmpty || socket.hasReceivedEnd { found.insert(.readable) }
            if socket.hasReceivedEnd { found.insert(.peerEnded) }
            if socket.hasReceivedEnd, socket.hasSentEnd { found.insert(.broken) }
            if socket.window > 0 { found.insert(.writable) }
        case .poller, nil: break
        }
        return found
    }

    /// The current news of a descriptor.
    private func news(of descriptor: Int32) -> Readiness {
        guard let watch = watches[descriptor], watch.isFresh || !watch.interest.contains(.onChange) else { return [] }
        return readiness(of: descriptor).intersection(watch.interest.union(.broken))
    }

    /// Removes the descriptors without news; returns whether one with news is left.
    func hasNews(_ poller: Int32) -> Bool {
        guard var state = pollers.removeValue(forKey: poller) else { return false }
        state.hot.removeAll { descriptor in
            guard news(of: descriptor).isEmpty else { return false }
            state.isHot.remove(descriptor)
            return true
        }
        pollers[poller] = state
        return !state.hot.isEmpty
    }

    /// Whether a worker has something to do now.
    func isDue(_ poller: Int32) -> Bool {
        guard let state = pollers[poller] else { return false }
        return !state.isSettled || state.waitsUntil <= world.now || hasNews(poller)
    }

    /// When the first of them must take a turn, whatever happens.
    func nextDeadline(of pollers: [Int32]) -> Int64 { pollers.compactMap { self.pollers[$0]?.waitsUntil }.min() ?? .max }

    func collect(_ poller: Int32, into events: UnsafeMutableBufferPointer<PollerEvent>) -> Int {
        var count = 0
        for descriptor in pollers[poller]?.hot ?? [] where count < 256 {
            let news = news(of: descriptor)
            guard !news.isEmpty, let watch = watches[descriptor] else { continue }
            events[count] = PollerEvent(token: watch.token, readiness: news)
            watches[descriptor]?.isFresh = false
            count += 1
        }
        // Descriptors take turns in being reported first.
        if var state = pollers.removeValue(forKey: poller) {
            if count > 1, world.chance.permille(200) { state.hot.append(state.hot.removeFirst()) }
            // After a turn that served something, the worker's next deadline is known only when it waits again. The worker computes its
            // waiting time from the time of its last turn.
            state.isSettled = count == 0 && state.waitsUntil > world.now && state.waitedLastAt == world.now
            state.waitedLastAt = world.now
            pollers[poller] = state
        }
        world.note("wait", count)
        return count
    }
}

// Names looked up side by side, each on a thread that may block for as long as the system's resolver does; the caller says how
// long it waits. What is asked for, and when, is decided elsewhere. Invariant: a name is looked up once at a time, on one of a
// bounded number of threads, and what was found stands until something else is.

import Reactor
import Synchronization

/// The names that are being looked up, and what they stood for last.
package final class NameLookups: Sendable {
    /// One DNS server that answers nothing holds a thread for half a minute, and names that it does not know wait behind it.
    static let threadLimit = 32
    private static let lookMilliseconds = 2

    private struct Answers {
        /// What was found last; a look-up that finds nothing changes nothing.
        var addresses: [SocketAddress] = []
        /// How many look-ups have come to an end.
        var count = 0
    }

    private struct State {
        var waiting: [String] = []
        var underWay: Set<String> = []
        var threadCount = 0
        var answers: [String: Answers] = [:]
    }

    private let kernel: Kernel
    private let state = Mutex(State())

    /// Look-ups of which none has begun.
    package init(_ kernel: Kernel) { self.kernel = kernel }

    /// Has the names looked up and waits for that, but not for longer; returns those that have not been answered, which are looked up
    /// further. A look-up that was under way already is as good as a new one.
    package func lookUp(_ names: Set<String>, atMostMilliseconds patience: Int) -> Set<String> {
        let before = state.withLock { state in names.map { (name: $0, count: state.answers[$0]?.count ?? 0) } }
        begin(names)
        var waited = 0
        while true {
            let missing = state.withLock { state in before.filter { state.answers[$0.name]?.count ?? 0 == $0.count } }
            if missing.isEmpty || waited >= patience { return Set(missing.map(\.name)) }
            SystemProcess.sleep(milliseconds: NameLookups.lookMilliseconds)
            waited += NameLookups.lookMilliseconds
        }
    }

    /// Has the names looked up, and does not wait.
    package func begin(_ names: Set<String>) {
        let threads = state.withLock { state in
            state.waiting += names.filter { !state.underWay.contains($0) && !state.waiting.contains($0) }
            // A thread that has a name may be kept by it for long; only threads count that are still to take one.
            let freeCount = state.threadCount - state.underWay.count
            let count = max(0, min(state.waiting.count - freeCount, NameLookups.threadLimit - state.threadCount))
            state.threadCount += count
            return count
        }
        for _ in 0..<threads {
            do { try SystemThread.tryStart(name: "lookup") { [self] in work() } } catch {
                // What waits is begun when there is a thread again.
                state.withLock { $0.threadCount -= 1 }
            }
        }
    }

    /// What a host stands for, a numeric address or the path of a UNIX socket for itself; empty where nothing was ever found.
    package func addresses(of host: String, port: UInt16) -> [SocketAddress] {
        if let known = SocketAddress(literal: host, port: port) { return [known] }
        return state.withLock { $0.answers[host]?.addresses ?? [] }.map { address in
            var address = address
            address.port = port
            return address
        }
    }

    /// Forgets what other names than these stood for.
    package func forget(except names: Set<String>) {
        state.withLock { state in state.answers = state.answers.filter { names.contains($0.key) || state.underWay.contains($0.key) } }
    }

    private func work() {
        while let name = next() {
            let found = kernel.resolve(name, port: 0)
            state.withLock { state in
                state.underWay.remove(name)
                state.answers[name, default: Answers()].count += 1
                if !found.isEmpty { state.answers[name]?.addresses = found }
            }
        }
    }

    private func next() -> String? {
        state.withLock { state in
            guard !state.waiting.isEmpty else {
                state.threadCount -= 1
                return nil
            }
            let name = state.waiting.removeFirst()
            state.underWay.insert(name)
            return name
        }
    }
}

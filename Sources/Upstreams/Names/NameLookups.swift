// Look-ups of names, side by side. Each holds a thread for as long as the system's resolver blocks; the caller says how long it waits
// itself. Which names are looked up, and when, is decided elsewhere. Invariant: a name is looked up once at a time, on one of a bounded
// number of threads. Addresses that were found stay until others are found.

import Reactor
import Synchronization

/// The names that are being looked up, and their last addresses.
package final class NameLookups: Sendable {
    /// A DNS server that does not answer holds a thread for half a minute. Other names wait once all threads are held.
    static let threadLimit = 32
    private static let lookMilliseconds = 2

    private struct Answers {
        /// The addresses that were found last. A look-up that finds none changes nothing.
        var addresses: [SocketAddress] = []
        /// How many look-ups have ended.
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

    /// No look-up has begun.
    package init(_ kernel: Kernel) { self.kernel = kernel }

    /// Begins to look up the names and waits for the answers, at most so long. Returns the names without an answer; their look-ups go on.
    /// A look-up that was under way already is as good as a new one.
    package func lookUp(_ names: Set<String>, atMostMilliseconds patience: Int) -> Set<String> {
        let before = state.withLock { state in names.map { (name: $0, count: state.answers[$0]?.count ?? 0) } }
        begin(names)
        var missing = names
        kernel.poll(everyMilliseconds: NameLookups.lookMilliseconds, atMostMilliseconds: patience) {
            missing = state.withLock { state in Set(before.filter { state.answers[$0.name]?.count ?? 0 == $0.count }.map(\.name)) }
            return missing.isEmpty
        }
        return missing
    }

    /// Begins to look up the names, and does not wait.
    package func begin(_ names: Set<String>) {
        let threads = state.withLock { state in
            state.waiting += names.filter { !state.underWay.contains($0) && !state.waiting.contains($0) }
            // A thread that looks a name up may be held for long. Only threads that are still to take a name count as free.
            let freeCount = state.threadCount - state.underWay.count
            let count = max(0, min(state.waiting.count - freeCount, NameLookups.threadLimit - state.threadCount))
            state.threadCount += count
            return count
        }
        for _ in 0..<threads {
            do { try SystemThread.tryStart(name: "lookup") { [self] in work() } } catch {
                // The names that wait are looked up as soon as a thread can be started.
                state.withLock { $0.threadCount -= 1 }
            }
        }
    }

    /// The addresses of a host. A numeric address or the path of a UNIX socket stands for itself. Empty where none was ever found.
    package func addresses(of host: String, port: UInt16) -> [SocketAddress] {
        if let known = SocketAddress(literal: host, port: port) { return [known] }
        return state.withLock { $0.answers[host]?.addresses ?? [] }.map { address in
            var address = address
            address.port = port
            return address
        }
    }

    /// Forgets the addresses of all other names than these.
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

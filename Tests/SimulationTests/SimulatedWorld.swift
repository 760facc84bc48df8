// A world in which time passes only when nothing is left to do, and in which everything follows from one seed. It holds the clock, the
// future events and the random numbers; sockets are in SimulatedSocket.swift, the kernel's calls in SimulatedKernel.swift. Invariant:
// two runs from the same seed make the same calls in the same order, which `trace` shows.

import Reactor
import TestSupport

/// A world draws thousands of times; all of it follows from its seed.
typealias Chance = SeededGenerator

/// How often things go wrong, in thousandths of the calls. Each seed switches a random part of them on (swarm testing).
struct Faults {
    var shortReads = 0
    var shortWrites = 0
    var spuriousEAGAIN = 0
    var acceptExhausted = 0
    var connectExhausted = 0
    var delayMilliseconds = 0...0

    static func swarm(_ chance: inout Chance) -> Faults {
        var faults = Faults()
        if chance.permille(500) { faults.shortReads = chance.number(1...700) }
        if chance.permille(500) { faults.shortWrites = chance.number(1...700) }
        if chance.permille(300) { faults.spuriousEAGAIN = chance.number(1...300) }
        if chance.permille(150) { faults.acceptExhausted = chance.number(1...100) }
        if chance.permille(150) { faults.connectExhausted = chance.number(1...100) }
        if chance.permille(600) { faults.delayMilliseconds = 0...chance.number(1...40) }
        return faults
    }
}

/// The world.
final class SimulatedWorld {
    static let beginning: Int64 = 1_000_000
    private(set) var now = SimulatedWorld.beginning
    var chance: Chance
    var faults: Faults
    /// How often each kind of fault was injected.
    private(set) var injected: [String: Int] = [:]
    /// A hash over everything that happened, in order.
    private(set) var trace: UInt64 = 0xcbf2_9ce4_8422_2325
    /// A class, because a closure in an array would be wrapped again each time it moves.
    private final class Action {
        let run: () -> Void
        init(_ run: @escaping () -> Void) { self.run = run }
    }
    private var queue: [(at: Int64, order: UInt64, action: Action)] = []
    private var nextOrder: UInt64 = 0
    private var turnsAtThisMoment = 0
    private var leaps: [ClosedRange<Int64>] = []
    /// What happens between a poller's report and the worker's reaction.
    var betweenTurns: [() -> Void] = []
    /// The actors' ends of connections; they hold each other in cycles until the world ends.
    var wires: [Wire] = []
    /// Errors that actors observed.
    var problems: [String] = []

    init(seed: UInt64, faults: Faults) {
        chance = Chance(seed: seed)
        self.faults = faults
    }

    func note(_ what: StaticString, _ first: Int = 0, _ second: Int = 0) {
        for value in [what.utf8CodeUnitCount, first, second, Int(now)] {
            trace = (trace ^ UInt64(bitPattern: Int64(value))) &* 0x100_0000_01b3
        }
    }

    /// Whether a fault happens now; counts it.
    func strikes(_ share: Int, _ name: String) -> Bool {
        guard share > 0, chance.permille(share) else { return false }
        injected[name, default: 0] += 1
        return true
    }

    func count(_ fault: String) { injected[fault, default: 0] += 1 }

    // MARK: Future events

    func after(_ milliseconds: Int64, _ action: @escaping () -> Void) { at(now + max(0, milliseconds), action) }

    func at(_ moment: Int64, _ action: @escaping () -> Void) {
        nextOrder += 1
        queue.append((max(moment, now), nextOrder, Action(action)))
        var child = queue.count - 1
        while child > 0, isEarlier(child, (child - 1) / 2) {
            queue.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private func isEarlier(_ left: Int, _ right: Int) -> Bool {
        (queue[left].at, queue[left].order) < (queue[right].at, queue[right].order)
    }

    private func takeFirst() -> Action {
        let first = queue[0].action
        let last = queue.removeLast()
        guard !queue.isEmpty else { return first }
        queue[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < queue.count && isEarlier(child, least) { least = child }
            if least == parent { return first }
            queue.swapAt(parent, least)
            parent = least
        }
    }

    /// Runs everything that is due, and lets time pass until `isReady` or the given moment.
    func pass(until moment: Int64, isReady: () -> Bool) {
        turnsAtThisMoment += 1
        precondition(turnsAtThisMoment < 20_000, "the worker turns and turns, and time stands still")
        while true {
            while let first = queue.first, first.at <= now { takeFirst().run() }
            if isReady() { return }
            let next = min(queue.first?.at ?? .max, moment)
            guard next < .max else { preconditionFailure("the worker waits, and nothing will happen") }
            if next > now {
                now = next
                turnsAtThisMoment = 0
            }
            if now >= moment, queue.first.map({ $0.at > now }) ?? true { return }
        }
    }

    /// Drops all future events, and with them the objects that they hold.
    func end() {
        queue = []
        betweenTurns = []
        for wire in wires { wire.forget() }
        wires = []
    }

    /// Time passes without any event, as when the machine was suspended: events that were due meanwhile happen at once.
    func leap(_ milliseconds: Int64) {
        count("time leapt")
        now += milliseconds
        turnsAtThisMoment = 0
        leaps.append(now - milliseconds...now)
    }

    /// Whether time jumped between the two moments.
    var hasLeapt: Bool { !leaps.isEmpty }
    func leapt(between first: Int64, and last: Int64) -> Bool { leaps.contains { $0.overlaps(first...max(first, last)) } }

    /// How long something travels.
    func delay() -> Int64 { Int64(chance.number(faults.delayMilliseconds)) }
}

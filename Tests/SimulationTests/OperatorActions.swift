// What an operator does from the console's page, at any moment: ends one stream, switches the event log of the route on or off. Some wishes
// are about streams that are over, or that never were. Invariant: one wish at a time, and each is kept with its answer.

import Reactor
import TestSupport

@testable import Telemetry

/// What one wish was, and what became of it.
struct OperatorWish {
    enum What {
        case end(stream: String)
        case switchEvents(on: Bool)
    }

    let what: What
    let askedAt: Int64
    /// When the answer came; nil without one. The wish may have been granted even so.
    var answeredAt: Int64?
    var status = 0
}

/// The operator who acts.
final class ActingOperator {
    private static let route = "%2F*"
    /// A console that is asked while no descriptor is left may never answer.
    private static let patienceMilliseconds: Int64 = 5_000

    private let world: SimulatedWorld
    private let connect: () -> Wire
    private let running: () -> Set<String>
    private let hasEventLog: Bool
    private(set) var wishes: [OperatorWish] = []
    /// Streams that were seen at some time.
    private var known: [String] = []
    private var wire: Wire?
    private var reader = ResponseReader()
    private var isRetired = false

    init(_ world: SimulatedWorld, hasEventLog: Bool, running: @escaping () -> Set<String>, connect: @escaping () -> Wire) {
        (self.world, self.hasEventLog, self.running, self.connect) = (world, hasEventLog, running, connect)
    }

    /// Goes on until it retires.
    func act() {
        guard !isRetired else { return }
        let now = running().sorted()
        known = Array((known + now).suffix(200))
        let switches = hasEventLog && world.chance.permille(400)
        ask(switches ? .switchEvents(on: world.chance.permille(500)) : .end(stream: victim(among: now)))
    }

    private func victim(among now: [String]) -> String {
        if !now.isEmpty, world.chance.permille(700) { return world.chance.pick(now) }
        if !known.isEmpty, world.chance.permille(800) { return world.chance.pick(known) }
        return world.chance.pick(["w0-999999", "w9-000001", "w0-000000"])
    }

    private func ask(_ what: OperatorWish.What) {
        let number = wishes.count
        wishes.append(OperatorWish(what: what, askedAt: world.now))
        let (path, body) =
            switch what {
            case .end(let stream): ("/streams/\(stream)/end", "{}")
            case .switchEvents(let isOn): ("/routes/\(ActingOperator.route)/event-log", "{\"on\": \(isOn)}")
            }
        let wire = connect()
        self.wire = wire
        reader = ResponseReader()
        wire.changed = { [unowned self] in look(number) }
        let fields = "Host: localhost\r\nOrigin: http://localhost\r\nX-Heartwire-Page: \(Operators.pageToken)\r\n"
        let head = "POST \(path) HTTP/1.1\r\n\(fields)Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        wire.send(Array((head + body).utf8))
        world.after(ActingOperator.patienceMilliseconds) { [self] in if wishes.count == number + 1, self.wire === wire { goOn() } }
    }

    private func look(_ number: Int) {
        guard let wire else { return }
        reader.receive(wire.read())
        if reader.completeCount > 0 {
            wishes[number].answeredAt = world.now
            wishes[number].status = reader.responses[0].status
            world.count("operator: \(wishes[number].name) \(wishes[number].status)")
            goOn()
        } else if wire.isBroken || wire.hasEnded {
            goOn()
        }
    }

    private func goOn() {
        wire?.end(.left)
        wire = nil
        world.after(Int64(world.chance.number(50...6_000))) { [self] in act() }
    }

    /// Leaves at once, whatever it has asked for.
    func retire() {
        isRetired = true
        wire?.end(.left)
        wire = nil
    }
}

extension OperatorWish {
    fileprivate var name: String {
        switch what {
        case .end: "ends a stream,"
        case .switchEvents(let isOn): "switches events \(isOn ? "on" : "off"),"
        }
    }
}

/// Whether events are logged: what was asked for may have been granted at any time until the answer.
struct EventLogSwitches {
    private struct State: Hashable {
        var hasLog: Bool
        var isSwitched = true
        var isOn: Bool { hasLog && isSwitched }
    }

    private struct Change {
        let from: Int64
        let until: Int64
        let change: (State) -> State
    }

    private let first: State
    private var changes: [Change] = []

    init(hasLog: Bool) { first = State(hasLog: hasLog) }

    /// Whether nothing ever changed.
    var isEmpty: Bool { changes.isEmpty }

    /// A reload gives every route what the configuration says.
    mutating func reload(hasLog: Bool, at moment: Int64) {
        changes.append(Change(from: moment, until: moment) { _ in State(hasLog: hasLog) })
    }

    /// The operator asked for it. Without an answer nobody knows whether it ever happened.
    mutating func add(_ wish: OperatorWish) {
        guard case .switchEvents(let isOn) = wish.what else { return }
        changes.append(Change(from: wish.askedAt, until: wish.answeredAt ?? .max) { State(hasLog: $0.hasLog, isSwitched: isOn) })
        changes.sort { $0.from < $1.from }
    }

    private func states(at moment: Int64) -> Set<State> {
        var states: Set = [first]
        for change in changes where change.from <= moment {
            let changed = Set(states.map(change.change))
            states = change.until < moment ? changed : states.union(changed)
        }
        // What is not answered yet may be granted behind all that was asked for later.
        for change in changes where change.from <= moment && change.until >= moment { states.formUnion(states.map(change.change)) }
        return states
    }

    /// Whether a line may have been written at that moment.
    func mayBeOn(at moment: Int64) -> Bool { states(at: moment).contains(where: \.isOn) }

    /// Whether all events from one moment to the other had to be written.
    func isOn(from start: Int64, to end: Int64) -> Bool {
        let moments = [start, end] + changes.flatMap { [$0.from, $0.until] }.filter { (start...max(start, end)).contains($0) }
        return moments.allSatisfy { states(at: $0).allSatisfy(\.isOn) }
    }

    /// The last moment before `end` from which on all events had to be written again; nil if nothing was switched on before it.
    func lastOn(before end: Int64) -> Int64? {
        let moments = changes.map(\.until).filter { $0 < end }.sorted()
        return moments.last.map { $0 + 1 }.flatMap { isOn(from: $0, to: end) ? $0 : nil }
    }
}

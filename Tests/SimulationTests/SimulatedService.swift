// A service that the proxy asks by itself, with all that can go wrong with one: nobody listens, nobody answers, late, with an error, with
// nonsense, with too much, with a redirect, or half an answer. Invariant: it remembers when it was asked, and which of its answers the
// proxy must have got in time.

import Reactor
import TestSupport

final class SimulatedService {
    /// What is wrong with it.
    enum Trouble: CaseIterable {
        /// Nobody listens.
        case refusing
        /// Nobody answers a connection attempt.
        case silent
        /// A request gets no answer.
        case mute
        /// The answer takes seconds.
        case late
        case failing
        case redirecting
        /// The answer is not what was asked for.
        case nonsense
        case tooLarge
        /// The connection ends in front of the answer, or in the middle of it.
        case hangsUp
    }

    /// One request to it.
    struct Question {
        let request: Text.RequestHead
        let body: [UInt8]
        let askedAt: Int64
        /// Whether something was wrong with the service.
        fileprivate(set) var isTroubled: Bool
        /// What its owner makes of it; nothing for an answer that tells nothing.
        var answer = ""
        /// When the answer was sent; nil for none.
        var sentAt: Int64?
        /// When all of it was on its way.
        fileprivate(set) var goneAt: Int64?

        /// Whether the proxy must have got the answer in time.
        var isCertain: Bool { !isTroubled && (goneAt ?? .max) - askedAt <= SimulatedService.promptMilliseconds }
    }

    private static let promptMilliseconds: Int64 = 200
    private static let largeBytes = 300_000

    let host: String
    let address: SocketAddress
    private let world: SimulatedWorld
    private let kernel: SimulatedKernel
    /// How long bytes are on their way between the two, at most.
    let travelMilliseconds: Int64
    private(set) var questions: [Question] = []
    private var trouble: Trouble?
    private var wires: [Wire] = []
    /// When connections ended of which it is not known whether a question was on its way.
    private var closedAt: [Int64] = []
    /// The body of an answer, given the number of its question. Called at the moment when the answer is sent.
    var body: (Int) -> String = { _ in "" }
    /// Bodies that mean nothing.
    var nonsense: [String] = []

    init(_ host: String, _ world: SimulatedWorld, _ kernel: SimulatedKernel) {
        (self.host, self.world, self.kernel) = (host, world, kernel)
        address = SocketAddress(literal: host, port: 80)!
        travelMilliseconds = Int64(12 * world.faults.delayMilliseconds.upperBound) + 60
        open()
    }

    // MARK: What happens to it

    /// Moments of trouble. Between two of them the proxy, which pauses for longer and longer, has the time to find it again.
    func beginTroubles() {
        guard world.chance.permille(700) else { return }
        var moment = world.chance.permille(300) ? 0 : Int64(world.chance.number(0...15_000))
        while moment < 30_000 {
            let longest = world.chance.permille(250) ? 14_000 : 4_000
            let until = min(moment + Int64(world.chance.number(200...longest)), 33_000)
            let kind = world.chance.pick(Trouble.allCases)
            world.after(moment) { [self] in become(kind) }
            world.after(until) { [self] in become(nil) }
            moment = until + (until - moment) + Int64(world.chance.number(4_000...15_000))
        }
    }

    private func become(_ next: Trouble?) {
        trouble = next
        if let next { world.count("service: \(next)") }
        switch next {
        case .refusing, .silent:
            kernel.addresses[address] = next == .silent ? .silent : .refused
            // What is open may serve on.
            guard world.chance.permille(600) else { return }
            for wire in wires { wire.end(world.chance.permille(500) ? .left : .reset) }
            wires = []
            closedAt.append(world.now)
            // A reset overtakes what is still on its way.
            for number in questions.indices where questions[number].goneAt ?? .max >= world.now - travelMilliseconds {
                questions[number].isTroubled = true
            }
        default: open()
        }
    }

    private func open() {
        kernel.addresses[address] = .actor { [unowned self] socket in
            let wire = Wire(socket, world)
            wires.append(wire)
            serve(wire)
        }
    }

    private func serve(_ wire: Wire) {
        var received: [UInt8] = []
        wire.changed = { [unowned wire, self] in
            received += wire.read()
            if wire.isBroken || wire.hasEnded {
                wires.removeAll { $0 === wire }
                return wire.end(.left)
            }
            guard let head = Text.head(in: received), let body = head.body(in: received) else { return }
            received.removeFirst(head.count + body.count)
            questions.append(Question(request: head, body: body.bytes, askedAt: world.now, isTroubled: trouble != nil))
            answer(questions.count - 1, over: wire)
        }
    }

    private func answer(_ number: Int, over wire: Wire) {
        let kind = trouble
        let pause = kind == .late ? world.chance.number(1_000...4_000) : world.chance.number(0...60)
        if kind == .mute { return }
        world.after(Int64(pause)) { [self] in
            guard wire.isUsable else { return }
            var (status, fields, body) = ("200 OK", "", "")
            switch kind {
            case .failing: status = world.chance.pick(["500 No", "503 No", "404 No", "429 No"])
            case .redirecting: (status, fields) = ("302 Found", "Location: http://\(host)/elsewhere\r\n")
            case .nonsense: body = world.chance.pick(nonsense)
            case .tooLarge: body = String(repeating: " ", count: SimulatedService.largeBytes)
            default: body = self.body(number)
            }
            let text = "HTTP/1.1 \(status)\r\nContent-Type: application/json\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
            guard kind != .hangsUp else {
                let part = world.chance.permille(500) ? 0 : world.chance.number(0...text.utf8.count - 1)
                wire.send(Array(text.utf8.prefix(part)), then: { wire.end(.left) })
                return
            }
            // What is wrong with the others makes them no answers.
            if [nil, .late, .refusing, .silent].contains(kind) { (questions[number].answer, questions[number].sentAt) = (body, world.now) }
            wire.send(Array(text.utf8), noting: { [self] in questions[number].goneAt = world.now })
        }
    }

    // MARK: The truth

    /// What it was asked, and what it answered.
    var story: String {
        questions.map { question in
            let answer = question.sentAt.map { "answered from \($0) to \(question.goneAt.map(String.init) ?? "never")" } ?? "no answer"
            return "\(host) asked at \(question.askedAt)\(question.isTroubled ? ", troubled" : ""): \(answer) \(question.answer)"
        }.joined(separator: "\n")
    }

    /// The answers that the proxy may have got, in their order.
    var answers: [Question] { questions.filter { $0.sentAt != nil } }

    /// When the proxy must have got the first certain answer to what was asked after that moment, of those that matter; `.max` for never.
    func certainAnswer(after moment: Int64, where matters: (Question) -> Bool = { _ in true }) -> Int64 {
        guard let question = questions.first(where: { $0.isCertain && $0.askedAt > moment && matters($0) }) else { return .max }
        return question.goneAt! + travelMilliseconds
    }

    /// The moments from which on a question may have failed.
    var failures: [Int64] {
        let asked = questions.filter { !$0.isCertain }.map(\.askedAt)
        return (asked + closedAt + kernel.attempts.filter { $0.address == address && $0.outcome != .open }.map(\.beganAt)).sorted()
    }
}

/// Spans of time in which something may have been so.
struct Spans {
    private(set) var all: [ClosedRange<Int64>] = []

    mutating func add(_ from: Int64, _ until: Int64) { if from <= until { all.append(from...until) } }

    /// Whether both may have been so at one moment of that time.
    func meet(_ other: Spans, within time: ClosedRange<Int64>) -> Bool {
        all.contains { mine in
            guard mine.overlaps(time) else { return false }
            let both = mine.clamped(to: time)
            return other.all.contains { $0.overlaps(both) }
        }
    }

    func meet(_ time: ClosedRange<Int64>) -> Bool { all.contains { $0.overlaps(time) } }
}

// What the tests of forward auth share: questions, answers as a service writes them, and a desk whose service answers when told to.

import Credentials
import HTTP
import Testing

@testable import Services

let fingerprinter = Fingerprinter(key: Array("a key of these tests".utf8))

func question(_ fields: (String, String)..., of service: String = "session") -> ForwardAuthQuestion {
    guard let question = ForwardAuthQuestion(service, fields.map { ($0.0, Array($0.1.utf8)) }, fingerprinter) else {
        preconditionFailure("no memory")
    }
    return question
}

func answer(_ status: Int, _ lines: String...) throws -> ResponseHead {
    let text = "HTTP/1.1 \(status) x\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n"
    return try ResponseHead.parse(Array(text.utf8).span, limits: HeadLimits())
}

extension ForwardAuthVerdict {
    /// One line, for comparing.
    var line: String {
        switch self {
        case .allowed(let fields, let cookies):
            "allowed " + fields.map { "\($0.name)=\(String(decoding: $0.value, as: UTF8.self))" }.joined(separator: ";")
                + cookies.map { " cookie \(String(decoding: $0, as: UTF8.self))" }.joined()
        case .denied(let denial): "denied \(denial.status) \(String(decoding: denial.body, as: UTF8.self))"
        case .redirected(let redirection): "redirected \(redirection.status) \(String(decoding: redirection.location, as: UTF8.self))"
        case .unusable(let reason): "unusable \(reason)"
        }
    }
}

/// A desk with a clock and a service that are moved by hand.
final class DeskWorld {
    var now: Int64 = 1_000
    /// The questions that the service has and has not answered, in their order.
    private(set) var open: [(question: ForwardAuthQuestion, timeout: Int64, answer: (ForwardAuthVerdict) -> Void)] = []
    /// How many questions the service got.
    private(set) var asked = 0
    /// What waiters were told, in that order: the name of each and its verdict.
    private(set) var told: [String] = []
    /// The waiters that have left.
    private var gone: Set<String> = []
    private(set) lazy var desk = ForwardAuthDesk(
        cacheMilliseconds: 10_000, deniedMilliseconds: 2_000, timeoutMilliseconds: 2_000, clock: { [unowned self] in now },
        send: { [unowned self] question, timeout, answer in
            asked += 1
            open.append((question, timeout, answer))
        })

    @discardableResult
    func ask(_ name: String, _ question: ForwardAuthQuestion, needsRefusalOnly: Bool = true, isRecheck: Bool = false) -> Bool {
        desk.ask(
            question,
            for: ForwardAuthWaiter(
                needsRefusalOnly: needsRefusalOnly, isGone: { [unowned self] in gone.contains(name) },
                whenDecided: { [unowned self] in told.append("\(name): \($0.line)") }),
            isRecheck: isRecheck)
    }

    func leaves(_ name: String) { gone.insert(name) }

    /// The service answers the oldest question.
    func answer(_ verdict: ForwardAuthVerdict) { open.removeFirst().answer(verdict) }

    func takeTold() -> [String] {
        defer { told = [] }
        return told
    }
}

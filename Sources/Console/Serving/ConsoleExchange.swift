// One request to the console and its answer. The gate decides; this class keeps the answer until it is there. Invariant: the sink is
// ended once, and nothing is sent after that.

import Downstreams
import HTTP
import Reactor
import Telemetry

/// One request to the console.
final class ConsoleExchange {
    private enum State {
        case deciding
        /// The workers are asked for their counts.
        case awaitingMetrics(MetricsFormat)
        case finished
    }

    private unowned let console: ConsoleWorker
    private var sink: Sink?
    private var state = State.deciding
    private var isHead = false
    private var deadline = Int64.max

    init(console: ConsoleWorker, sink: Sink) {
        self.console = console
        self.sink = sink
    }

    private func serve(_ resource: Resource, _ head: RequestHead) {
        switch resource {
        case .health: answer(ConsoleAnswer("ok"))
        case .readiness: answer(console.source.isServing ? ConsoleAnswer("ready") : ConsoleAnswer(status: 503, "draining"))
        case .metrics: askMetrics(MetricsFormat(accept: ConsoleExchange.accepted(head)))
        case .page, .script, .style, .feed, .streamFeed, .endStream, .eventLog: answer(ConsoleAnswer(.unknownPath))
        }
    }

    /// The values of all Accept fields, joined.
    private static func accepted(_ head: RequestHead) -> [UInt8] {
        Array(head.fields.filter { $0.known == .accept }.map { head.bytes[$0.value] }.joined(separator: [UInt8(ascii: ",")]))
    }

    private func askMetrics(_ format: MetricsFormat) {
        deadline = console.worker.now + ConsoleLimits.answerMilliseconds
        sink?.wake(atMilliseconds: deadline)
        let mailbox = console.worker.mailbox
        let reference = WeakReference(self)
        state = .awaitingMetrics(format)
        console.source.askForCounts { mailbox.post { _ in reference.exchange?.tellMetrics() } }
    }

    /// Tells the metrics on the console's own thread: a long text delays no stream.
    private func tellMetrics() {
        guard case .awaitingMetrics(let format) = state else { return }
        answer(ConsoleAnswer(format.contentType, console.source.metrics(format)))
    }

    private func answer(_ answer: ConsoleAnswer) {
        guard let sink else { return }
        self.sink = nil
        state = .finished
        sink.begin(answer.response(isHead: isHead, date: console.date))
        sink.end(.complete)
    }

    private func leave(_ end: ResponseEnd) {
        guard let sink else { return }
        self.sink = nil
        state = .finished
        sink.end(end)
    }
}

/// Used on the console's thread only; other threads hand it back.
private struct WeakReference: @unchecked Sendable {
    weak var exchange: ConsoleExchange?

    init(_ exchange: ConsoleExchange) { self.exchange = exchange }
}

extension ConsoleExchange: RequestReceiver {
    func begin(_ head: RequestHead) {
        isHead = head.method == .head
        guard sink?.exceededLimit == nil else { return answer(.full) }
        switch console.gate.decide(head) {
        case .allowed(let resource): serve(resource, head)
        case .refused(let refusal): answer(ConsoleAnswer(refusal))
        }
    }

    func refuse(_ failure: RequestFailure) {
        switch failure {
        case .brokeRules(let error): answer(ConsoleAnswer(status: error.status, "\(error.reason)"))
        case .headTimeout, .bodyTimeout: answer(ConsoleAnswer(status: 408, "The request did not come in time."))
        case .plainText: answer(ConsoleAnswer(status: 400, "The console speaks TLS here; ask by https."))
        case .tooMany, .noRoom: answer(.full)
        }
    }

    var takesRequestBody: Bool { false }

    func received(body: UnsafeMutableRawBufferPointer, isLast: Bool) -> Bool { true }

    func received(tunnelled bytes: UnsafeRawBufferPointer) -> Bool { false }

    func clientDrained() {}

    func clientEndedTunnel() {}

    func tunnelOverdue(afterMilliseconds limit: Int) {}

    func clientLeft(_ departure: ClientDeparture) { leave(.abandoned) }

    func deadlineReached(now: Int64) -> Int64 {
        guard now >= deadline else { return deadline }
        deadline = .max
        // A worker that is busy counts with what it said before.
        tellMetrics()
        return .max
    }

    func mayWait() -> Bool { true }

    func drain() {}

    func endGrace() { leave(.abandoned) }
}

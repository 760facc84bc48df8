// One request to the console and its answer. The gate decides; this class keeps the answer until it is there. Invariant: the sink is
// ended once, and nothing is sent after that.

import Bytes
import Downstreams
import HTTP
import Reactor

/// One request to the console.
final class ConsoleExchange {
    private enum State {
        case deciding
        /// The text is asked for.
        case awaitingMetrics(hurry: @Sendable () -> Void)
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
        case .metrics: askMetrics(asOpenMetrics: ConsoleExchange.acceptsOpenMetrics(head))
        case .page, .script, .style, .feed, .streamFeed, .endStream, .eventLog: answer(ConsoleAnswer(.unknownPath))
        }
    }

    /// Whether the Accept field names OpenMetrics; its weight is ignored, since no scraper asks for a format that it cannot read.
    private static func acceptsOpenMetrics(_ head: RequestHead) -> Bool {
        for field in head.fields where field.known == .accept {
            var elements = ListElements(field.value)
            while let element = elements.next(in: head.bytes.span) {
                if hasPrefixIgnoringCase(head.bytes.span, element, "application/openmetrics-text") { return true }
            }
        }
        return false
    }

    private func askMetrics(asOpenMetrics: Bool) {
        deadline = console.worker.now + ConsoleLimits.answerMilliseconds
        sink?.wake(atMilliseconds: deadline)
        let mailbox = console.worker.mailbox
        let reference = WeakReference(self)
        state = .awaitingMetrics(
            hurry: console.source.askMetrics(asOpenMetrics: asOpenMetrics) { text in
                mailbox.post { _ in reference.exchange?.received(metrics: text, asOpenMetrics: asOpenMetrics) }
            })
    }

    private func received(metrics text: [UInt8], asOpenMetrics: Bool) {
        guard case .awaitingMetrics = state else { return }
        let type: StaticString =
            asOpenMetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8" : "text/plain; version=0.0.4; charset=utf-8"
        answer(ConsoleAnswer(type, text))
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
        if case .awaitingMetrics(let hurry) = state { hurry() }
        return .max
    }

    func mayWait() -> Bool { true }

    func drain() {}

    func endGrace() { leave(.abandoned) }
}

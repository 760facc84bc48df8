// One request to the console and its answer. The gate decides; this class keeps the answer until it is there. Invariant: the sink is
// ended once, and nothing is sent after that.

import Bytes
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
        /// An action's body is read.
        case readingBody(Resource, [UInt8])
        /// A worker is asked to do something.
        case awaitingAction
        /// An event stream has begun; nil until the viewer is told the first time.
        case watching(Viewer, isAdded: Bool)
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
        case .page: answer(ConsoleAnswer("text/html; charset=utf-8", Page.document(pageToken: console.gate.pageToken)))
        case .script: answer(ConsoleAnswer("text/javascript; charset=utf-8", Page.script))
        case .style: answer(ConsoleAnswer("text/css; charset=utf-8", Page.styleSheet))
        case .feed: watch(nil)
        case .streamFeed(let stream): watch(stream)
        case .endStream, .eventLog:
            state = .readingBody(resource, [])
            if sink?.isRequestComplete == true { act() }
        }
    }

    // MARK: Event streams

    private func watch(_ stream: StreamIdentifier?) {
        guard let sink, !isHead else { return answer(ConsoleAnswer("text/event-stream", [])) }
        if let stream, stream.worker >= console.source.workerCount { return answer(ConsoleAnswer(status: 404, "There is no such stream.")) }
        guard console.feed.viewerCount < ConsoleLimits.viewers else { return answer(.full) }
        // The viewer is told from the next deadline on: until then the worker's buffer holds the request.
        sink.begin(ConsoleAnswer.eventStream(date: console.date), opening: Array("retry: 2000\n\n".utf8))
        let viewer = Viewer(sink, of: stream)
        console.feed.reserve(viewer)
        state = .watching(viewer, isAdded: false)
        sink.wake(atMilliseconds: console.worker.now)
    }

    // MARK: Actions

    private func act() {
        guard case .readingBody(let resource, let body) = state else { return }
        state = .awaitingAction
        deadline = console.worker.now + ConsoleLimits.answerMilliseconds
        sink?.wake(atMilliseconds: deadline)
        switch resource {
        case .endStream(let stream):
            let mailbox = console.worker.mailbox
            let reference = WeakReference(self)
            console.source.end(stream) { outcome in mailbox.post { _ in reference.exchange?.ended(outcome) } }
        case .eventLog(let route):
            let words = String(decoding: body.filter { !isBlank($0) && $0 != 0x0A && $0 != 0x0D }, as: UTF8.self)
            guard words == "{\"on\":true}" || words == "{\"on\":false}" else {
                return answer(ConsoleAnswer(status: 400, "The body is {\"on\": true} or {\"on\": false}."))
            }
            let isOn = words == "{\"on\":true}"
            switch console.source.switchEventLog(ofRoute: String(decoding: route, as: UTF8.self), on: isOn) {
            case .done:
                answer(
                    ConsoleAnswer(
                        isOn ? "Events of this route are logged until the next reload." : "Events of this route are no longer logged."))
            case .unknown: answer(ConsoleAnswer(status: 404, "There is no such route."))
            case .noEventLog: answer(ConsoleAnswer(status: 409, "The configuration has no event_log to write to."))
            }
        case .page, .script, .style, .feed, .streamFeed, .metrics, .health, .readiness: preconditionFailure("reading is no action")
        }
    }

    private func ended(_ outcome: ActionOutcome) {
        guard case .awaitingAction = state else { return }
        switch outcome {
        case .done: answer(ConsoleAnswer("The stream ends between two of its events."))
        case .unknown, .noEventLog: answer(ConsoleAnswer(status: 404, "There is no such stream; it may have ended."))
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
        if case .watching(let viewer, _) = state { console.feed.remove(viewer) }
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
        switch console.gate.decide(head) {
        // A load balancer decides by this answer whether the proxy gets clients. A full console is no reason to take them away.
        case .allowed(let resource) where resource.isPublic || sink?.exceededLimit == nil: serve(resource, head)
        case .allowed: answer(.full)
        case .refused(let refusal): answer(ConsoleAnswer(refusal))
        }
    }

    func refuse(_ failure: RequestFailure) {
        switch failure {
        case .brokeRules(let error): answer(ConsoleAnswer(status: error.status, "\(error.reason)"))
        case .malformed(let reason): answer(ConsoleAnswer(status: 400, "\(reason)"))
        case .headTimeout, .bodyTimeout: answer(ConsoleAnswer(status: 408, "The request did not come in time."))
        case .plainText: answer(ConsoleAnswer(status: 400, "The console speaks TLS here; ask by https."))
        case .tooMany, .noRoom: answer(.full)
        }
    }

    var takesRequestBody: Bool {
        if case .readingBody = state { true } else { false }
    }

    func received(body: UnsafeMutableRawBufferPointer, isLast: Bool) -> Bool {
        guard case .readingBody(let resource, let known) = state else { return false }
        guard known.count + body.count <= ConsoleLimits.requestBodyBytes else {
            answer(ConsoleAnswer(status: 413, "The body is larger than an action needs."))
            return false
        }
        state = .readingBody(resource, known + Array(body))
        if isLast { act() }
        return true
    }

    func received(tunnelled bytes: UnsafeRawBufferPointer) -> Bool { false }

    func clientDrained() {
        if case .watching = state { sink?.wake(atMilliseconds: console.worker.now) }
    }

    func clientEndedTunnel() {}

    func tunnelOverdue(afterMilliseconds limit: Int) {}

    func clientLeft(_ departure: ClientDeparture) { leave(.abandoned) }

    func deadlineReached(now: Int64) -> Int64 {
        if case .watching(let viewer, let isAdded) = state {
            if !isAdded {
                state = .watching(viewer, isAdded: true)
                console.feed.add(viewer)
            }
            console.feed.goOn(viewer)
            return .max
        }
        guard now >= deadline else { return deadline }
        deadline = .max
        // A worker that is busy counts with what it said before.
        tellMetrics()
        if case .awaitingAction = state {
            answer(ConsoleAnswer(status: 503, "The stream's worker is busy; the stream ends when it is not."))
        }
        return .max
    }

    func mayWait() -> Bool { true }

    /// A viewer comes back to the process that serves from now on.
    func drain() {
        guard case .watching = state else { return }
        sink?.send(own: [], isLast: true)
        leave(.complete)
    }

    func endGrace() { leave(.abandoned) }
}

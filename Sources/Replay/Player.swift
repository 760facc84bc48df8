// Plays a recording to one client. Its clock begins with the request. A client that reads slowly delays what follows, as it would have
// delayed the server. Invariant: the sink is ended once, and nothing is sent after that.

import Downstreams
import HTTP
import Reactor
import Telemetry

/// One request, answered with the recording.
final class Player {
    private let backend: ReplayBackend
    private var sink: Sink?
    private var startedAt: Int64 = 0
    /// The next entry; all are done where it is the end of the array, and before the response has begun it is nil.
    private var next: Int?
    /// Whether bytes wait for the client.
    private var isWaiting = false

    init(_ backend: ReplayBackend, _ sink: Sink) {
        self.backend = backend
        self.sink = sink
    }

    /// Sends what is due; returns when something is due again.
    private func play(now: Int64) -> Int64 {
        while let sink, let index = next, index < backend.recording.entries.count, !isWaiting {
            let entry = backend.recording.entries[index]
            let due = startedAt + entry.milliseconds / backend.speed
            if due > now { return due }
            switch entry.kind {
            case .bytes(let bytes): isWaiting = !sink.send(own: bytes)
            // A heartbeat was the proxy's; what was lost is not known.
            case .heartbeat, .lost: break
            case .end(.finished, _):
                sink.send(own: [], isLast: true)
                end(.complete)
            case .end(.cutOff, _): end(.truncated)
            case .end(.reset, _):
                // A reset overtakes what the client's machine has not received yet.
                guard (sink.transportInformation?.unacknowledgedBytes ?? 0) == 0 else { return now + Player.resetPatienceMilliseconds }
                end(.reset)
            case .end(.open, _): break
            }
            if self.sink != nil { next = index + 1 }
        }
        return .max
    }

    /// How often it is asked whether the client has received everything.
    private static let resetPatienceMilliseconds: Int64 = 8

    private func end(_ end: ResponseEnd) {
        guard let sink else { preconditionFailure("a response ends once") }
        self.sink = nil
        sink.end(end)
    }

    private func response(_ status: Int, contentType: [UInt8]) -> OutgoingResponse {
        var response = OutgoingResponse(status: status)
        do throws(HTTPError) {
            try response.fields.field("Content-Type", contentType)
            try response.fields.field("Date", backend.date)
        } catch { preconditionFailure("the reader of recordings takes no value that a field cannot hold") }
        response.fields.field("Cache-Control", "no-store")
        return response
    }

    private func answer(status: Int, _ text: String) {
        var response = response(status, contentType: Array("text/plain; charset=utf-8".utf8))
        if status == 405 { response.fields.field("Allow", "GET, HEAD") }
        response.body = .whole(Array("\(text)\n".utf8))
        sink?.begin(response)
        end(.complete)
    }
}

extension Player: RequestReceiver {
    func begin(_ head: RequestHead) {
        guard let sink else { preconditionFailure("a request begins once") }
        guard sink.exceededLimit == nil else { return answer(status: 503, "Too many clients at once.") }
        guard head.method == .get || head.method == .head else { return answer(status: 405, "Only GET and HEAD are served here.") }
        var response = response(200, contentType: backend.recording.contentType)
        guard head.method == .get else {
            response.body = .none(announcedLength: nil)
            sink.begin(response)
            return end(.complete)
        }
        response.body = .untilEnd
        sink.begin(response)
        startedAt = backend.worker.now
        next = 0
        sink.wake(atMilliseconds: startedAt)
    }

    func refuse(_ failure: RequestFailure) {
        guard next == nil else { return end(.abandoned) }
        switch failure {
        case .brokeRules(let error): answer(status: error.status, "\(error.reason)")
        case .malformed(let reason): answer(status: 400, "\(reason)")
        case .headTimeout, .bodyTimeout: answer(status: 408, "The request did not come in time.")
        case .plainText, .tooMany, .noRoom: answer(status: 503, "Too many clients at once.")
        }
    }

    var takesRequestBody: Bool { false }

    func received(body: UnsafeMutableRawBufferPointer, isLast: Bool) -> Bool { true }

    func received(tunnelled bytes: UnsafeRawBufferPointer) -> Bool { false }

    func clientDrained() {
        isWaiting = false
        let due = play(now: backend.worker.now)
        if due < .max { sink?.wake(atMilliseconds: due) }
    }

    func clientEndedTunnel() {}

    func tunnelOverdue(afterMilliseconds limit: Int) {}

    func clientLeft(_ departure: ClientDeparture) { end(.abandoned) }

    func deadlineReached(now: Int64) -> Int64 { play(now: now) }

    func mayWait() -> Bool { true }

    func drain() {}

    func endGrace() { end(.abandoned) }
}

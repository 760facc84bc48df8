// One question to a service: a connection is taken or opened, the request is sent, and the whole answer is collected.
// Invariant: exactly one answer is given, on the call's worker and never from within `ask`; or none after `cancel`.

import Configuration
import HTTP
import Reactor
import Upstreams

/// The connections over which questions to one service are under way, on one worker. The body of an answer that is known already may
/// still come over one of them; such a connection is closed where another question would be one too many.
package final class ServiceConnections {
    private let most: Int
    private var count = 0
    /// The questions that have their answers, the oldest first.
    private var draining: [Question] = []

    /// No connections, and so many at most. The caller must not ask more questions at a time.
    package init(most: Int) { self.most = most }

    fileprivate func begin() {
        count += 1
        if count > most, let oldest = draining.first { oldest.cancel() }
    }

    fileprivate func drains(_ question: Question) { draining.append(question) }

    fileprivate func ended(_ question: Question) {
        count -= 1
        draining.removeAll { $0 === question }
    }
}

/// One question to a service.
package struct ServiceCall {
    private let question: Question

    /// Asks a service. `then` gets the answer, once, on this worker. The question keeps itself alive until then.
    @discardableResult
    package static func ask(
        _ request: ServiceRequest, of group: ServerGroup, on worker: Worker, _ limits: ServiceLimits,
        among connections: ServiceConnections? = nil, then: @escaping (ServiceAnswer) -> Void
    ) -> ServiceCall {
        let bytes: [UInt8]?
        do throws(HTTPError) { bytes = try request.bytes() } catch { bytes = nil }
        connections?.begin()
        let question = Question(bytes ?? [], group, worker, limits, connections, then)
        if bytes == nil {
            question.endEarly(.failed(.unusable, evidence: "the request to the service would hold a byte that no request can hold"))
        } else {
            question.connect(isFirst: true)
        }
        return ServiceCall(question: question)
    }

    /// Gives the question up: no answer is told.
    package func cancel() { question.cancel() }

    /// Gives up all questions of a worker that ends. What they would have told is needed by nobody any more.
    package static func cancelAll(on worker: Worker) {
        for case let question as Question in worker.openEndpoints { question.cancel() }
    }
}

/// The user of the connection over which a service is asked.
private final class Question: Endpoint, ResponseReceiver {
    private static let headLimits = HeadLimits(headBytes: 65_536, fieldCount: 200)

    private let group: ServerGroup
    private let limits: ServiceLimits
    private let connections: ServiceConnections?
    private let request: [UInt8]
    private let deadline: Int64
    /// When the server's next address is tried; `.max` where there is none, and once a connection stands.
    private var connectDeadline = Int64.max
    private var then: ((ServiceAnswer) -> Void)?
    private var search = ServerSearch()
    private var attempts: UInt8 = 0
    private var connection: UpstreamConnection?
    private var head: ResponseHead?
    private var body: [UInt8] = []
    private var droppedBytes = 0
    /// What is told at the next deadline: the answer to a question that ended before `ask` had returned.
    private var early: ServiceAnswer?

    init(
        _ request: [UInt8], _ group: ServerGroup, _ worker: Worker, _ limits: ServiceLimits, _ connections: ServiceConnections?,
        _ then: @escaping (ServiceAnswer) -> Void
    ) {
        self.request = request
        self.group = group
        self.limits = limits
        self.connections = connections
        self.then = then
        deadline = worker.now + Int64(limits.timeoutMilliseconds)
        super.init(worker: worker)
        openTimer()
        wake(atMilliseconds: deadline)
    }

    func cancel() {
        then = nil
        leave()
    }

    private func leave() {
        guard isOpen else { return }
        connection?.detach()
        connection = nil
        closeTimer()
        connections?.ended(self)
    }

    private func finish(_ answer: ServiceAnswer) {
        leave()
        tell(answer)
    }

    private func tell(_ answer: ServiceAnswer) {
        let then = self.then
        self.then = nil
        then?(answer)
    }

    /// Ends a call that is still in `ask`.
    func endEarly(_ answer: ServiceAnswer) {
        early = answer
        wake(atMilliseconds: worker.now)
    }

    override func deadlineReached() {
        if let early { return finish(early) }
        guard worker.now >= deadline else {
            guard worker.now >= connectDeadline else { return wake(atMilliseconds: min(connectDeadline, deadline)) }
            return tryNextAddress()
        }
        finish(.failed(.late, evidence: "the service did not answer within \(limits.timeoutMilliseconds) ms"))
    }

    // MARK: Connecting

    /// Takes or opens a connection. `isFirst` says that the caller of `ask` is still waiting for it to return.
    func connect(isFirst: Bool) {
        while attempts < ServerSearch.attemptLimit {
            guard let candidate = search.next(in: group, now: worker.now) else { break }
            attempts += 1
            if !search.wantsFresh, let idle = group.takeIdle(candidate.server) {
                attempts -= 1
                connection = idle
                idle.reuse(for: self)
                return send(over: idle)
            }
            guard let address = candidate.address else {
                search.failed(.nameNotResolved, server: candidate.server, in: group, now: worker.now)
                continue
            }
            let connection = UpstreamConnection(worker: worker, group: group, server: group.servers[candidate.server])
            do throws(SystemError) {
                try connection.connect(to: address, for: self)
                self.connection = connection
                limitConnecting()
                return
            } catch {
                let seen = SeenFailure(connecting: error, withinMilliseconds: group.upstream.connectTimeoutMilliseconds)
                search.failed(seen, server: candidate.server, in: group, now: worker.now)
            }
        }
        let failed = ServiceAnswer.failed(.unreachable, evidence: search.lastFailure.evidence)
        if isFirst { endEarly(failed) } else { finish(failed) }
    }

    /// An address that is silent leaves the others of its name their share of the time. The last one has all that is left.
    private func limitConnecting() {
        let left = Int64(search.addressesLeft)
        connectDeadline = left == 0 ? .max : worker.now + (deadline - worker.now) / (left + 1)
        wake(atMilliseconds: min(connectDeadline, deadline))
    }

    private func tryNextAddress() {
        connection?.detach()
        serverNotReached(SeenFailure(.connectTimeout, evidence: "no answer to a connection attempt, and the name has other addresses"))
    }

    private func send(over connection: UpstreamConnection) {
        connectDeadline = .max
        connection.sendRequest(request, method: .get, framing: .none, asksForUpgrade: false, isWhole: true)
    }

    // MARK: What the connection reports

    var responseLimits: HeadLimits { Question.headLimits }
    var handshakeMilliseconds: Int64 { Int64(limits.timeoutMilliseconds) }
    var silenceLimitMilliseconds: Int64? { nil }

    func serverConnected() {
        guard let connection else { preconditionFailure("a connection that stands was opened") }
        search.succeeded(in: group)
        send(over: connection)
    }

    func serverNotReached(_ seen: SeenFailure) {
        connection = nil
        search.failed(seen, server: search.server, in: group, now: worker.now)
        connect(isFirst: false)
    }

    func receiveInterim(_ head: ResponseHead) {}

    func receiveHead(_ head: ResponseHead, framing: BodyFraming) { self.head = head }

    func receiveBody(_ payload: UnsafeMutableRawBufferPointer, isLast: Bool) {
        guard let head else { preconditionFailure("a body comes after its head") }
        guard limits.needsBody(head.status) else { return drop(payload.count, of: head, isLast: isLast) }
        if body.count + payload.count > limits.bodyBytes {
            guard limits.needsWholeBody else { return finish(.answered(head, body: [])) }
            return finish(.failed(.unusable, evidence: "the service's answer is larger than \(limits.bodyBytes) bytes"))
        }
        body.append(contentsOf: UnsafeRawBufferPointer(payload))
        if isLast { finish(.answered(head, body: body)) }
    }

    /// Tells the head of an answer whose body is not needed. The body is read to its end, so that the connection can be used again, but not
    /// for longer than the answer may take.
    private func drop(_ count: Int, of head: ResponseHead, isLast: Bool) {
        droppedBytes += count
        let answer = ServiceAnswer.answered(head, body: [])
        if isLast || droppedBytes > limits.bodyBytes { return finish(answer) }
        guard then != nil else { return }
        connections?.drains(self)
        tell(answer)
    }

    func receiveFromTunnel(_ bytes: UnsafeRawBufferPointer) {}

    func serverEndedTunnel() {}

    func serverFailed(_ seen: SeenFailure) {
        // An idle connection may have been dead before the request was sent; a question can be asked twice.
        if head == nil, let connection, connection.mayHaveBeenDead, seen.failure.isEndOfConnection {
            connection.detach()
            self.connection = nil
            search.retryFresh()
            return connect(isFirst: false)
        }
        let failure: ServiceFailure =
            switch seen.failure {
            case .brokeRules: .unusable
            case .responseTimeout, .connectTimeout, .handshakeTimeout: .late
            default: .unreachable
            }
        finish(.failed(failure, evidence: seen.evidence))
    }

    func serverDrained() {}
}

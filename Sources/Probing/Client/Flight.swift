// One connection of a probe: connects, sends its request, reads until it ends or its time is over, and reports once.

import HTTP
import Reactor

/// One connection of a probe.
final class Flight: Link {
    private static let connectMilliseconds: Int64 = 10_000

    private let request: [UInt8]
    private let whenOver: (Flight) -> Void
    private var tap: ResponseTap
    private var beganAt: Int64
    private var sentAt: Int64?

    /// A connection that has not begun. `whenOver` is called once, when it is over; never from within `connect`.
    init(worker: Worker, plan: FlightPlan, request: [UInt8], whenOver: @escaping (Flight) -> Void) {
        self.request = request
        self.whenOver = whenOver
        tap = ResponseTap(plan)
        beganAt = worker.now
        super.init(worker: worker)
    }

    /// What has been seen so far.
    var observation: Observation { tap.observation }

    /// When the request was sent, by the worker's clock; nil before that.
    var requestMoment: Int64? { sentAt }

    /// Begins to connect.
    ///
    /// - Throws: what made that impossible at once; nothing is reported then.
    func begin(to address: SocketAddress, securedBy context: TLSClientContext?, serverName: String) throws(SystemError) {
        beganAt = worker.now
        try connect(to: address, securedBy: context, serverName: serverName)
        wake(atMilliseconds: beganAt + Self.connectMilliseconds)
    }

    private var elapsed: Int64 { worker.now - (sentAt ?? beganAt) }

    /// Ends it now; nothing is reported.
    func abandon() -> Observation {
        tap.end(.stopped, at: elapsed)
        close()
        return tap.observation
    }

    private func end(_ ending: FlightEnding) {
        guard isOpen else { return }
        tap.end(ending, at: elapsed)
        close()
        whenOver(self)
    }

    override func linkConnected() {
        let now = worker.now
        tap.observation.connectMilliseconds = now - beganAt
        tap.observation.sentAt = now
        tap.observation.security = security?.version
        sentAt = now
        send(request)
        wake(atMilliseconds: now + tap.observation.plan.limitMilliseconds)
    }

    override func linkReceived(_ bytes: UnsafeMutableRawBufferPointer) {
        tap.receive(bytes, at: elapsed)
        if let ending = tap.observation.ending { return end(ending) }
        if let limit = tap.observation.plan.itemLimit, tap.observation.items.count >= limit { end(.stopped) }
    }

    override func linkReachedEnd() {
        tap.finish(isAuthentic: !isSecured || (endIsAuthentic && !isInsideRecord), at: elapsed)
        if let ending = tap.observation.ending { end(ending) }
    }

    override func linkFailed(_ error: SystemError, while operation: LinkOperation) {
        guard sentAt != nil else { return end(.notConnected(error.message)) }
        if operation == .writing { readWhatIsLeft() }
        end(error == .connectionReset || error == .brokenPipe ? .reset : .broke(error.message))
    }

    override func linkSecurityFailed(_ failure: TLSFailure) {
        end(sentAt == nil ? .notSecured(failure.reason) : .broke(failure.reason))
    }

    override func deadlineReached() {
        guard let sentAt else {
            let deadline = beganAt + Self.connectMilliseconds
            if worker.now >= deadline { return end(.notConnected("no connection within \(Self.connectMilliseconds / 1_000) s")) }
            return wake(atMilliseconds: deadline)
        }
        let deadline = sentAt + tap.observation.plan.limitMilliseconds
        if worker.now >= deadline { end(.stopped) } else { wake(atMilliseconds: deadline) }
    }
}

/// Asks which protocol a server would choose, and goes no further.
final class ProtocolTrial: Link {
    private static let patienceMilliseconds: Int64 = 10_000

    private let whenOver: (String?) -> Void
    private let deadline: Int64

    init(worker: Worker, whenOver: @escaping (String?) -> Void) {
        self.whenOver = whenOver
        deadline = worker.now + Self.patienceMilliseconds
        super.init(worker: worker)
    }

    func begin(to address: SocketAddress, securedBy context: TLSClientContext, serverName: String) throws(SystemError) {
        try connect(to: address, securedBy: context, serverName: serverName)
        wake(atMilliseconds: deadline)
    }

    private func end(_ chosen: String?) {
        guard isOpen else { return }
        close()
        whenOver(chosen)
    }

    override func linkConnected() { end(applicationProtocol) }
    override func linkReachedEnd() { end(nil) }
    override func linkFailed(_ error: SystemError, while operation: LinkOperation) { end(nil) }
    override func linkSecurityFailed(_ failure: TLSFailure) { end(nil) }
    override func deadlineReached() { if worker.now >= deadline { end(nil) } else { wake(atMilliseconds: deadline) } }
}

/// A moment at which something is done, once.
final class Alarm: Endpoint {
    private let deadline: Int64
    private let action: () -> Void

    /// `action` runs after so many milliseconds; never from within this call.
    init(worker: Worker, afterMilliseconds delay: Int64, _ action: @escaping () -> Void) {
        deadline = worker.now + delay
        self.action = action
        super.init(worker: worker)
        openTimer()
        wake(atMilliseconds: deadline)
    }

    /// Nothing is done any more.
    func cancel() { closeTimer() }

    override func deadlineReached() {
        guard worker.now >= deadline else { return wake(atMilliseconds: deadline) }
        closeTimer()
        action()
    }
}

// One connection of a probe. It carries one request of HTTP/1, or the streams of HTTP/2 where the server chose it (ALPN) or the user did.
//
//   connecting ─▶ HTTP/1: one flight ─▶ closed with it
//        └──────▶ HTTP/2: flights come and go ─▶ closed with the last one, unless it is kept

import HTTP
import HTTP2
import Reactor

/// One connection of a probe.
final class ProbeConnection: Link {
    private static let connectMilliseconds: Int64 = 10_000
    /// While so much waits for the peer, nothing is added: then the session's own bound holds.
    private static let muchPendingBytes = 16_384

    /// The windows are those of a browser, so that a hop meets what it meets there.
    private static let limits: SessionLimits = {
        var limits = SessionLimits()
        limits.streamWindowBytes = 6 << 20
        limits.connectionWindowBytes = 15 << 20
        limits.fields = DecodedFieldLimits(maximumFields: ResponseTap.limits.fieldCount)
        return limits
    }()

    private let target: ProbeTarget
    private let offersHTTP2: Bool
    /// Whether it stays open when no flight is left, if it speaks HTTP/2.
    private let isKept: Bool
    private let beganAt: Int64
    private var isUp = false
    /// Those that are sent as soon as there is a connection; of HTTP/1 there is only one.
    private var waiting: [Flight]
    private var single: Flight?
    private var session: ClientSession?
    private var streams: [UInt32: Flight] = [:]

    /// A connection that has not begun, and its first request.
    init(worker: Worker, target: ProbeTarget, first: Flight, isKept: Bool) {
        self.target = target
        self.isKept = isKept
        offersHTTP2 = first.plan.version == .usual && target.forcedVersion != .http11
        beganAt = worker.now
        waiting = [first]
        super.init(worker: worker)
    }

    /// Begins to connect.
    ///
    /// - Throws: what made that impossible at once; nothing is reported then.
    func begin(to address: SocketAddress, securedBy context: TLSClientContext?) throws(SystemError) {
        try connect(to: address, securedBy: context, serverName: target.host)
        wake(atMilliseconds: beganAt + Self.connectMilliseconds)
    }

    /// Whether one more flight may go on it: nobody knows yet what it speaks, or it is HTTP/2 and the server has not said GOAWAY.
    var takesMore: Bool { isOpen && (!isUp || session?.isGoingAway == false) }

    /// One more flight, on a connection that takes more.
    func carry(_ flight: Flight) {
        precondition(takesMore, "the connection carries one request")
        waiting.append(flight)
        if isUp { sendWaiting() }
    }

    /// Ends a flight now; nothing is reported of it.
    func abandon(_ flight: Flight) {
        flight.tap.end(.stopped, at: flight.elapsed(at: worker.now, connectionBeganAt: beganAt))
        leave(flight)
    }

    // MARK: Beginning

    override func linkConnected() {
        isUp = true
        let chosen = isSecured ? applicationProtocol == "h2" : target.forcedVersion == .http2 && offersHTTP2
        if target.forcedVersion == .http2, !chosen { return endAll(.notSecured("the server does not choose HTTP/2 (ALPN h2)")) }
        if chosen { session = ClientSession(limits: Self.limits, headLimits: ResponseTap.limits, now: worker.now) }
        sendWaiting()
    }

    private func sendWaiting() {
        let now = worker.now
        let flights = waiting
        waiting = []
        for flight in flights {
            flight.tap.observation.connectMilliseconds = now - beganAt
            flight.tap.observation.security = security?.version
            flight.tap.observation.couldChooseHTTP2 = isSecured && offersHTTP2
            if session == nil { sendAlone(flight, at: now) } else { open(flight, at: now) }
        }
        flush()
        rearm()
    }

    private func sendAlone(_ flight: Flight, at now: Int64) {
        guard single == nil else { return end(flight, .notOpened("the server chose HTTP/1.1 for this connection, and HTTP/2 before")) }
        single = flight
        flight.send(at: now)
        send(target.head(flight.plan))
    }

    private func open(_ flight: Flight, at now: Int64) {
        flight.tap.observation.http = "2"
        if let hindrance = session?.hindrance { return end(flight, .notOpened("\(hindrance)")) }
        guard let number = session?.open(target.http2Request(flight.plan)) else { return }
        streams[number] = flight
        flight.send(at: now)
    }

    // MARK: Ending

    private func end(_ flight: Flight, _ ending: FlightEnding) {
        flight.tap.end(ending, at: flight.elapsed(at: worker.now, connectionBeganAt: beganAt))
        leave(flight)
        flight.report()
    }

    /// The flight is over: its stream is cancelled if it has not ended, and the connection closes unless it is needed.
    private func leave(_ flight: Flight) {
        waiting.removeAll { $0 === flight }
        if single === flight { single = nil }
        if let number = streams.first(where: { $0.value === flight })?.key {
            streams[number] = nil
            session?.cancel(number)
            flush()
        }
        closeUnlessNeeded()
    }

    private func closeUnlessNeeded() {
        if waiting.isEmpty, single == nil, streams.isEmpty, !(isKept && takesMore) { close() }
    }

    private func endAll(_ ending: FlightEnding) {
        let flights = waiting + [single].compactMap { $0 } + streams.sorted { $0.key < $1.key }.map(\.value)
        (waiting, single, streams) = ([], nil, [:])
        close()
        for flight in flights { end(flight, ending) }
    }

    // MARK: Receiving

    override func linkReceived(_ bytes: UnsafeMutableRawBufferPointer) {
        if session != nil { return receiveFrames(UnsafeRawBufferPointer(bytes)) }
        guard let single else { return }
        single.tap.receive(bytes, at: single.elapsed(at: worker.now, connectionBeganAt: beganAt))
        settle(single)
    }

    /// Ends a flight whose response has ended, or that has what it wanted.
    private func settle(_ flight: Flight) {
        if let ending = flight.observation.ending { end(flight, ending) } else if flight.isSatisfied { end(flight, .stopped) }
    }

    private func receiveFrames(_ bytes: UnsafeRawBufferPointer) {
        var offset = 0
        do throws(SessionError) {
            // A flight that is over may have closed the connection.
            while isOpen, let event = try session?.next(bytes, from: &offset, now: worker.now) { handle(event, bytes) }
            flush()
        } catch {
            flush()
            endAll(.brokeRules("\(error.reason) (\(Self.name(error.code)))"))
        }
    }

    private func handle(_ event: ClientEvent, _ bytes: UnsafeRawBufferPointer) {
        switch event {
        case .head(let stream, let head, let isLast): update(stream) { $0.receiveHead(head, isLast: isLast, at: $1) }
        case .data(let stream, let range, let isLast):
            update(stream) { $0.receiveBody(UnsafeRawBufferPointer(rebasing: bytes[range]), isLast: isLast, at: $1) }
        case .trailers(let stream): update(stream) { $0.end(.complete, at: $1) }
        case .reset(let stream, let code): update(stream) { $0.end(.streamReset(Self.name(code)), at: $1) }
        case .failed(let stream, let code, let reason): update(stream) { $0.end(.brokeRules("\(reason) (\(Self.name(code)))"), at: $1) }
        case .goAway(let last, let code):
            for flight in streams.values { flight.tap.observation.goAway = Self.name(code) }
            for number in streams.keys.sorted() where number > last { update(number) { $0.end(.leftBehind, at: $1) } }
            closeUnlessNeeded()
        }
    }

    private func update(_ number: UInt32, _ change: (inout ResponseTap, Int64) -> Void) {
        guard let flight = streams[number] else { return }
        change(&flight.tap, flight.elapsed(at: worker.now, connectionBeganAt: beganAt))
        settle(flight)
    }

    private static func name(_ code: HTTP2ErrorCode) -> String { code.name.map { "\($0)" } ?? "code \(code.rawValue)" }

    private func flush() {
        guard isOpen, pendingCount < Self.muchPendingBytes, let frames = session?.takeControl(), !frames.isEmpty else { return }
        send(frames)
    }

    override func linkDrained() { flush() }

    override func linkReachedEnd() {
        let isAuthentic = !isSecured || (endIsAuthentic && !isInsideRecord)
        guard let single else { return endAll(isUp ? .closed(isAuthentic: isAuthentic) : .notConnected("the connection was closed")) }
        single.tap.finish(isAuthentic: isAuthentic, at: single.elapsed(at: worker.now, connectionBeganAt: beganAt))
        settle(single)
    }

    override func linkFailed(_ error: SystemError, while operation: LinkOperation) {
        guard isUp else { return endAll(.notConnected(error.message)) }
        if operation == .writing { readWhatIsLeft() }
        endAll(error == .connectionReset || error == .brokenPipe ? .reset : .broke(error.message))
    }

    override func linkSecurityFailed(_ failure: TLSFailure) { endAll(isUp ? .broke(failure.reason) : .notSecured(failure.reason)) }

    // MARK: Deadlines

    private var flights: [Flight] { [single].compactMap { $0 } + streams.values }

    private func rearm() {
        guard isOpen else { return }
        if let deadline = isUp ? flights.compactMap(\.deadline).min() : beganAt + Self.connectMilliseconds {
            wake(atMilliseconds: deadline)
        }
    }

    override func deadlineReached() {
        let now = worker.now
        if !isUp, now >= beganAt + Self.connectMilliseconds {
            return endAll(.notConnected("no connection within \(Self.connectMilliseconds / 1_000) s"))
        }
        for flight in flights where flight.deadline.map({ now >= $0 }) == true { end(flight, .stopped) }
        rearm()
    }
}

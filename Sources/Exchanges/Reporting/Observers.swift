// The observers of exchanges: at most one of each kind, all behind one mask, which the path of an event reads once. They are called at
// five moments; this file decides which observer gets what. A new observer is one bit of the mask, and one line at each moment that it
// watches.

import Configuration
import EventStream
import HTTP
import Telemetry
import Upstreams

/// Who watches the exchanges of a worker.
struct Observers: OptionSet {
    let rawValue: UInt8
    /// Lines about streams: when they open and how they end.
    static let streamLog = Observers(rawValue: 1)
    /// A line about each other exchange.
    static let accessLog = Observers(rawValue: 2)
    /// Lines about events and heartbeats.
    static let eventLog = Observers(rawValue: 4)
    /// The console, which keeps the latest lines about streams.
    static let live = Observers(rawValue: 8)
    /// The console's operator, who watches the events of single streams.
    static let tap = Observers(rawValue: 16)
    /// Those who are told of openings and endings.
    static let ofStreams: Observers = [.streamLog, .live]
    /// Recordings of streams.
    static let recordings = Observers(rawValue: 32)
    /// Those who are told of events.
    static let ofEvents: Observers = [.eventLog, .tap, .recordings]

    /// Those whom a worker's logs make.
    init(_ shared: SharedState) {
        rawValue =
            (shared.streamLog == nil ? 0 : 1) | (shared.accessLog == nil ? 0 : 2) | (shared.eventLog == nil ? 0 : 4)
            | (shared.recordings.isEmpty ? 0 : 32)
    }

    init(rawValue: UInt8) { self.rawValue = rawValue }
}

extension Exchange {
    /// A stream has begun.
    func observeOpening(heldBecause reason: HeldReason?, notKeptBecause: NotKeptReason?) {
        if let routeName { proxy.shared.openStreams.opened(route: routeName) }
        if case .streaming = phase { observeServer() }
        if let series = route?.series {
            proxy.counters.add(.streamsOpened, Resumption(weaver.resumes), of: series.route)
            proxy.counters.add(.streamsOpen, of: series.path)
        }
        if !proxy.observers.isDisjoint(with: .ofStreams) { writeOpening(heldBecause: reason, notKeptBecause) }
        if proxy.observers.contains(.eventLog) { follower = newFollower(isWanted: logsEvents) }
    }

    /// A server serves the stream from now on.
    func observeServer() { if let server = source.server { proxy.shared.openStreams.joined(server: server.name) } }

    /// Another server goes on with the stream.
    func observeServer(insteadOf old: ServerState?) {
        guard case .streaming = phase, old?.name != source.server?.name else { return }
        proxy.shared.openStreams.moved(from: old?.name, to: source.server?.name)
    }

    /// The stream ends. Returns how many others are open, of its route and of its server.
    private func closeStream() -> (ofRoute: Int, ofServer: Int?) {
        guard let routeName else { preconditionFailure("a stream has a route, or is played for a probe") }
        var server: String?
        if case .streaming = phase { server = source.server?.name }
        return proxy.shared.openStreams.ended(route: routeName, server: server)
    }

    /// A server's response is the stream, or goes on in it.
    func observeHead(_ head: ResponseHead, _ framing: BodyFraming) {
        if proxy.observers.contains(.recordings) { beginRecording(head, framing) }
    }

    /// These bytes of the server have been passed on.
    func observeEvents(in bytes: Span<UInt8>) {
        if let log = proxy.eventLog {
            logEvents(of: bytes, in: log, isWanted: logsEvents, &follower)
            proxy.flush(log)
        }
        for tap in proxy.taps where tap.number == number {
            logEvents(of: bytes, in: tap.log, isWanted: true, &tap.follower)
            tap.log.lines.flush()
        }
    }

    /// A heartbeat with that many bytes has been sent.
    func observeHeartbeat(byteCount: Int, now: Int64) {
        if let log = proxy.eventLog, logsEvents {
            logHeartbeat(byteCount: byteCount, now: now, in: log)
            proxy.flush(log)
        }
        for tap in proxy.taps where tap.number == number {
            logHeartbeat(byteCount: byteCount, now: now, in: tap.log)
            tap.log.lines.flush()
        }
        if proxy.observers.contains(.recordings) { recordHeartbeat(byteCount: byteCount, now: now) }
    }

    /// The exchange ends. A nil ending means a response that was passed on completely.
    func observeEnd(_ ending: Ending?) {
        if account.isPending { countStalled(false) }
        account.close(now: now)
        if !proxy.recorders.isEmpty { recordEnd(ending) }
        countEnd(ending)
        if let probe = source.playing { proxy.shared.probes.ended(probe.nonce, ending?.cause, now: now) }
        let others = isStream ? closeStream() : nil
        if let others, let ending {
            if !proxy.observers.isDisjoint(with: .ofStreams) { writeStreamEnding(ending, others) }
        } else if proxy.observers.contains(.accessLog) {
            writeAccess(ending)
        }
    }
}

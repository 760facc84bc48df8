// Compares the log with what really happened: one opening and one end for each stream, and only true causes. Invariant: a cause counts
// as true only if the blamed side really did that, or if the proxy did what it was told to.

import Configuration
import Foundation

@testable import Exchanges
@testable import Proxy
@testable import Reactor

/// The log's records, by path; lines about single events by stream.
struct LogView {
    /// All but those about probes, which share one path, go to no server and count for no route.
    let records: [[String: Any]]
    let probes: [[String: Any]]
    let events: [String: [[String: Any]]]
    private let byPath: [String: [[String: Any]]]
    private let kernel: SimulatedKernel

    init(_ all: [[String: Any]], _ kernel: SimulatedKernel) {
        func isOfEvent(_ record: [String: Any]) -> Bool { ["stream_event", "stream_heartbeat"].contains(record["event"] as? String) }
        func isOfProbe(_ record: [String: Any]) -> Bool {
            [SimulatedProbes.path, SimulatedProbes.path + "/seen"].contains(record["path"] as? String)
        }
        records = all.filter { !isOfEvent($0) && !isOfProbe($0) }
        probes = all.filter { !isOfEvent($0) && isOfProbe($0) }
        events = Dictionary(grouping: all.filter(isOfEvent)) { $0["stream"] as? String ?? "" }
        self.kernel = kernel
        byPath = Dictionary(grouping: records.filter { $0["event"] as? String != "stream_open" }) { $0["path"] as? String ?? "" }
    }

    /// Records of ends: of a stream, or of another exchange.
    func records(of path: String) -> [[String: Any]] { byPath[path] ?? [] }

    /// The end of a stream.
    func ending(of path: String) -> [String: Any]? { records(of: path).first { $0["event"] as? String == "stream_end" } }

    /// The records without a request.
    var nameless: [[String: Any]] { byPath[""] ?? [] }

    /// The moments at which a record may have been written: the clock may have been set in between.
    func moments(of record: [String: Any]) -> [Int64] {
        guard let text = record["time"] as? String, let milliseconds = LogView.milliseconds(text) else { return [] }
        return kernel.clockOffsets.map { milliseconds - SimulatedKernel.epochMilliseconds - $0 }
    }

    /// The time that a record has, in milliseconds since 1970.
    func unixMilliseconds(of record: [String: Any]) -> Int64? { (record["time"] as? String).flatMap(LogView.milliseconds) }

    nonisolated(unsafe) private static let formatter: ISO8601DateFormatter = {
        let formatter = ISO8601DateFormatter()
        formatter.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
        return formatter
    }()

    private static func milliseconds(_ text: String) -> Int64? {
        formatter.date(from: text).map { Int64(($0.timeIntervalSince1970 * 1000).rounded()) }
    }
}

extension Scenario {
    func check(_ log: LogView) {
        let opened = Dictionary(grouping: log.records.filter { $0["event"] as? String == "stream_open" }) { $0["path"] as? String ?? "" }
        let ended = Dictionary(grouping: log.records.filter { $0["event"] as? String == "stream_end" }) { $0["path"] as? String ?? "" }
        outcome.streamCount = opened.count
        expect(opened.keys == ended.keys, "streams that opened: \(opened.keys.sorted()), that ended: \(ended.keys.sorted())")
        for (path, endings) in ended where !Scenario.isShared(path) {
            expect(
                endings.count == 1 && opened[path]?.count == 1, "\(path): \(opened[path]?.count ?? 0) openings, \(endings.count) endings")
        }
        for opening in opened.values.joined() { checkHeldReason(opening) }
        for record in log.records where record["event"] as? String != "stream_open" {
            let isStream = record["event"] as? String == "stream_end"
            guard let cause = record["cause"] as? String else {
                expect(!isStream, "a stream ended without a cause: \(record)")
                continue
            }
            outcome.causes[cause, default: 0] += 1
            guard let path = record["path"] as? String, let truth = truths[path] else {
                expect(isTrueOfNobody(cause, record), "\(cause) (\(record["evidence"] ?? "")) of a connection without a request")
                continue
            }
            // Several requests have the same path, and what happened to which is not known.
            if Scenario.isShared(path) { continue }
            checkCause(cause, record, truth, log)
            if let client = truth.socket?.client {
                expect(
                    record["client"] as? String == "\(client)",
                    "\(path): the log says it is \(record["client"] ?? "nobody")'s, and it is \(client)'s")
            }
            if isStream { checkAccount(record, truth) }
        }
    }

    /// A server that breaks HTTP's rules is not waited for, unless another server may come back.
    private func checkHeldReason(_ opening: [String: Any]) {
        guard let reason = opening["held_because"] as? String, reason != "early" else { return }
        let evidence = opening["held_evidence"] as? String ?? ""
        expect(!evidence.isEmpty, "\(opening["path"] ?? ""): held because of \(reason), and nothing was seen of it")
        let isBroken = reason == "upstream_protocol_error" && evidence != "the response's head was cut off"
        expect(!isBroken || plan.serverNames.count > 1, "\(opening["path"] ?? ""): held for a server that broke the rules: \(evidence)")
    }

    /// Checks the record of a connection without a readable request.
    private func isTrueOfNobody(_ cause: String, _ record: [String: Any]) -> Bool {
        switch cause {
        // A request's head that did not come, or not completely: its client left, time jumped, or the proxy refused it.
        case "client_protocol_error", "client_closed", "client_reset", "request_timeout", "client_stalled", "client_vanished": true
        case "refused_by_limit": plan.troubles.limits
        case "client_tls_error", "handshake_timeout": plan.isSecuredDownstream
        default: false
        }
    }

    /// The counts of a stream's end.
    private func checkAccount(_ record: [String: Any], _ truth: Truth) {
        let read = record["bytes_from_upstream"] as? Int ?? -1
        expect(
            read <= truth.arrivals.reduce(0) { $0 + $1.body.count }, "\(truth.path): \(read) bytes are said to have come from the server")
        guard let held = record["held_ms"] as? Int, case .retry(holdMilliseconds: let limit) = plan.outage, plan.early == nil else {
            return
        }
        let allowed = limit + lastAttempt(record, truth) + longestAsking(for: truth)
        expect(
            held <= allowed || !isTimely(record, truth),
            "\(truth.path): held for \(held) ms, with at most \(limit) ms asked for, and \(allowed - limit) ms for the last attempt")
    }

    /// An attempt that begins before a held client's time is over may take as long as any attempt. The longest time that the last
    /// attempt took, in milliseconds.
    private func lastAttempt(_ record: [String: Any], _ truth: Truth) -> Int {
        let delays = 6 * plan.faults.delayMilliseconds.upperBound + 4 * Int(TimerWheel.tickMilliseconds)
        // Each server may have let the connection attempt, or the handshake, time out.
        let canHang = servers.contains { $0.wasSilent } || plan.isSecuredUpstream
        let connecting = canHang ? plan.serverNames.count * (plan.isSecuredUpstream ? 3_000 : 1_000) : 0
        let answering = truth.arrivals.isEmpty ? 0 : plan.troubles.slowServers ? 7_100 : 400
        // The proxy waits for a server that does not answer at all.
        let isTimeout = record["cause"] as? String == "response_timeout" || truth.arrivals.contains { $0.answer == nil }
        let asking = truth.session == nil ? 0 : 2 * (plan.forwardAuth?.timeoutMilliseconds ?? 0)
        return delays + connecting + asking + (isTimeout ? 5_100 : answering)
    }

    /// Whether no time jump happened during the request.
    private func isTimely(_ record: [String: Any], _ truth: Truth) -> Bool {
        !world.leapt(between: truth.askedAt ?? 0, and: (truth.askedAt ?? 0) + Int64(record["duration_ms"] as? Int ?? 0))
    }

    private func checkCause(_ cause: String, _ record: [String: Any], _ truth: Truth, _ log: LogView) {
        let holds = log.moments(of: record).contains { isTrue(cause, record, truth, at: $0) }
        let arrival = truth.present
        expect(record["side"] as? String != "upstream" || record["server"] != nil, "\(truth.path): \(cause), and no server is named")
        expect(
            holds,
            """
            \(truth.path): \(cause) (\(record["evidence"] ?? "") after \(record["duration_ms"] ?? 0) ms, server \
            \(record["server"] ?? "none")), but the client \(truth.clientDeed?.rawValue ?? "did nothing") and the server \
            \(arrival?.deeds ?? []) (\(truth.arrivals.count) arrivals, answered \(arrival?.answer?.status ?? 0))
            """
        )
    }

    private func isTrue(_ cause: String, _ record: [String: Any], _ truth: Truth, at moment: Int64) -> Bool {
        let upstream = plan.configuration.upstreams[0]
        // The last request to the blamed server, if no later one went to another server.
        let arrival = truth.present.flatMap { "\($0.server)" == record["server"] as? String ? $0 : nil }
        // A server that went down also ended requests that had not arrived completely, and answers that were still on their way.
        let gone = servers.filter { "\($0.address)" == record["server"] as? String }.flatMap(\.partings)
            .filter { $0.at >= truth.askedAt ?? 0 && $0.at <= moment }.map(\.deed)
        // A closed connection answers bytes that were still on their way with a reset.
        let deeds = (arrival?.deeds ?? []) + gone + (gone.contains(.cutOff) ? [.reset, .wentWithoutAnswer] : [])
        let hasLeapt = world.leapt(between: truth.askedAt ?? 0, and: moment)
        switch cause {
        case "client_tls_error": return truth.clientDeed == .brokeTLS
        case "upstream_tls_error":
            return deeds.contains(.brokeTLS) || !gone.isEmpty || handshakes(record, truth, at: moment).contains { $0 != .mute }
        case "connect_timeout" where (record["evidence"] as? String)?.hasPrefix("no TLS handshake") == true:
            // Invalid bytes may look like the beginning of a record.
            let isLeftWaiting = handshakes(record, truth, at: moment).contains { $0 == .mute || $0 == .nonsense }
            return hasLeapt || gone.contains(.vanished) || isLeftWaiting
        case "client_closed": return truth.clientDeed == .left || truth.hasLeft || truth.mayHaveLeft
        case "client_reset": return truth.clientDeed == .reset || truth.clientDeed == .left || truth.hasLeft
        case "client_vanished": return truth.clientDeed == .vanished
        // A vanished client stays silent until the kernel gives up; a slow client is stalled only if it has read nothing. No client
        // stalls for longer than the whole exchange took.
        case "client_stalled":
            let stall = plan.configuration.timeouts.clientStallMilliseconds
            let lasted = record["duration_ms"] as? Int ?? 0
            return hasLeapt || (lasted >= stall && (truth.clientDeed == .vanished || (truth.isSlow && !hasRead(truth, before: moment))))
        case "request_timeout": return truth.clientDeed == .vanished || hasLeapt
        case "upstream_finished": return deeds.contains(.finished)
        case "upstream_cut_off": return deeds.contains(.cutOff)
        // A server that has closed answers the proxy's change of keys with a reset, which may overtake its last bytes.
        case "upstream_reset": return deeds.contains(.reset) || (plan.isSecuredUpstream && !deeds.isEmpty)
        case "upstream_vanished": return deeds.contains(.vanished)
        case "upstream_silent":
            let limit = truth.isStream ? upstream.streamSilenceTimeoutMilliseconds : upstream.idleTimeoutMilliseconds
            return hasLeapt || arrival?.isTruncated == true || moment - (arrival?.lastSentAt ?? 0) >= Int64(limit ?? .max)
        case "upstream_protocol_error":
            let isHeadCut = (record["evidence"] as? String)?.hasPrefix("the response's head was cut off") == true && deeds.contains(.cutOff)
            return deeds.contains(.babbled) || isHeadCut
        case "upstream_no_response": return deeds.contains(.wentWithoutAnswer) || deeds.contains(.cutOff) && arrival?.answer == nil
        case "upstream_unavailable": return plan.outageAnswers.contains(arrival?.answer?.status ?? 0)
        case "response_timeout":
            // A request to a server that had vanished reached no server.
            let vanished = servers.contains {
                "\($0.address)" == record["server"] as? String && $0.partings.contains { $0.deed == .vanished && $0.at <= moment }
            }
            guard let arrival, !vanished else { return true }
            let isLate = (arrival.answeredAt ?? moment) - arrival.headCameAt >= Int64(upstream.responseTimeoutMilliseconds) - 100
            return hasLeapt || isLate || deeds.contains(.vanished)
        case "connection_refused", "connect_timeout", "connect_failed":
            return isTrueOfConnecting(cause, record, truth, at: moment) || hasLeapt
        case "sent_back": return isTrueOfSentBack(record, truth)
        case "refused_by_limit": return isTrueOfLimit(record, truth)
        case "proxy_error":
            return kernel.attempts.contains { $0.outcome == .exhausted && $0.beganAt == moment }
        case "ended_by_operator": return isWished(record["stream"] as? String ?? "", by: moment)
        case "credentials_refused" where truth.session != nil: return isTrueOfDenial(record, truth, at: moment)
        case "credentials_refused": return isTrueOfCredentials(record, truth, at: moment)
        // When a stream may end for its service is checked elsewhere.
        case "revoked": return truth.session != nil || truth.credentials?.ticket != nil
        case "authorization_unavailable" where truth.session != nil: return true
        case "authorization_unavailable": return isTrueOfUnavailability(record, truth, at: moment)
        // When a stream may end with its token is checked elsewhere.
        case "token_expired": return truth.credentials?.token != nil
        case "drained", "grace_expired": return moment >= drainsSince
        default: return false
        }
    }

    /// Whether the client took anything within the time after which it counts as stalled.
    private func hasRead(_ truth: Truth, before moment: Int64) -> Bool {
        let delay = Int64(2 * plan.faults.delayMilliseconds.upperBound) + 2 * TimerWheel.tickMilliseconds
        let span = (moment - Int64(plan.configuration.timeouts.clientStallMilliseconds) + delay)..<(moment - delay)
        return truth.wire?.readTimes.contains { span.contains($0) } ?? false
    }

    /// The server was tried, with that result: just then, or earlier for a client that waited for another attempt.
    private func isTrueOfConnecting(_ cause: String, _ record: [String: Any], _ truth: Truth, at moment: Int64) -> Bool {
        let mayBeEarlier = (record["evidence"] as? String)?.hasSuffix("told to come back") == true
        let timeout = Int64(plan.configuration.upstreams[0].connectTimeoutMilliseconds)
        return kernel.attempts.contains { attempt in
            guard "\(attempt.address)" == record["server"] as? String, attempt.beganAt >= truth.askedAt ?? 0, attempt.beganAt <= moment
            else { return false }
            if cause != "connect_timeout" {
                return attempt.outcome == (cause == "connection_refused" ? .refused : .full) && (attempt.endedAt == moment || mayBeEarlier)
            }
            let waited = (attempt.outcome == .pending ? moment : attempt.endedAt ?? moment) - attempt.beganAt
            return waited >= timeout && (mayBeEarlier || moment - attempt.beganAt <= timeout + 2 * TimerWheel.tickMilliseconds)
        }
    }

    /// The handshakes that the server broke while the request waited.
    private func handshakes(_ record: [String: Any], _ truth: Truth, at moment: Int64) -> [SimulatedServer.HandshakeTrouble] {
        servers.filter { "\($0.address)" == record["server"] as? String }.flatMap(\.spoiltHandshakes)
            .filter { $0.at >= truth.askedAt ?? 0 && $0.at <= moment }.map(\.kind)
    }

    /// A server's answer cannot go on in a response that the client has already.
    private func isTrueOfSentBack(_ record: [String: Any], _ truth: Truth) -> Bool {
        guard let answer = truth.present?.answer, record["held_ms"] != nil else { return false }
        guard (record["evidence"] as? String)?.contains("answered \(answer.status);") == true else { return false }
        let isForeign = eventSources.contains { $0.manner.isForeign && $0.attempts.contains { $0.truth === truth } }
        return !answer.isStream || answer.isCompressed || isForeign || (answer.setsCookie && plan.early == nil)
    }

    private func isTrueOfLimit(_ record: [String: Any], _ truth: Truth) -> Bool {
        let evidence = record["evidence"] as? String ?? ""
        if evidence.contains("pending") { return plan.pendingIsTight }
        let source = eventSources.flatMap(\.attempts).first { $0.truth === truth }?.crowding
        let client = clients.first { $0.truths.contains { $0 === truth } }?.crowding
        return truth.path.hasPrefix("/hog/") || isTooMany(source ?? client)
    }
}

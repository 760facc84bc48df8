// What must hold of the endpoint for probes: only a right proof of a fresh script is played, once; every item comes with the right bytes at
// its time; the log and the proxy's own memory say truly how each stream ended; and no proof is seen anywhere.

import Foundation
import ProbeScripts
import TestSupport

@testable import Exchanges
@testable import Reactor
@testable import Telemetry

extension Scenario {
    func checkProbes(_ log: LogView) {
        guard let probes else { return expect(log.probes.isEmpty, "lines about probes, and there are none") }
        let written = Data(lines.bytes)
        expect(!probes.proofs.contains { written.range(of: Data($0.utf8)) != nil }, "the proof of a probe is in the log")
        let byClient = Dictionary(grouping: log.probes) { $0["client"] as? String ?? "" }
        var openCount = 0
        for record in log.probes {
            if record["event"] as? String == "stream_open" { openCount += 1 }
            if record["event"] as? String == "stream_end" { openCount -= 1 }
            expect(openCount <= ProbeRegister.openLimit, "\(openCount) probes are played at once")
            guard let stream = record["stream"] as? String else { continue }
            expect(log.events[stream] == nil, "\(stream): lines about the events of a probe")
        }
        let played = Dictionary(grouping: probes.askings.filter { $0.kind != .seen && $0.response?.status == 200 }) { $0.script.nonce }
        for (nonce, askings) in played { expect(askings.count == 1, "the nonce \(nonce) was played \(askings.count) times") }
        for asking in probes.askings { check(asking, byClient[asking.client] ?? [], byClient, log) }
    }

    private func check(
        _ asking: ProbeAsking, _ records: [[String: Any]], _ all: [String: [[String: Any]]], _ log: LogView
    ) {
        let what = "probe \(asking.script.nonce.prefix(6)) (\(asking.kind), \(asking.client))"
        expect(asking.reader.violation == nil, "\(what): \(asking.reader.violation ?? "")")
        guard !isTurnedAwayUnheard(asking.wire.socket.crowding) else { return }
        let opening = records.first { $0["event"] as? String == "stream_open" }
        let ends = records.filter { $0["event"] as? String != "stream_open" }
        expect(ends.count <= 1, "\(what): \(ends.count) records")
        guard let end = ends.first else { return expect(asking.response == nil, "\(what): answered without a record") }
        let cause = end["cause"] as? String
        world.count("probe: \(asking.kind) \(cause ?? "answered")")
        for line in [opening, end].compactMap({ $0 }) where opening != nil {
            expect(line["route"] as? String == "probe_endpoint", "\(what): the route is \(line["route"] ?? "missing")")
            expect(line["heartbeat_ms"] == nil, "\(what): heartbeats are said to be in it")
        }
        expect((opening != nil) == (end["event"] as? String == "stream_end"), "\(what): an opening and no end, or an end and no opening")
        let holds = log.moments(of: end).contains { isTrue(cause, end, asking, opening != nil, at: $0) }
        expect(holds, "\(what): \(cause ?? "answered") (\(end["evidence"] ?? "")), status \(asking.response?.status ?? 0)")
        if let response = asking.response { checkAnswer(response, asking, what, cause) }
        if opening != nil { checkPlayed(asking, what, end) }
        if asking.kind == .seen, asking.response?.isComplete == true, asking.response?.status == 200 { checkSeen(asking, what, all, log) }
    }

    private func isTrue(_ cause: String?, _ end: [String: Any], _ asking: ProbeAsking, _ isStream: Bool, at moment: Int64) -> Bool {
        // Where the clock is set, a fresh script may be an old one when it comes.
        let isOld = asking.kind == .tooOld || plan.troubles.clock
        switch cause {
        case nil: return asking.kind == .seen
        case "probe_ended":
            let life = asking.script.stays ? ProbeScript.lifeMilliseconds : asking.script.durationMilliseconds
            return mayBePlayed(asking) && moment >= asking.askedAt + Int64(life)
        case "credentials_refused":
            return [.wrongSecret, .otherScript, .noProof].contains(asking.kind) || isOld || isRepeated(asking)
        case "client_protocol_error": return asking.kind == .malformed || asking.kind == .posted
        case "client_closed": return asking.deed != nil
        case "client_reset": return asking.deed != nil
        case "client_stalled", "client_vanished": return world.leapt(between: asking.askedAt, and: moment)
        case "refused_by_limit":
            guard end["refused_by"] as? String == "probe_endpoint" else {
                return isTooMany(asking.wire.socket.crowding) || plan.pendingIsTight
            }
            return openProbes(at: moment) >= ProbeRegister.openLimit
        case "ended_by_operator": return isStream && isWished(end["stream"] as? String ?? "", by: moment)
        case "drained": return isStream && moment >= drainsSince
        case "grace_expired": return moment >= drainsSince
        default: return false
        }
    }

    /// Where the clock is set, an old script may have become a fresh one.
    private func mayBePlayed(_ asking: ProbeAsking) -> Bool {
        asking.kind == .right || asking.kind == .replayed || asking.kind == .tooOld && plan.troubles.clock
    }

    /// Whether another request brought the same nonce. One of them is played, and any of them may overtake the others.
    private func isRepeated(_ asking: ProbeAsking) -> Bool {
        probes?.askings.contains { $0 !== asking && mayBePlayed($0) && $0.script.nonce == asking.script.nonce } ?? false
    }

    /// How many probes may have been played then: those that asked before, and had not ended long ago.
    private func openProbes(at moment: Int64) -> Int {
        let travel = Int64(2 * plan.faults.delayMilliseconds.upperBound) + 100
        return probes?.askings.count { asking in
            asking.askedAt <= moment && (asking.endedAt ?? .max) + travel >= moment && mayBePlayed(asking)
        } ?? 0
    }

    private func checkAnswer(_ response: Response, _ asking: ProbeAsking, _ what: String, _ cause: String?) {
        if cause == "refused_by_limit" { return expect(response.status == 503, "\(what): \(response.status) above a limit") }
        let allowed: Set<Int> =
            switch asking.kind {
            case .right, .replayed:
                Set([200] + (plan.troubles.clock ? [403] : []) + (isRepeated(asking) || plan.troubles.clock ? [409] : []))
            case .wrongSecret, .otherScript, .noProof: [403]
            case .tooOld: plan.troubles.clock ? [200, 403] : [403]
            case .malformed: [400]
            case .posted: [405]
            case .seen: plan.troubles.clock ? [200, 403] : [200]
            }
        expect(allowed.contains(response.status), "\(what): answered \(response.status)")
    }

    // MARK: What is played

    /// The bytes of a script's items, each with the time when it is due, made without the proxy's help.
    private func checkPlayed(_ asking: ProbeAsking, _ what: String, _ end: [String: Any]) {
        guard let response = asking.response else { return }
        let script = asking.script
        let text = String(decoding: response.body, as: UTF8.self)
        // Each item ends with a blank line; nothing else is in the body.
        let items = text.components(separatedBy: "\n\n")
        let gaps = script.parts.flatMap { part in [ProbeScript.Part](repeating: part, count: part.count) }
        expect(items.count - 1 <= gaps.count, "\(what): \(items.count - 1) items of \(gaps.count)")
        let hasLeapt = world.leapt(between: asking.askedAt, and: asking.endedAt ?? world.now)
        let travel = Int64(plan.faults.delayMilliseconds.upperBound)
        let lateness = hasLeapt ? Int64.max / 4 : 2 * TimerWheel.tickMilliseconds + 20
        var due = Int64(script.holdMilliseconds)
        var byteCount = 0
        var hasOpened = false
        for (number, (item, part)) in zip(items.dropLast(), gaps).enumerated() {
            due += Int64(part.gapMilliseconds)
            byteCount += item.utf8.count + 2
            let start = "\(part.isComment ? ":" : "data:") n=\(number) ms="
            guard item.hasPrefix(start), let made = Int64(item.dropFirst(start.count).prefix { $0.isNumber }) else {
                return expect(false, "\(what): item \(number) is \(item.prefix(60))")
            }
            expect(made >= due && made - due <= lateness, "\(what): item \(number) was made after \(made) ms, due after \(due)")
            let isOpening = !part.isComment && !hasOpened
            if isOpening { hasOpened = true }
            expect(!isOpening || isOpeningRight(item, script), "\(what): its first event is \(item)")
            let length = item.utf8.count + 2
            // The first event has to hold what it says of the request, however short it was meant to be.
            expect(part.bytes < length || length == part.bytes, "\(what): item \(number) has \(length) bytes, not \(part.bytes)")
            expect(isOpening || length <= max(part.bytes, 28), "\(what): item \(number) has \(length) bytes")
            guard let came = asking.arrived.first(where: { $0.byteCount >= byteCount })?.at else { continue }
            expect(came >= asking.askedAt + made, "\(what): item \(number) came before it was made")
            // A connection is accepted late where descriptors are missing, and TLS takes turns of its own.
            let isPrompt = !hasLeapt && plan.faults.acceptExhausted == 0 && plan.faults.spuriousEAGAIN == 0 && !plan.isSecuredDownstream
            let isLate = isPrompt && !plan.troubles.limits && end["max_pending_bytes"] as? Int == 0 && !plan.takesProxyProtocol
            expect(
                !isLate || came <= asking.askedAt + made + 3 * travel + 40,
                "\(what): item \(number), made after \(made) ms, came \(came - asking.askedAt) ms after the request")
        }
        let cause = end["cause"] as? String
        if cause == "probe_ended", response.isComplete {
            expect(items.count - 1 == gaps.count && items.last == "", "\(what): played \(items.count - 1) items of \(gaps.count)")
            world.count("whole script played")
        }
        let isInOrder = ["probe_ended", "drained", "ended_by_operator"].contains(cause)
        expect(!response.isComplete || isInOrder, "\(what): \(cause ?? ""), and the client was told that this is all")
        expect(!response.isComplete || end["bytes_to_client"] as? Int == response.body.count, "\(what): other bytes in the log")
        let events = items.dropLast().count { $0.hasPrefix("data:") }
        expect(!response.isComplete || end["events"] as? Int == events, "\(what): \(end["events"] ?? 0) events in the log, not \(events)")
        expect(
            (response["x-accel-buffering"] == "no") == script.forbidsBuffering && response.isEventStream,
            "\(what): the head is \(response.fields)")
    }

    private func isOpeningRight(_ item: String, _ script: ProbeScript) -> Bool {
        let lines = item.components(separatedBy: "\n")
        return lines.contains("data: nonce=\(script.nonce)") && lines.contains("data: heartbeat=\(plan.heartbeatMilliseconds)")
            && lines.contains { $0.hasPrefix("data: field cookie=") && !$0.contains("hidden") }
            && lines.contains { $0.hasPrefix("data: field x-heartwire-probe=") }
            && !(probes?.proofs.contains { item.contains($0) } ?? false)
    }

    // MARK: What is remembered

    /// What the proxy says of a nonce is what its log says of it, whichever worker and settings played it.
    private func checkSeen(_ asking: ProbeAsking, _ what: String, _ all: [String: [[String: Any]]], _ log: LogView) {
        let nonce = asking.script.nonce
        let text = String(decoding: asking.response?.body ?? [], as: UTF8.self)
        guard let read = ProbeSighting.read(Substring(text), nonce: nonce) else { return expect(false, "\(what): told \(text)") }
        let played = probes?.askings.filter { $0.script.nonce == nonce && $0.kind != .seen && $0.askedAt <= asking.askedAt } ?? []
        guard let sighting = read else {
            let shown = played.first { $0.response?.status == 200 && $0.arrived.first.map { $0.at <= asking.askedAt } == true }
            return expect(shown == nil, "\(what): not known, and it was played")
        }
        let ends = played.flatMap { all[$0.client] ?? [] }.filter { $0["event"] as? String != "stream_open" }
        if let ended = sighting.endedAfterMilliseconds {
            world.count("how a probe ended is told")
            let isSame = ends.contains { $0["cause"] as? String == sighting.cause && ($0["duration_ms"] as? NSNumber)?.int64Value == ended }
            expect(isSame, "\(what): told \(text), and the log says \(ends)")
        }
        let items = played.map { $0.script.itemCount }.max() ?? 0
        let known =
            played.map { asked in
                let count = asked.arrived.last { $0.at <= asking.askedAt }?.byteCount ?? 0
                return String(decoding: (asked.response?.body ?? []).prefix(count), as: UTF8.self).components(separatedBy: "\n\n").count - 1
            }.max() ?? 0
        expect((min(known, items)...items).contains(sighting.items), "\(what): told \(sighting.items) items, \(known) came of \(items)")
    }
}

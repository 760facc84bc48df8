// The proxy as the source of a stream, for probes: it plays what a script says, and no heartbeat is woven in. Everything happens at a
// deadline: the hold before the head, each item, the end. Invariant: such a stream lives an hour at most.

import Downstreams
import EventStream
import HTTP
import ProbeScripts
import Reactor
import Telemetry

/// A script that is being played.
final class ProbeSource {
    /// What logs show in place of a route.
    static let routeName = "probe_endpoint"
    /// The fields whose values a probe is shown. All others are shown by name alone: their values may be secret.
    private static let shownFields: Set<String> = [
        "accept", "accept-encoding", "connection", "te", "via", "x-forwarded-proto", "x-forwarded-for", "x-real-ip",
        "x-envoy-expected-rq-timeout-ms",
    ]
    private static let shownBytes = 160

    let script: ProbeScript
    var playback: ProbePlayback
    /// What the first event says of the request.
    let opening: [String]
    /// The name by which the proxy remembers how it ended.
    var nonce: String { script.nonce }

    init(_ script: ProbeScript, head: RequestHead, speaksHTTP2: Bool, heartbeatMilliseconds: Int?) {
        self.script = script
        playback = ProbePlayback(script)
        var lines = ["nonce=\(script.nonce)", speaksHTTP2 ? "http=2" : "http=1.\(head.minorVersion)"]
        if let heartbeatMilliseconds { lines.append("heartbeat=\(heartbeatMilliseconds)") }
        for field in head.fields {
            let name = String(decoding: head.bytes[field.name].prefix(Self.shownBytes), as: UTF8.self).lowercased()
            let value =
                Self.shownFields.contains(name) ? String(decoding: head.bytes[field.value].prefix(Self.shownBytes), as: UTF8.self) : ""
            lines.append("field \(name)=\(value)")
        }
        opening = lines
    }
}

extension Exchange {
    /// Answers a request to the endpoint for probes.
    func answerProbe(_ head: RequestHead, _ access: ProbeAccess) {
        if let limit = sink?.exceededLimit { return refuse(proxy.refusal(of: .tooMany(limit))) }
        do throws(ProbeRefusal) {
            switch try access.wish(of: head, unixSeconds: proxy.worker.kernel.unixMilliseconds() / 1_000) {
            case .seen(let nonce): tellSighting(of: nonce)
            case .play(let script):
                try beginPlaying(
                    ProbeSource(
                        script, head: head, speaksHTTP2: sink?.client.speaksHTTP2 ?? false,
                        heartbeatMilliseconds: access.heartbeatMilliseconds))
            }
        } catch {
            refuse(error.refusal)
        }
    }

    private func tellSighting(of nonce: String) {
        var text = ProbeSighting.unknownLine(nonce: nonce)
        if let record = proxy.shared.probes.record(of: nonce) {
            let end = record.endedAt ?? now
            let sighting = ProbeSighting(
                endedAfterMilliseconds: record.endedAt.map { $0 - record.startedAt }, cause: record.cause?.rawValue,
                side: record.cause?.side.rawValue, silenceMilliseconds: end - record.lastSentAt, items: record.items)
            text = sighting.line(nonce: nonce)
        }
        var response = OutgoingResponse(status: 200)
        response.body = .whole(Array(text.utf8))
        response.fields.field("Content-Type", "text/plain; charset=utf-8")
        finishProbeHead(&response)
        account.status = 200
        account.bytesToClient += UInt64(text.utf8.count)
        finish(nil, .complete, answer: response)
    }

    private func finishProbeHead(_ response: inout OutgoingResponse) {
        response.fields.field("Cache-Control", "no-store, no-transform")
        response.fields.date(date)
        if let seconds = sink?.strictTransportSecuritySeconds { response.fields.strictTransportSecurity(seconds) }
    }

    private func beginPlaying(_ probe: ProbeSource) throws(ProbeRefusal) {
        switch proxy.shared.probes.open(probe.nonce, now: now) {
        case .admitted: break
        case .full: throw .full
        case .known: throw .known
        }
        replaceSource(by: .probe(probe))
        notWovenBecause = .heartbeatOff
        sink?.wake(atMilliseconds: now + Int64(probe.script.holdMilliseconds))
    }

    /// Does what the script says for now; returns the next deadline.
    func play(_ probe: ProbeSource, now: Int64) -> Int64 {
        let elapsed = now - account.startedAt
        guard let sink else { return .max }
        if case .deciding = phase {
            let hold = Int64(probe.script.holdMilliseconds)
            guard elapsed >= hold else { return account.startedAt + hold }
            sendProbeHead(probe, to: sink)
        }
        while let due = probe.playback.nextAt, due <= elapsed { sendItem(of: probe, elapsed, to: sink) }
        if let next = probe.playback.nextAt { return account.startedAt + next }
        let end = probe.script.stays ? account.startedAt + Int64(ProbeScript.lifeMilliseconds) : now
        guard now >= end else { return end }
        sink.send(own: [], isLast: true)
        finish(Ending(cause: .probeEnded, evidence: "the script of a probe was played to its end"), .complete)
        return .max
    }

    private func sendProbeHead(_ probe: ProbeSource, to sink: Sink) {
        var response = OutgoingResponse(status: 200)
        response.body = .untilEnd
        response.fields.field("Content-Type", "text/event-stream")
        if probe.script.forbidsBuffering { response.fields.field("X-Accel-Buffering", "no") }
        finishProbeHead(&response)
        account.status = 200
        enter(.streaming)
        sink.begin(response)
        streamBegan(heldBecause: nil)
        proxy.shared.probes.sent(probe.nonce, items: 0, now: now)
    }

    private func sendItem(of probe: ProbeSource, _ elapsed: Int64, to sink: Sink) {
        var bytes: [UInt8] = []
        probe.playback.writeNext(at: elapsed, opening: probe.opening, to: &bytes)
        let events = weaver.scanner.eventCount
        _ = weaver.receive(bytes.span)
        if events == 0, weaver.scanner.eventCount > 0 { account.noteFirstEvent(now: now) }
        account.sentToClient(bytes.count, now: now)
        if !sink.send(own: bytes) { noteWaiting(sink.waitingCount) }
        proxy.shared.probes.sent(probe.nonce, items: probe.playback.count, now: now)
    }
}

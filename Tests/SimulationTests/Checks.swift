// What must hold at the end of a run: the same events, no truncated body taken for a whole one, no silence, no EventSource stopped
// without need, everything released, and every client served again when the trouble is over. CauseChecks.swift compares the log with
// the truth. Invariant: a check is left out for a case only with the reason written beside it.

import Configuration
import Foundation
import ReferenceEventSource
import TestSupport

@testable import Downstreams
@testable import Exchanges
@testable import Proxy
@testable import Reactor
@testable import Upstreams

extension Scenario {
    func expect(_ condition: Bool, _ what: @autoclosure () -> String) {
        if !condition { outcome.problems.append(what()) }
    }

    func checkEverything() {
        outcome.problems += world.problems
        let records = lines.records.map { record in
            var record = record
            tamper(&record)
            return record
        }
        let log = LogView(records, kernel)
        for client in clients + [probe].compactMap({ $0 }) { check(client, log) }
        for source in eventSources { check(source, log) }
        checkProbe()
        checkBound()
        for truth in truths.values { checkArrivals(truth) }
        check(log)
        checkWishes(log)
        checkDiagnosis(log)
        checkEvents(log)
        checkRecordings(log)
        checkProbes(log)
        checkFields(log)
        checkCrowd(log)
        checkMetrics(log)
        checkCredentials(log)
        checkTokenEnds(log)
        checkForwardAuth(log)
        checkTickets(log)
        checkCrossOrigin(log)
    }

    // MARK: Released resources

    func check(_ worker: Worker) {
        expect(worker.endpointCount == 0, "\(worker.endpointCount) endpoints are left")
        expect(worker.wheel.armedCount == 0, "\(worker.wheel.armedCount) deadlines are left")
        expect(worker.pendingBytes == 0, "\(worker.pendingBytes) bytes are said to wait after the end")
    }

    func check(_ shared: SharedState) {
        for server in groups.flatMap(\.servers) {
            expect(server.activeCount == 0, "\(server.name) has \(server.activeCount) exchanges after the end")
            expect(server.idleCount == 0, "\(server.name) has idle connections after the end")
        }
        expect(shared.counts.connectionCount == 0, "\(shared.counts.connectionCount) connections are counted after the end")
    }

    /// All waiting bytes together exceed their limit by no more than one read and its framing.
    private func checkBound() {
        let limit = plan.configuration.limits.pendingBytes / plan.workerCount + 2 * Worker.scratchBytes
        expect(greatestPendingBytes <= limit, "\(greatestPendingBytes) bytes waited at once")
        // Bytes that came with a head are one read of the full size, whatever may wait later.
        let ofLink = Worker.scratchBytes + 16_384
        expect(greatestPendingOfLink <= ofLink, "\(greatestPendingOfLink) bytes waited for one peer")
    }

    // MARK: What servers received

    private func checkArrivals(_ truth: Truth) {
        let posts = truth.arrivals.filter(\.isPOST).count
        expect(posts <= 1, "\(truth.path): came to servers \(posts) times, and is not safe to repeat")
        checkClaim(truth)
        guard truth.arrivals.contains(where: \.isByImpostor) else { return }
        let mayBe = plan.configuration.upstreams[0].tls?.isVerified == false && truth.askedAt ?? .max <= stricterSince ?? .max
        expect(
            mayBe,
            """
            \(truth.path): came to a server that could not prove who it is, asked at \(truth.askedAt ?? 0), verified since \
            \(stricterSince ?? 0)
            """
        )
    }

    /// A client's word about another client reaches servers exactly while the configuration trusts the client.
    private func checkClaim(_ truth: Truth) {
        guard let askedAt = truth.askedAt, !truth.arrivals.isEmpty else { return }
        let isClaimed = truth.arrivals.contains(where: \.isClaimed)
        let ofEventSource = truth.path.hasPrefix("/es/")
        if isClaimed {
            world.count("a client names another")
            expect(
                plan.trustsClients && ofEventSource && askedAt <= stricterSince ?? .max,
                "\(truth.path): asked at \(askedAt), its word about another client was passed on, stricter since \(stricterSince ?? 0)")
        } else {
            let mayBeDropped = truth.arrivals.allSatisfy { $0.cameAt >= reloadedAt ?? .max }
            expect(
                !plan.trustsClients || !ofEventSource || mayBeDropped,
                "\(truth.path): the word of a trusted client about another one was not passed on")
        }
    }

    // MARK: What clients received

    private func check(_ client: SimulatedClient, _ log: LogView) {
        // An answer without a request is reported before the request was read: to HEAD it looks like two answers.
        expect(
            client.reader.violation == nil || isTurnedAwayUnheard(client.crowding),
            "\(client.truths[0].path): \(client.reader.violation ?? "")")
        for (truth, response) in zip(client.truths, client.reader.responses) {
            if isTurnedAwayUnheard(client.crowding) || isGivenUp(truth, response) { continue }
            checkRecordCount(truth, log)
            checkStatus(truth, response, log)
            guard response.status == 200 else { continue }
            if truth.isStream { checkStream(truth, response, log, isDone: client.isDone) } else { checkBody(truth, response) }
        }
    }

    /// Where the clock leaps while a request is on its way, its time may be over before it is read.
    private func isGivenUp(_ truth: Truth, _ response: Response) -> Bool {
        response.status == 408 && world.leapt(between: truth.askedAt ?? 0, and: truth.heardAt ?? world.now)
    }

    /// Every answered client is in the log once.
    private func checkRecordCount(_ truth: Truth, _ log: LogView) {
        let count = log.records(of: truth.path).count
        expect(count == 1, "\(truth.path): \(count) records for a request that was answered")
    }

    /// A status that the proxy did not choose, and has no cause for, is the server's.
    private func checkStatus(_ truth: Truth, _ response: Response, _ log: LogView) {
        guard let record = log.records(of: truth.path).first, record["cause"] == nil, truth.crossOrigin?.isPreflight != true else { return }
        let status = truth.present?.answer?.status
        expect(response.status == status, "\(truth.path): answered \(response.status), and its server answered \(status ?? 0)")
    }

    private func checkBody(_ truth: Truth, _ response: Response) {
        // The proxy itself may answer a client that accepts a stream; no server of this world answers that path.
        if response.isEventStream {
            let events = withoutOwn(ReferenceEventSource(reading: response.body)).events
            return expect(events.isEmpty, "\(truth.path): \(events.count) events in a stream of the proxy's own")
        }
        let isPrefix = response.body.count <= truth.body.count && response.body.elementsEqual(truth.body.prefix(response.body.count))
        expect(isPrefix, "\(truth.path): the body is not what was sent")
        if response.isComplete {
            expect(truth.present?.deeds.contains(.finished) == true, "\(truth.path): a body without its end passes for a whole one")
        }
        if response.isComplete, truth.present?.isTruncated != true {
            expect(response.body.count == truth.body.count, "\(truth.path): a body that was cut passes for a whole one")
        }
    }

    // MARK: Streams

    /// What an EventSource read, without the proxy's own events.
    func withoutOwn(_ read: ReferenceEventSource) -> ReferenceEventSource {
        var read = read
        if let heartbeatName = plan.heartbeatName { read = read.without(type: heartbeatName) }
        if case .event(let name)? = plan.early?.onFailure { read = read.without(type: name) }
        if plan.credentials != nil {
            read = read.without(type: CredentialChecks.expiryEvent).without(type: CredentialChecks.warningEvent)
        }
        return read
    }

    private func checkStream(_ truth: Truth, _ response: Response, _ log: LogView, isDone: Bool) {
        let ending = log.ending(of: truth.path)
        if response["content-encoding"] != nil { return checkCompressed(truth, response) }
        let bytesSent = truth.present?.answer?.isStream == true ? truth.body : []
        checkForm(truth, response, sent: bytesSent)
        let read = ReferenceEventSource(reading: response.body, after: truth.lastEventID)
        let sent = ReferenceEventSource(reading: idOfWarning(read, truth) + bytesSent, after: truth.lastEventID)
        let got = withoutOwn(read)
        let isPrefix = got.events.count <= sent.events.count && got.events.elementsEqual(sent.events.prefix(got.events.count))
        expect(isPrefix, "\(truth.path): other events than were sent: \(got.events.count) of \(sent.events.count)\(difference(sent, got))")
        let isKnownID = sent.boundaries.contains { $0.eventCount == got.events.count && $0.lastEventID == got.lastEventID }
        expect(
            !isPrefix || isKnownID,
            """
            \(truth.path): the last event id is '\(String(decoding: got.lastEventID, as: UTF8.self))', which it never was; sent \
            …\(tail(bytesSent)), got …\(tail(response.body))
            """)
        let cause = ending?["cause"] as? String
        if response.isComplete {
            checkRetry(ending, truth, read: read.reconnectionTimeMilliseconds)
            checkPlaceOfEnd(truth, response.body, read, ending)
        }
        if response.isComplete, response["content-length"] == nil, cause == nil {
            expect(false, "\(truth.path): a whole stream has no end in the log")
        }
        // A slow reader may still be reading when the world ends, or be too slow for the rest. Where only a reset tells a client that
        // something is missing, the reset costs it what was still on its way.
        let isCut = cause == "upstream_cut_off" && !truth.isSlow && response["transfer-encoding"] == "chunked"
        let isWhole = cause == "upstream_finished" && (response.isComplete || !truth.isSlow)
        guard truth.clientDeed == nil, isDone, truth.present?.isTruncated == false, isWhole || isCut else { return }
        expect(
            got.events.count == sent.events.count,
            """
            \(truth.path): \(cause!), and \(sent.events.count - got.events.count) events were lost; sent …\(tail(truth.body)), got \
            …\(tail(response.body))
            """
        )
        expect(got.lastEventID == sent.lastEventID, "\(truth.path): \(cause!), and the last event id is another one")
        expect(
            got.reconnectionTimeMilliseconds == sent.reconnectionTimeMilliseconds,
            "\(truth.path): \(cause!), and the reconnection time is another one")
        let counted = ending?["events"] as? Int
        expect(counted == sent.events.count, "\(truth.path): \(counted ?? -1) events in the log, \(sent.events.count) were sent")
        expect(response.isComplete == (cause == "upstream_finished"), "\(truth.path): \(cause!), and the client was told otherwise")
    }

    private func checkCompressed(_ truth: Truth, _ response: Response) {
        let isPrefix = response.body.count <= truth.body.count && response.body.elementsEqual(truth.body.prefix(response.body.count))
        expect(isPrefix, "\(truth.path): compressed bytes were changed")
    }

    private func tail(_ bytes: [UInt8]) -> String { String(decoding: bytes.suffix(50), as: UTF8.self).debugDescription }

    private func difference(_ sent: ReferenceEventSource, _ got: ReferenceEventSource) -> String {
        guard let index = zip(sent.events, got.events).enumerated().first(where: { $0.element.0 != $0.element.1 })?.offset else {
            return ""
        }
        func text(_ event: ReferenceEventSource.Event) -> String {
            [event.type, Array(event.data.prefix(60)), event.lastEventID].map { String(decoding: $0, as: UTF8.self) }.joined(separator: "/")
        }
        return "; number \(index) is \(text(got.events[index])), not \(text(sent.events[index]))"
    }

    // MARK: EventSources

    private func check(_ source: SimulatedEventSource, _ log: LogView) {
        for attempt in source.attempts {
            expect(attempt.violation == nil, "\(attempt.truth.path): \(attempt.violation ?? "")")
            guard let response = attempt.response, !isGivenUp(attempt.truth, response) else { continue }
            if !isTurnedAwayUnheard(attempt.crowding) { checkRecordCount(attempt.truth, log) }
            guard response.status == 200, response.isEventStream else {
                checkDeath(attempt, response, source, log)
                continue
            }
            checkStream(attempt.truth, response, log, isDone: attempt.endedAt != nil)
            checkSilence(attempt, response, log)
            checkVanishing(attempt, response, log)
            checkCookie(attempt, response)
            checkPermission(attempt, response, source)
        }
    }

    /// Only a server's own answer, or a route that refuses, ends an EventSource.
    private func checkDeath(_ attempt: SimulatedEventSource.Attempt, _ response: Response, _ source: SimulatedEventSource, _ log: LogView) {
        // Where streams share connections, one that was perhaps too many may have been served.
        if isTurnedAwayUnheard(attempt.crowding), response.status == 503 || !plan.speaksHTTP2 {
            return expect(response.status == 503, "\(attempt.truth.path): \(response.status) for one too many")
        }
        // Only the server could say whether it may be held at all.
        let isUnnamed = attempt.truth.credentials?.ticket?.origin == TicketPlan.foreigner
        let isSpared = plan.outage != .refuse && !(source.manner.isForeign && source.manner.hasCookie) && !isUnnamed
        let answer = attempt.truth.present?.answer
        let isServers = answer?.status == response.status && answer?.isStream == false
        let cause = log.records(of: attempt.truth.path).first?["cause"] as? String
        // What the client is told of its credentials is checked elsewhere.
        if cause == "credentials_refused" || cause == "revoked", response.isRefusal { return }
        // It has sent Authorization, and can read a status.
        if cause == "authorization_unavailable", attempt.truth.credentials?.isEventSource == false { return }
        let isOutage = plan.outageAnswers.contains(response.status)
        let isOwn = (502...504).contains(response.status) && (!isSpared || isOfBrokenServers(attempt, response, cause))
        expect(
            isServers && !(isOutage && isSpared) || isOwn,
            """
            \(attempt.truth.path): an EventSource was killed by \(response.status) (\(cause ?? "passed on")); its server \
            \(answer.map { "answered \($0.status)" } ?? "answered nothing")
            """
        )
    }

    /// Whether servers broke HTTP's rules twice, so that waiting would not have helped.
    private func isOfBrokenServers(_ attempt: SimulatedEventSource.Attempt, _ response: Response, _ cause: String?) -> Bool {
        guard response.status == 502, let endedAt = attempt.endedAt, cause == "upstream_protocol_error" || cause == "upstream_tls_error"
        else { return false }
        let arrivals = attempt.truth.arrivals.filter { $0.deeds.contains(.babbled) || $0.deeds.contains(.brokeTLS) }.count
        let handshakes = servers.flatMap(\.spoiltHandshakes).filter {
            ($0.kind == .impostor || $0.kind == .nonsense) && $0.at >= attempt.beganAt && $0.at <= endedAt
        }.count
        return arrivals + handshakes >= 2
    }

    /// A cookie that a server set with its stream arrived, unless the route prefers early answers.
    private func checkCookie(_ attempt: SimulatedEventSource.Attempt, _ response: Response) {
        guard attempt.truth.present?.answer?.setsCookie == true, plan.early == nil, response["set-cookie"] == nil else { return }
        let events = withoutOwn(attempt.read).events
        expect(events.isEmpty, "\(attempt.truth.path): \(events.count) events came without the cookie that came with them")
    }

    /// What the proxy lets a page of another origin read did not come from a server.
    private func checkPermission(_ attempt: SimulatedEventSource.Attempt, _ response: Response, _ source: SimulatedEventSource) {
        guard response["access-control-allow-origin"] != nil, !attempt.truth.path.hasPrefix(TicketPlan.path) else { return }
        expect(source.manner.isForeign, "\(attempt.truth.path): leave to read was given to a page of the same origin")
        let events = withoutOwn(attempt.read).events
        expect(events.isEmpty, "\(attempt.truth.path): \(events.count) events of a server's were opened to a page of another origin")
    }

    /// No silence longer than the heartbeat and a tick, where a heartbeat could stand and the client read.
    private func checkSilence(_ attempt: SimulatedEventSource.Attempt, _ response: Response, _ log: LogView) {
        let truth = attempt.truth
        guard response["content-length"] == nil, response["content-encoding"] == nil, !truth.isSlow, truth.clientDeed != .vanished else {
            return
        }
        let end = attempt.endedAt ?? world.now
        if world.leapt(between: attempt.beganAt, and: end) { return }
        let inLine = truth.arrivals.map(\.longestPauseInLine).max() ?? 0
        let delay = 4 * world.faults.delayMilliseconds.upperBound
        // A stream of HTTP/2 whose window is used up waits until its client gives it back.
        let late = truth.wire?.lateMilliseconds ?? 0
        let allowed = plan.heartbeatMilliseconds + 2 * Int(TimerWheel.tickMilliseconds) + delay + late
        guard inLine < Int64(plan.heartbeatMilliseconds - delay) else { return }
        expect(
            attempt.longestSilence <= Int64(allowed),
            "\(truth.path): silent for \(attempt.longestSilence) ms with a heartbeat of \(plan.heartbeatMilliseconds) ms")
    }

    /// The next heartbeat finds a vanished client, because the client does not acknowledge it.
    private func checkVanishing(_ attempt: SimulatedEventSource.Attempt, _ response: Response, _ log: LogView) {
        let truth = attempt.truth
        guard truth.clientDeed == .vanished, let vanishedAt = attempt.endedAt, response["content-encoding"] == nil else { return }
        guard let ending = log.ending(of: truth.path) else { return }
        let noticed = Int64(plan.heartbeatMilliseconds + plan.configuration.timeouts.clientStallMilliseconds)
        let allowed = vanishedAt + 2 * noticed + 1_000
        // Where no heartbeat can stand, the kernel's own probes find it in time.
        if world.leapt(between: attempt.beganAt, and: allowed) || truth.arrivals.contains(where: { $0.longestPauseInLine > 0 }) { return }
        expect(
            log.moments(of: ending).contains { $0 <= allowed },
            "\(truth.path): its client vanished at \(vanishedAt), noticed \(log.moments(of: ending))")
    }

    // MARK: When the trouble is over

    private func checkProbe() {
        let response = probe?.reader.responses.first
        let answer = "\(response?.status ?? 0), \(response?.isComplete == true ? "whole" : "not whole")"
        expect(response?.status == 200 && response?.isComplete == true, "after the trouble a new client is not served: \(answer)")
    }

    /// Every living client has a server again.
    func checkContentment() {
        for source in eventSources where !source.isContent(since: calmSince) {
            let last = source.attempts.last
            outcome.problems.append(
                """
                \(last?.truth.path ?? ""): no server \(world.now - calmSince) ms after the trouble; \(source.attempts.count) \
                attempts, the last \(world.now - (last?.beganAt ?? 0)) ms ago, \(last?.response?.status ?? 0)
                """
            )
        }
    }
}

// How a kept stream asks its server again: it looks for a server as a request does, sends its own, and judges the answer.
//
//     tryAgain ──▶ connect ──reached──▶ the request, behind the server's last id ──▶ answered ──▶ read, or held in an overlap
//        ▲            │ not reached                                                    │ another answer than the stream
//        └── again ◀──┴──────────────── unserved ◀─────────────────────────────────────┴──▶ over
//
// Invariant: an id of the proxy's never goes to a server.

import Configuration
import EventStream
import HTTP
import Reactor
import Telemetry
import Upstreams

extension StreamFeed {
    func tryAgain(_ masking: Masking) {
        masking.findServers(of: proxy.generation)
        let group = masking.group
        if masking.failure != nil, pin == nil {
            // Of all who wait for a failed server, one tries it for all (half-open probe).
            if let next = group.nextLook(now: now, failedAt: masking.failedAt, path: masking.request.pathHash) {
                return wait(masking, until: next + Int64(proxy.chance(below: UInt64(CircuitBreaker.spreadMilliseconds))))
            }
            let handshake = group.security.context == nil ? 0 : handshakeMilliseconds
            masking.probe = HalfOpenProbe(
                of: group.servers, now: now, patienceMilliseconds: Int64(group.upstream.connectTimeoutMilliseconds) + handshake)
            masking.search = ServerSearch(isWaiting: true, probe: masking.probe)
        }
        masking.attempts = 0
        connect(masking)
    }

    private func connect(_ masking: Masking) {
        if let pin { return connect(masking, to: pin) }
        let group = masking.group
        while masking.attempts < ServerSearch.attemptLimit, let candidate = masking.search.next(in: group, now: now) {
            masking.attempts += 1
            guard let address = candidate.address else {
                masking.count(.nameNotResolved, candidate.server, proxy.counters)
                masking.search.failed(.nameNotResolved, server: candidate.server, in: group, now: now)
                continue
            }
            let connection = UpstreamConnection(worker: proxy.worker, group: group, server: group.servers[candidate.server])
            let part = ServerPart(connection, of: self, eventLimit: eventLimit)
            do {
                state = .asking(part, masking)
                try connection.connect(to: address, for: part)
                stream.wakeAtDeadline()
                return
            } catch {
                let seen = SeenFailure(connecting: error, withinMilliseconds: group.upstream.connectTimeoutMilliseconds)
                if error.meansExhausted {
                    masking.count(.exhausted, candidate.server, proxy.counters)
                    return again(masking, seen)
                }
                masking.count(AttemptResult(seen.failure), candidate.server, proxy.counters)
                masking.search.failed(seen, server: candidate.server, in: group, now: now)
            }
        }
        again(masking, masking.search.lastFailure)
    }

    /// A connection to a server stands.
    func reached(_ part: ServerPart) {
        guard case .asking(let present, let masking) = state, present === part else { return }
        masking.count(.connected, masking.server, proxy.counters)
        if pin == nil { masking.search.succeeded(in: masking.group) }
        masking.overlap = nil
        if let old = masking.old {
            let overlap = Overlap(greetings: terms.greetings, eventLimit: eventLimit, said: memory?.said)
            masking.overlap = overlap
            old.overlap = overlap
        }
        masking.probe = masking.probe?.reached(
            part.connection.server, now: now, patienceMilliseconds: Int64(masking.group.upstream.connectTimeoutMilliseconds))
        let identifier = identifier
        part.isBehindIdentifier = !identifier.isEmpty
        part.connection.sendRequest(
            masking.request.head(for: part.connection.server, after: identifier), method: .get, framing: .none,
            asksForUpgrade: false, isWhole: true)
    }

    /// The server's last id, or before its first block the one that it was asked for: where it goes on.
    var identifier: [UInt8] { memory?.lastIdentifier ?? stream.log.lastServerIdentifier }

    /// A server could not be reached.
    func notReached(_ part: ServerPart, _ seen: SeenFailure) {
        guard case .asking(let present, let masking) = state, present === part else { return }
        masking.count(AttemptResult(seen.failure), masking.server, proxy.counters)
        if pin != nil {
            part.leave()
            return again(masking, seen)
        }
        masking.search.failed(seen, server: masking.search.server, in: masking.group, now: now)
        connect(masking)
    }

    /// A server was reached and did not serve the stream.
    func unserved(_ part: ServerPart, _ masking: Masking, _ seen: SeenFailure) {
        if pin == nil {
            masking.group.noteUnserved(part.connection.server, isProbe: masking.probe != nil, path: masking.request.pathHash, now: now)
        }
        part.leave()
        again(masking, seen)
    }

    func again(_ masking: Masking, _ seen: SeenFailure) {
        masking.failed(seen, now: now)
        wait(masking, until: now + pause(after: UInt64(shortResponses) + masking.failureCount))
    }

    /// A server has answered.
    func answered(_ part: ServerPart, _ head: ResponseHead, _ framing: BodyFraming) {
        guard case .asking(let present, let masking) = state, present === part else { return }
        // The stream may be forgotten below, and its feed with it.
        let stream = self.stream
        if masking.request.isOutage(status: head.status) {
            return unserved(part, masking, SeenFailure(.outageAnswer, evidence: "the server answered \(head.status)"))
        }
        if masking.search.isWaiting { part.connection.server.served(now: now) }
        masking.probe?.end()
        masking.probe = nil
        // A server may forbid in any response that others read it.
        let isForOne = terms.policy.share != nil && head.notSharedBecause(terms.sharedFields) != nil
        let isForAll = !stream.isShared || !isForOne
        guard head.isEventStream, head.status == 200, framing != .none, head.contentEncodingIsIdentity, isForAll else {
            masking.answer = head.status
            if masking.old == nil, stream.isRead(besides: self) || stream.mayBeServed(besides: self) {
                return unserved(part, masking, SeenFailure(.outageAnswer, evidence: "the server answered \(head.status)"))
            }
            part.leave()
            if let old = masking.old { return goOn(with: old) }
            for feed in stream.feeds where feed !== self { feed.endWithAnswer() }
            return finish(.answered(status: head.status))
        }
        if isForOne { stream.hideFromOthers() }
        guard stream.isOpen else { return }
        part.connection.readAtMost(bytes: limits.pendingBytesPerStream)
        beginProbing(part)
        beganAt = now
        if let old = masking.old, let overlap = masking.overlap { return overlaps(old, part, overlap) }
        memory?.hasBeenRead = true
        if masking.isFirst, stream.isRead(besides: self) { return read(part) }
        if let overlap = masking.overlap {
            overlap.goesOn(in: stream.log, now: now)
            part.recognition = .aligned(overlap)
        } else {
            part.recognition = .replays(ReplayFilter(greetings: terms.greetings, said: memory?.said))
        }
        let isRecycled = masking.isRecycling && masking.failure == nil
        if !isRecycled { proxy.counters.add(.streamMasks, MaskOutcome.resumed) }
        read(part)
        stream.goesOn(with: part, isRecycled ? .recycled : .masked(milliseconds: now - masking.since), isWhole: false)
    }

    /// From now on the stream is read from this response.
    func read(_ part: ServerPart) {
        if isPaused { part.connection.pause(for: .slowClient) }
        state = .reading(part)
        planRecycling()
    }
}

// What must hold where a service is asked: no server gets a request before the service lets it pass, and each gets exactly the fields of
// that answer; everybody is refused as the service said, and nobody else; streams end when it takes its word back; and it is not asked more
// often than it has to be. Invariant: the truth about an answer is what the service remembers of it.

import Foundation
import ReferenceEventSource
import TestSupport

@testable import Reactor

/// A request about which a service is asked.
private struct AskedRequest {
    let session: Session
    let method: String
    let path: String
    let askedAt: Int64
    /// Whether it gets the status only.
    let isPlain: Bool

    init(_ session: Session, _ method: String, _ path: String, askedAt: Int64, isPlain: Bool) {
        (self.session, self.method, self.path, self.askedAt, self.isPlain) = (session, method, path, askedAt, isPlain)
    }

    /// Nil where no service is asked.
    init?(_ truth: Truth) {
        guard let session = truth.session, let askedAt = truth.askedAt else { return nil }
        let method = truth.path.dropFirst(ForwardAuthPlan.path.count).prefix { $0 != "/" }
        self.init(
            session, ["head", "post"].contains(method) ? method.uppercased() : "GET", truth.path, askedAt: askedAt,
            isPlain: truth.isPlainlyRefused)
    }

    init(_ visit: Guest.Visit) { self.init(visit.session, "GET", visit.path, askedAt: visit.askedAt, isPlain: visit.isPlain) }
}

extension ServiceAnswer.Kind {
    fileprivate var hasCookie: Bool {
        switch self {
        case .allowed(_, _, let hasCookie), .redirected(_, let hasCookie): hasCookie
        case .denied, .failed: false
        }
    }
}

extension Scenario {
    func checkForwardAuth(_ log: LogView) {
        guard let rules = plan.forwardAuth, let service = authService else { return }
        for truth in truths.values {
            for arrival in truth.arrivals { checkAsked(arrival, truth, service, rules) }
        }
        var cookies: [String] = []
        for client in clients where !isTooMany(client.crowding) {
            for (truth, response) in zip(client.truths, client.reader.responses) {
                if let request = AskedRequest(truth) { check(response, of: request, heard: truth.heardAt, service, rules, &cookies) }
            }
        }
        for attempt in eventSources.flatMap(\.attempts) where !isTooMany(attempt.crowding) {
            guard let response = attempt.response, let request = AskedRequest(attempt.truth) else { continue }
            check(response, of: request, heard: attempt.truth.heardAt, service, rules, &cookies)
        }
        for visit in guests.flatMap(\.visits) where !isTooMany(visit.crowding) {
            guard let response = visit.response else { continue }
            check(response, of: AskedRequest(visit), heard: visit.heardAt, service, rules, &cookies)
        }
        expect(Set(cookies).count == cookies.count, "a cookie of the service's was given to two clients: \(cookies.sorted())")
        for record in log.records where record["event"] as? String != "stream_open" { checkCause(record, log, service, rules) }
        checkLives(log, service, rules)
        checkQuestions(service, rules)
        let isSecret = Data(lines.bytes).range(of: Data(SimulatedAuthService.mark.utf8)) == nil
        expect(isSecret, "the log holds what names a session")
    }

    /// How long something small travels in both directions, with all that may keep it a little.
    private var wayMilliseconds: Int64 { Int64(8 * plan.faults.delayMilliseconds.upperBound) + 4 * TimerWheel.tickMilliseconds + 300 }

    /// The answers that may have counted for a request until a moment.
    private func answers(
        for request: AskedRequest, until end: Int64, _ service: SimulatedAuthService, _ rules: ForwardAuthPlan
    ) -> [ServiceAnswer] {
        service.answers(to: request.session, request.method, request.path).filter { answer in
            guard let sentAt = answer.sentAt, sentAt <= end else { return false }
            let kept =
                switch answer.kind {
                // One with a cookie is for one client only.
                case .allowed(_, _, hasCookie: true): 0
                case .allowed: rules.cacheMilliseconds
                default: rules.deniedCacheMilliseconds
                }
            let isFresh = sentAt >= request.askedAt - Int64(kept) - wayMilliseconds
            return isFresh || world.leapt(between: sentAt, and: request.askedAt)
        }
    }

    /// Whether the service could not be asked about a request at some moment of these, as far as the proxy knew.
    private func mayBeUnavailable(
        _ request: AskedRequest, from start: Int64, to end: Int64, _ service: SimulatedAuthService, _ rules: ForwardAuthPlan
    ) -> Bool {
        // A server that was not reached is not tried again at once.
        let first = start - Int64(rules.timeoutMilliseconds) - 2_000 - wayMilliseconds
        return world.leapt(between: first, and: end) || service.troubles.contains { $0.from <= end && $0.until >= first }
            || service.answers(to: request.session, request.method, request.path).contains {
                $0.kind == .failed && $0.cameAt >= first && $0.cameAt <= end
            }
            || kernel.attempts.contains {
                $0.address == service.address && $0.outcome != .open && $0.beganAt >= first && $0.beganAt <= end
            }
    }

    // MARK: What servers get

    private func checkAsked(_ arrival: Arrival, _ truth: Truth, _ service: SimulatedAuthService, _ rules: ForwardAuthPlan) {
        let path = truth.path
        expect(!arrival.hasOthersOfService, "\(path): its server got a field of the service's that was not asked for")
        let requests =
            path.hasPrefix(Guest.path)
            ? guests.flatMap(\.visits).filter { $0.path == path && $0.askedAt <= arrival.cameAt }.map(AskedRequest.init)
            : [AskedRequest(truth)].compactMap { $0 }
        guard path.hasPrefix(ForwardAuthPlan.path) else {
            let fields = arrival.members + arrival.answerNumbers
            return expect(fields.isEmpty, "\(path): its server was told \(fields), and no service said so")
        }
        let possible = requests.flatMap { answers(for: $0, until: arrival.cameAt, service, rules) }
        world.count("request that a service lets pass")
        let isTold = possible.contains { answer in
            guard case .allowed(let member, let number, _) = answer.kind else { return false }
            return arrival.members == [member].compactMap { $0 } && arrival.answerNumbers == [number].compactMap { $0 }
        }
        expect(
            isTold,
            """
            \(path): came to a server at \(arrival.cameAt) as \(arrival.members) by answer \(arrival.answerNumbers), and the service said \
            \(possible.map { "\($0.kind) at \($0.sentAt ?? 0)" })
            """)
    }

    // MARK: What clients get

    private func check(
        _ response: Response, of request: AskedRequest, heard: Int64?, _ service: SimulatedAuthService, _ rules: ForwardAuthPlan,
        _ cookies: inout [String]
    ) {
        let possible = answers(for: request, until: heard ?? world.now, service, rules)
        let body = String(decoding: response.body, as: UTF8.self)
        for cookie in response.fields.filter({ $0.name == "set-cookie" && !$0.value.hasPrefix("a=") }).map(\.value) {
            cookies.append(cookie)
            let isIts = possible.contains { $0.kind.hasCookie && cookie.hasSuffix("=\($0.number)") }
            expect(isIts, "\(request.path): a cookie of the service's that it did not give to this request: \(cookie)")
        }
        let isRedirect = [301, 302, 303, 307, 308].contains(response.status)
        let isServers = body == "sorry\n" || response["content-type"] == "text/plain"
        if isRedirect || response.status == 401 || response.status == 403, !isServers {
            world.count("refused by a service: \(response.status)")
            expect(
                possible.contains { isTold($0, in: response, body, request) },
                """
                \(request.path): refused with \(response.status) (\(response.fields)), and the service said \
                \(possible.map { "\($0.kind) at \($0.sentAt ?? 0)" }) of \(request.session.user)
                """)
            return expect(response["cache-control"] == "no-store", "\(request.path): a service's refusal may be stored")
        }
        if response.status == 503, body.contains("did not say whether") {
            world.count("refused because a service is away")
            expect(response["retry-after"] == "1", "\(request.path): 503 without the time to come back")
            return expect(
                mayBeUnavailable(request, from: request.askedAt, to: heard ?? world.now, service, rules),
                "\(request.path): the service is said to be away, and it was not")
        }
        // One that was held had the head of its answer before the service said anything.
        checkIdentity(response, request, answers(for: request, until: world.now, service, rules))
    }

    /// Whether a refusal is what the service answered, for one who gets all of it or its status.
    private func isTold(_ answer: ServiceAnswer, in response: Response, _ body: String, _ request: AskedRequest) -> Bool {
        let challenge = response["www-authenticate"]
        let own = challenge?.hasPrefix("Bearer realm=") == true
        // The service took its word back before the server had answered.
        if own, challenge?.contains("invalid_token") == true {
            return switch answer.kind {
            case .denied, .redirected: response.status == 401
            default: false
            }
        }
        if request.isPlain {
            let isEmptied = !body.contains("denied-") && response["location"] == nil && response["set-cookie"] == nil
            guard isEmptied, response.status == 401 ? own : challenge == nil else { return false }
            return switch answer.kind {
            case .denied(let status): response.status == status
            case .redirected: response.status == 401
            default: false
            }
        }
        switch answer.kind {
        case .denied(let status):
            guard response.status == status else { return false }
            let isPage = request.method == "HEAD" || !response.isComplete || body == (answer.hasPage ? answer.page : "")
            return isPage && (answer.challenge.map { $0 == challenge } ?? (status == 401 ? own : challenge == nil))
        case .redirected(let status, let hasCookie):
            let cookie = hasCookie ? "login=\(answer.number)" : nil
            return response.status == status && response["location"] == answer.location && response["set-cookie"] == cookie
        default: return false
        }
    }

    /// Nobody gets what was made for somebody else.
    private func checkIdentity(_ response: Response, _ request: AskedRequest, _ possible: [ServiceAnswer]) {
        let names = possible.compactMap { answer in if case .allowed(let member, _, _) = answer.kind { member ?? "nobody" } else { nil } }
        var told = [response[CredentialChecks.identityField.lowercased()]].compactMap { $0 }
        if response.isEventStream, response["content-encoding"] == nil {
            let events = ReferenceEventSource(reading: response.body).events
            told += events.filter { $0.type == Array(CredentialChecks.identityEvent.utf8) }.map { String(decoding: $0.data, as: UTF8.self) }
        }
        for identity in told {
            world.count("answer for a user whom a service knows")
            expect(
                names.contains(identity), "\(request.path): the answer to \(request.session.user) was made for \(identity), not \(names)")
        }
    }

    // MARK: What is logged

    /// Whether the service refused a request until that moment, and its record says so.
    func isTrueOfDenial(_ record: [String: Any], _ truth: Truth, at moment: Int64) -> Bool {
        guard let rules = plan.forwardAuth, let service = authService, let request = AskedRequest(truth), moment >= request.askedAt,
            record["credential_error"] as? String == "denied"
        else { return false }
        let status = record["status"] as? Int
        return answers(for: request, until: moment, service, rules).contains { answer in
            switch answer.kind {
            // One that was held has a status already.
            case .denied(let denied): status == denied || status == 200
            case .redirected(let redirected, _): status == (request.isPlain ? 401 : redirected) || status == 200
            default: false
            }
        }
    }

    /// How long after its leaving a guest may still have a stream, for the proxy.
    private static let mostUnheardMilliseconds: Int64 = 30_000

    /// The requests of which a record may be.
    private func requests(of record: [String: Any], _ path: String, at moments: [Int64]) -> [AskedRequest] {
        guard path.hasPrefix(Guest.path) else { return [truths[path].flatMap(AskedRequest.init)].compactMap { $0 } }
        return guests.flatMap(\.visits).filter { visit in
            guard visit.path == path, visit.client == record["client"] as? String else { return false }
            // The proxy may hear late that a guest has left: one that vanishes says nothing.
            return moments.contains { $0 >= visit.askedAt && $0 <= (visit.leftAt ?? world.now) + Self.mostUnheardMilliseconds }
        }.map(AskedRequest.init)
    }

    private func checkCause(_ record: [String: Any], _ log: LogView, _ service: SimulatedAuthService, _ rules: ForwardAuthPlan) {
        guard let cause = record["cause"] as? String, let path = record["path"] as? String, path.hasPrefix(ForwardAuthPlan.path),
            cause == "revoked" || cause == "authorization_unavailable"
        else { return }
        let moments = log.moments(of: record)
        let requests = requests(of: record, path, at: moments)
        let evidence = record["evidence"] as? String ?? ""
        if cause == "revoked" {
            world.count("a service took its word back")
            let holds = requests.contains { request in
                service.answers(to: request.session, request.method, request.path).contains { answer in
                    guard let sentAt = answer.sentAt else { return false }
                    switch answer.kind {
                    case .denied, .redirected: break
                    default: return false
                    }
                    return moments.contains {
                        $0 >= sentAt && ($0 <= sentAt + 1_000 + wayMilliseconds || world.leapt(between: sentAt, and: $0))
                    }
                }
            }
            return expect(holds, "\(path): revoked at \(moments) (\(evidence)), and the service did not say so")
        }
        let isLiving = evidence.contains("has not answered for more than")
        world.count(isLiving ? "a service was silent for too long" : "a service was away")
        let holds = requests.contains { request in
            moments.contains { moment in
                guard moment >= request.askedAt else { return false }
                guard isLiving else { return mayBeUnavailable(request, from: request.askedAt, to: moment, service, rules) }
                return !answered(request, from: moment - Int64(rules.graceMilliseconds), to: moment, service, rules)
                    && mayBeUnavailable(request, from: moment - Int64(rules.graceMilliseconds), to: moment, service, rules)
            }
        }
        expect(holds, "\(path): authorization_unavailable at \(moments) (\(evidence)), and it was not")
    }

    /// Whether the only worker certainly had a usable answer between the two moments.
    private func answered(
        _ request: AskedRequest, from start: Int64, to end: Int64, _ service: SimulatedAuthService, _ rules: ForwardAuthPlan
    ) -> Bool {
        guard plan.workerCount == 1, !world.leapt(between: start, and: end) else { return false }
        return service.answers(to: request.session, request.method, request.path).contains { answer in
            guard let sentAt = answer.sentAt, answer.kind != .failed else { return false }
            let isInTime = sentAt - answer.cameAt < Int64(rules.timeoutMilliseconds) - wayMilliseconds
            return isInTime && sentAt > start + wayMilliseconds && sentAt < end - 1_000 - wayMilliseconds
        }
    }
}

// MARK: Living streams

extension Scenario {
    /// A stream, from its opening to its end.
    private struct Life {
        let request: AskedRequest
        let openedAt: Int64
        let endedAt: Int64
        /// When its server had it; nil where that is not known, and for one that was held all the time.
        var servedAt: Int64?
    }

    /// No stream lives for longer than the service may take its word back, or be silent.
    private func checkLives(_ log: LogView, _ service: SimulatedAuthService, _ rules: ForwardAuthPlan) {
        guard let recheck = rules.recheckMilliseconds else { return }
        var lives = guests.flatMap(\.visits).compactMap { visit -> Life? in
            guard visit.isPlain, visit.response?.status == 200, let heardAt = visit.heardAt else { return nil }
            return Life(request: AskedRequest(visit), openedAt: heardAt, endedAt: visit.leftAt ?? world.now)
        }
        for opening in log.records where opening["event"] as? String == "stream_open" {
            guard let path = opening["path"] as? String, let truth = truths[path], let request = AskedRequest(truth),
                let ending = log.ending(of: path)
            else { continue }
            // Where the clock was set, a line's time may stand for several moments.
            let (opened, ended) = (log.moments(of: opening), log.moments(of: ending))
            guard Set(opened).count == 1, Set(ended).count == 1 else { continue }
            lives.append(Life(request: request, openedAt: opened[0], endedAt: ended[0], servedAt: truth.present?.cameAt))
        }
        let (asking, patience) = (Int64(recheck + rules.timeoutMilliseconds), 1_000 + wayMilliseconds)
        for life in lives {
            for span in life.request.session.deniedSpans {
                let start = max(span.lowerBound, life.openedAt)
                let latest = start + asking + patience
                guard life.endedAt > latest, span.upperBound > latest, latest < drainsSince else { continue }
                if isDisturbed(life.request, from: start, to: latest, service, rules) { continue }
                expect(
                    false,
                    """
                    \(life.request.path): lives \(life.endedAt - start) ms although the service refuses \(life.request.session.user); \
                    opened at \(life.openedAt), refused since \(span.lowerBound)
                    """)
            }
            guard let servedAt = life.servedAt else { continue }
            for trouble in service.troubles where trouble.isTotal {
                let start = max(trouble.from, life.openedAt, servedAt)
                let latest = start + asking + Int64(rules.timeoutMilliseconds + rules.graceMilliseconds) + patience
                guard life.endedAt > latest, trouble.until > latest else { continue }
                if world.leapt(between: start, and: life.endedAt) { continue }
                expect(false, "\(life.request.path): lives \(life.endedAt - start) ms although the service is silent")
            }
        }
    }

    /// Whether something kept the service from being asked about a stream, or from answering, between the two moments.
    private func isDisturbed(
        _ request: AskedRequest, from start: Int64, to end: Int64, _ service: SimulatedAuthService, _ rules: ForwardAuthPlan
    ) -> Bool {
        let first = start - Int64(rules.timeoutMilliseconds)
        return world.leapt(between: start, and: end) || service.troubles.contains { $0.from <= end && $0.until >= start }
            || service.answers(to: request.session, request.method, request.path).contains {
                $0.kind == .failed && $0.cameAt >= first && $0.cameAt <= end
            }
            || kernel.attempts.contains {
                $0.address == service.address && $0.outcome != .open && $0.beganAt >= first && $0.beganAt <= end
            }
    }

    // MARK: Questions

    /// Each worker asks a question once at a time, and not while it has an answer to it.
    private func checkQuestions(_ service: SimulatedAuthService, _ rules: ForwardAuthPlan) {
        let workers = plan.workerCount
        let timeout = Int64(rules.timeoutMilliseconds) - wayMilliseconds
        for (question, answers) in Dictionary(grouping: service.answers, by: \.question) {
            // An answer with a cookie is for one client only, and others ask for themselves.
            if answers.contains(where: { $0.kind.hasCookie }) { continue }
            for (index, answer) in answers.enumerated() {
                let others = answers[..<index].filter { min($0.sentAt ?? .max, $0.cameAt + timeout) > answer.cameAt }
                // Where time leapt while a question was on its way, the proxy may have given it up before it came.
                if others.count >= workers, !world.leapt(between: others[0].cameAt - wayMilliseconds, and: answer.cameAt) {
                    let came = others.map(\.cameAt)
                    expect(false, "a service got a question at \(answer.cameAt) that others ask already, since \(came): \(question)")
                }
                // Of one more than there are workers, two are one worker's.
                guard index >= workers else { continue }
                let before = answers[(index - workers)..<index]
                let earliest = before.map { keptUntil($0, rules) }.min() ?? 0
                let first = before[before.startIndex].cameAt - wayMilliseconds
                if answer.cameAt < earliest, !world.leapt(between: first, and: answer.cameAt) {
                    expect(false, "a service was asked \(earliest - answer.cameAt) ms too early: \(question)")
                }
            }
        }
    }

    /// Until when a worker does not ask again, at least.
    private func keptUntil(_ answer: ServiceAnswer, _ rules: ForwardAuthPlan) -> Int64 {
        guard let sentAt = answer.sentAt, sentAt - answer.cameAt < Int64(rules.timeoutMilliseconds) - wayMilliseconds else { return 0 }
        let recheck = rules.recheckMilliseconds.map { $0 * 3 / 4 } ?? .max
        return switch answer.kind {
        case .allowed: sentAt + Int64(min(rules.cacheMilliseconds, recheck))
        case .denied: sentAt + Int64(min(rules.deniedCacheMilliseconds, recheck))
        default: 0
        }
    }
}

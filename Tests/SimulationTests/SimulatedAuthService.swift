// The service that is asked whether requests may pass: it knows sessions, changes its mind about them, and is down at times or answers
// nonsense. Invariant: it remembers each question with its answer, and when it could not be asked.

import Foundation
import Reactor
import TestSupport

/// What one user shows the service, and all that the service thinks of it in the course of a run.
final class Session {
    /// What the service thinks of a request.
    enum Opinion: Equatable {
        /// Its server is told whose request it is.
        case allow
        /// Its server is told nothing.
        case allowNameless
        case deny(Int)
        case redirect(Int)

        var allows: Bool { self == .allow || self == .allowNameless }
    }

    let user: String
    /// What it brings; empty for nothing.
    let text: String
    /// Whether it stands in Authorization, and not in a cookie.
    let isField: Bool
    /// Whether the service sometimes renews its cookie.
    var isRenewed: Bool { user.utf8.count % 4 == 3 }
    /// What the service thinks of it, each from a moment on.
    private(set) var opinions: [(from: Int64, opinion: Opinion)]

    init(user: String, text: String, isField: Bool, _ opinions: [(from: Int64, opinion: Opinion)]) {
        (self.user, self.text, self.isField, self.opinions) = (user, text, isField, opinions)
    }

    func opinion(at moment: Int64) -> Opinion { opinions.last { $0.from <= moment }?.opinion ?? .deny(401) }

    /// The times in which the service refuses its requests, each as long as it can be.
    var deniedSpans: [Range<Int64>] {
        var spans: [Range<Int64>] = []
        for (index, entry) in opinions.enumerated() where !entry.opinion.allows {
            let until = index + 1 < opinions.count ? opinions[index + 1].from : Int64.max
            if let last = spans.last, last.upperBound == entry.from {
                spans[spans.count - 1] = last.lowerBound..<until
            } else if until > entry.from {
                spans.append(entry.from..<until)
            }
        }
        return spans
    }

    /// The lines of a request's head that show it.
    func lines(_ chance: inout Chance) -> String {
        if text.isEmpty { return chance.permille(500) ? "" : "Cookie: a=b\r\n" }
        if isField { return "Authorization: Bearer \(text)\r\n" }
        // The same each time, or the questions would differ.
        return "Cookie: \(user.utf8.count % 2 == 0 ? "a=b; " : "")\(ForwardAuthPlan.cookie)=\(text)\r\n"
    }
}

/// A question that came to the service, and what came of it.
final class ServiceAnswer {
    enum Kind: Equatable {
        /// With the values of its two fields.
        case allowed(member: String?, number: String?, hasCookie: Bool)
        case denied(Int)
        case redirected(Int, hasCookie: Bool)
        /// Nothing that could be used.
        case failed
    }

    let number: Int
    /// All that the service was told.
    let question: String
    let session: Session
    let method: String
    let path: String
    let cameAt: Int64
    fileprivate(set) var kind = Kind.failed
    /// When it was on its way; nil before that.
    fileprivate(set) var sentAt: Int64?
    /// Whether a readable page came with a denial.
    fileprivate(set) var hasPage = true
    fileprivate(set) var challenge: String?

    init(_ number: Int, _ question: String, _ session: Session, _ method: String, _ path: String, at moment: Int64) {
        (self.number, self.question, self.session, self.method, self.path, cameAt) = (number, question, session, method, path, moment)
    }

    /// The page of a denial.
    var page: String { "<p>denied-\(number)</p>" }
    var location: String { "https://login.example/?n=\(number)" }
}

final class SimulatedAuthService {
    /// What every session's text begins with, and no line of a log may hold.
    static let mark = "sid-"

    private enum Trouble: CaseIterable { case refusing, silent, mute, late, failing, nonsense, hangsUp }

    private let world: SimulatedWorld
    private let kernel: SimulatedKernel
    private let plan: ForwardAuthPlan
    let address = SocketAddress(literal: ForwardAuthPlan.host, port: 80)!
    /// The session of those who bring none.
    let nobody: Session
    private(set) var sessions: [String: Session] = [:]
    private(set) var answers: [ServiceAnswer] = []
    private var byRequest: [String: [ServiceAnswer]] = [:]
    private var trouble: Trouble?
    private var isMoody = true
    /// When it was in trouble; `isTotal` where no question could be answered well.
    private(set) var troubles: [(from: Int64, until: Int64, isTotal: Bool)] = []

    init(_ plan: ForwardAuthPlan, _ world: SimulatedWorld, _ kernel: SimulatedKernel) {
        (self.plan, self.world, self.kernel) = (plan, world, kernel)
        nobody = Session(
            user: "nobody", text: "", isField: false, [(0, plan.passesNobody ? .allowNameless : .deny(401))])
        sessions[""] = nobody
        open()
    }

    // MARK: Sessions

    /// A session of which the service thinks now this and later that.
    func makeSession(_ user: String, mayBeField: Bool) -> Session {
        let isLoyal = world.chance.permille(350)
        var opinions = [(world.now, world.chance.permille(750) ? Session.Opinion.allow : anOpinion())]
        var moment = world.now
        for _ in 0..<(isLoyal ? 0 : world.chance.number(1...4)) {
            moment += Int64(world.chance.number(0...12_000))
            guard moment < SimulatedWorld.beginning + 38_000 else { break }
            opinions.append((moment, anOpinion()))
        }
        let text = "\(SimulatedAuthService.mark)\(sessions.count)-\(user)"
        let session = Session(user: user, text: text, isField: mayBeField && world.chance.permille(500), opinions)
        sessions[text] = session
        return session
    }

    /// Another one, for a user who has logged in again.
    func logIn(_ user: String) -> Session {
        let text = "\(SimulatedAuthService.mark)\(sessions.count)-\(user)"
        let session = Session(user: user, text: text, isField: false, [(world.now, .allow)])
        sessions[text] = session
        return session
    }

    private func anOpinion() -> Session.Opinion {
        switch world.chance.number(0...9) {
        case 0...3: .allow
        case 4: .allowNameless
        case 5...6: .deny(401)
        case 7: .deny(403)
        default: .redirect(world.chance.pick([301, 302, 303, 307, 308]))
        }
    }

    // MARK: Troubles

    func begin() {
        guard plan.hasTroubles else { return }
        var moment = world.chance.permille(300) ? 0 : Int64(world.chance.number(0...10_000))
        while moment < 32_000 {
            let duration = Int64(world.chance.permille(500) ? world.chance.number(100...2_000) : world.chance.number(2_000...14_000))
            let kind = world.chance.pick(Trouble.allCases)
            world.after(moment) { [self] in become(kind) }
            world.after(min(moment + duration, 38_000)) { [self] in become(nil) }
            moment += duration + Int64(world.chance.number(500...12_000))
        }
    }

    /// It answers every question well from now on.
    func behave() { isMoody = false }

    private func become(_ next: Trouble?) {
        trouble = next
        if let next {
            world.count("service: \(next)")
            troubles.append((world.now, .max, next != .late))
        } else if let last = troubles.indices.last {
            troubles[last].until = world.now
        }
        switch next {
        case .refusing: kernel.addresses[address] = .refused
        case .silent: kernel.addresses[address] = .silent
        default: open()
        }
    }

    private func open() { kernel.addresses[address] = .actor { [unowned self] in serve(Wire($0, world)) } }

    // MARK: Questions

    private func serve(_ wire: Wire) {
        var received: [UInt8] = []
        var isAnswering = false
        wire.changed = { [unowned wire, self] in
            received += wire.read()
            if wire.isBroken || wire.hasEnded { return wire.end(.left) }
            guard !isAnswering, let head = Text.head(in: received) else { return }
            received.removeFirst(head.count)
            guard let answer = take(head) else { return wire.end(.left) }
            isAnswering = true
            self.answer(answer, on: wire) { isAnswering = false }
        }
    }

    /// The fields that it may get.
    private static let known: Set<String> = [
        "host", "x-forwarded-method", "x-forwarded-uri", "x-forwarded-proto", "x-forwarded-for", "x-forwarded-host", "accept-encoding",
        "cookie", "authorization", "user-agent", "connection", "x-original-method", "x-original-url",
    ]

    private func take(_ head: Text.RequestHead) -> ServiceAnswer? {
        func value(_ name: String) -> String { Text.values(like: name, in: head.lines).joined(separator: ", ") }
        let names = head.lines.dropFirst().map { $0.prefix { $0 != ":" }.lowercased() }
        if head.method != "GET" || head.path != ForwardAuthPlan.target || head.hasBody
            || !names.allSatisfy(SimulatedAuthService.known.contains)
        {
            world.problems.append("a service was asked with \(head.lines)")
            return nil
        }
        let cookie = value("cookie").split(separator: "; ").first { $0.hasPrefix("\(ForwardAuthPlan.cookie)=") }
        let shown = value("authorization")
        let text = shown.isEmpty ? cookie.map { String($0.dropFirst(ForwardAuthPlan.cookie.count + 1)) } ?? "" : String(shown.dropFirst(7))
        guard let session = sessions[text] else {
            world.problems.append("a service was asked about a session that nobody has: \(head.lines)")
            return nil
        }
        let (method, path) = (value("x-forwarded-method"), value("x-forwarded-uri"))
        if !path.hasPrefix(ForwardAuthPlan.path) || path.contains("admin") || value("x-original-method") != method
            || !value("x-original-url").hasSuffix("://a\(path)")
        {
            world.problems.append("a service was asked about a request that nobody sent: \(head.lines)")
        }
        let question = head.lines.dropFirst().joined(separator: "\n")
        let answer = ServiceAnswer(answers.count + 1, question, session, method, path, at: world.now)
        answers.append(answer)
        byRequest[SimulatedAuthService.key(session, method, path), default: []].append(answer)
        return answer
    }

    private func answer(_ answer: ServiceAnswer, on wire: Wire, then: @escaping () -> Void) {
        var trouble = trouble
        if trouble == nil, isMoody, world.chance.permille(plan.moodiness) {
            trouble = world.chance.pick([.mute, .failing, .nonsense, .hangsUp])
            world.count("service: \(trouble!) at one question")
        }
        let pause = trouble == .late ? world.chance.number(500...4_000) : world.chance.number(0...60)
        switch trouble {
        // Connections that stand meet the same.
        case .mute, .silent: return
        case .hangsUp, .refusing:
            answer.sentAt = world.now
            return wire.end(world.chance.permille(500) ? .left : .reset)
        case .failing:
            let status = world.chance.pick(["500 No", "502 No", "404 No", "302 Found", "100 Continue\r\n\r\nHTTP/1.1 503 No"])
            return send("HTTP/1.1 \(status)\r\nContent-Length: 0\r\n\r\n", .failed, answer, on: wire, after: pause, then)
        case .nonsense:
            let text = world.chance.pick([
                "SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n",
                "HTTP/1.1 200 OK\r\n\(ForwardAuthPlan.memberField): \(String(repeating: "x", count: 5_000))\r\nContent-Length: 0\r\n\r\n",
                "HTTP/1.1 200 OK\r\n\(ForwardAuthPlan.memberField): a\u{85}b\r\nContent-Length: 0\r\n\r\n",
            ])
            return send(text, .failed, answer, on: wire, after: pause, then)
        default: break
        }
        // What it thinks at the moment when it answers counts.
        world.after(Int64(pause)) { [self] in
            let (text, kind) = write(answer)
            send(text, kind, answer, on: wire, after: 0, then)
        }
    }

    private func send(
        _ text: String, _ kind: ServiceAnswer.Kind, _ answer: ServiceAnswer, on wire: Wire, after pause: Int, _ then: @escaping () -> Void
    ) {
        let deed = { [self] in
            guard wire.isUsable else { return }
            answer.kind = kind
            answer.sentAt = world.now
            let closes = world.chance.permille(50)
            wire.send(Array(text.utf8)) { if closes { wire.end(.left) } else { then() } }
        }
        if pause == 0 { deed() } else { world.after(Int64(pause), deed) }
    }

    /// An answer in the service's own mind.
    private func write(_ answer: ServiceAnswer) -> (text: String, kind: ServiceAnswer.Kind) {
        let opinion = answer.session.opinion(at: world.now)
        switch opinion {
        case .allow, .allowNameless:
            let status = world.chance.pick(["200 OK", "202 Accepted", "204 Nothing"])
            var fields = ""
            let number = "\(answer.number)"
            let isNamed = opinion == .allow
            if isNamed {
                fields += "\(world.chance.pick(["X-Member", "x-member"])): \(answer.session.user)\r\nX-Answer: \(number)\r\n"
            } else if world.chance.permille(500) {
                fields += "X-Member:\r\n"
            }
            if world.chance.permille(300) { fields += "X-Admin: yes\r\n" }
            let hasCookie = answer.session.isRenewed && world.chance.permille(500)
            if hasCookie { fields += "Set-Cookie: gate=\(answer.number)\r\n" }
            let body = status.hasPrefix("204") ? "" : String(repeating: "x", count: world.chance.pick([0, 2, 3_000]))
            let framing = status.hasPrefix("204") ? "" : "Content-Length: \(body.utf8.count)\r\n"
            return (
                "HTTP/1.1 \(status)\r\n\(fields)\(framing)\r\n\(body)",
                .allowed(member: isNamed ? answer.session.user : nil, number: isNamed ? number : nil, hasCookie: hasCookie)
            )
        case .deny(let status):
            var fields = ""
            if world.chance.permille(400) {
                answer.challenge = "Session realm=\"\(answer.number)\""
                fields += "WWW-Authenticate: \(answer.challenge!)\r\n"
            }
            if world.chance.permille(100) {
                answer.hasPage = false
                fields += "Content-Encoding: gzip\r\n"
            }
            let rest = "Content-Type: text/html\r\nContent-Length: \(answer.page.utf8.count)\r\n\r\n\(answer.page)"
            return ("HTTP/1.1 \(status) No\r\n\(fields)\(rest)", .denied(status))
        case .redirect(let status):
            let hasCookie = world.chance.permille(600)
            let cookie = hasCookie ? "Set-Cookie: login=\(answer.number)\r\n" : ""
            return (
                "HTTP/1.1 \(status) There\r\nLocation: \(answer.location)\r\n\(cookie)Content-Length: 0\r\n\r\n",
                .redirected(status, hasCookie: hasCookie)
            )
        }
    }

    // MARK: The truth

    private static func key(_ session: Session, _ method: String, _ path: String) -> String { "\(session.text) \(method) \(path)" }

    /// The answers to that request, in the order of their questions.
    func answers(to session: Session, _ method: String, _ path: String) -> [ServiceAnswer] {
        byRequest[SimulatedAuthService.key(session, method, path)] ?? []
    }
}

// Somebody who publishes events into shared streams: for all, for a path, for the token of a user; with and without a key against
// repetition. Answers get lost, and what has a key is said again, also where the answer came.

import Credentials
import Foundation
import TestSupport

@testable import Reactor

/// One event that is published, or is not to be.
final class Published {
    /// What is wrong with the request; nothing in most cases.
    enum Fault: CaseIterable { case none, key, route, parameter, method }

    /// The answer to a request.
    struct Answer: Decodable, Equatable {
        let streams: Int
        let clients: Int
    }

    let number: Int
    let type: String
    /// The path whose streams it is for; nil for all.
    let path: String?
    /// The user whose streams it is for; nil for all.
    let user: Int?
    let hasKey: Bool
    let fault: Fault
    /// When the first request was sent, and when an answer to any of them had come.
    let beganAt: Int64
    fileprivate(set) var answeredAt: Int64?
    fileprivate(set) var answers: [Answer] = []
    /// How many requests were sent.
    fileprivate(set) var requestCount = 0
    /// How often an answer may still get lost.
    fileprivate var lossCount: Int
    /// How often it is said again although it was answered.
    fileprivate var repeatCount: Int

    init(_ number: Int, _ plan: SharedPlan, at moment: Int64, _ chance: inout Chance) {
        self.number = number
        beganAt = moment
        type = chance.pick(SharedPlan.types + ["notice"])
        let path = chance.pick(SharedPlan.paths).prefix { $0 != "?" }
        self.path = chance.permille(300) ? String(path) : nil
        user = chance.permille(300) ? chance.below(plan.userCount) : nil
        hasKey = chance.permille(600)
        fault = chance.permille(850) ? .none : chance.pick(Fault.allCases)
        lossCount = hasKey ? chance.pick([0, 0, 1, 3]) : chance.pick([0, 0, 0, 1])
        repeatCount = hasKey ? chance.pick([0, 0, 1, 2]) : 0
    }

    /// The data of the event.
    var text: String { "p.\(number)" }

    /// Whether pages of that manner may read it.
    func isMeant(for manner: SharedPageManner, _ plan: SharedPlan) -> Bool {
        guard fault == .none, path == nil || manner.target.hasPrefix("\(path!)?") else { return false }
        return user == nil || plan.identity == .token && manner.user == user
    }
}

/// Publishes one event after the other, as long as the proxy does not end.
final class Publisher {
    static let address = SocketAddress(numeric: "10.9.9.9", port: 81)!
    static let key = "a-key-of-those-who-publish"

    private unowned let home: SharedStreamsWorld
    private let fingerprinter: Fingerprinter
    /// The publications whose answers are awaited or were, by their numbers.
    private(set) var all: [Published] = []

    init(_ home: SharedStreamsWorld, _ fingerprinter: Fingerprinter) {
        self.home = home
        self.fingerprinter = fingerprinter
        planNext()
    }

    private func planNext() {
        home.world.after(Int64(home.world.chance.number(0...home.world.chance.pick([300, 3_000, 6_000])))) { [self] in
            guard home.drainsSince == .max else { return }
            let published = Published(all.count, home.plan, at: home.world.now, &home.world.chance)
            all.append(published)
            ask(published)
            planNext()
        }
    }

    /// Sends the request, and again until it is answered.
    private func ask(_ published: Published) {
        guard home.drainsSince == .max else { return }
        let wire = home.wire(to: Self.address, from: "198.51.100.9", speaking: nil)
        var reader = ResponseReader()
        var isOver = false
        let losesAnswer = published.lossCount > 0
        published.lossCount -= 1
        published.requestCount += 1
        home.count("requests to publish")
        /// The connection is over.
        func leave(_ deed: Deed) {
            isOver = true
            wire.end(deed)
        }
        /// Comes again after a moment.
        func comeAgain() {
            home.world.after(Int64(home.world.chance.number(0...home.world.chance.pick([20, 1_000])))) { [self] in ask(published) }
        }
        wire.changed = { [self] in
            guard !isOver else { return }
            reader.receive(wire.read())
            if let response = reader.responses.first, response.isComplete {
                leave(.left)
                home.expect(reader.violation == nil, "an answer to \(published.text): \(reader.violation ?? "")")
                if receive(response, to: published) { comeAgain() }
            } else if wire.isBroken || wire.hasEnded {
                leave(.left)
                if published.hasKey { comeAgain() }
            }
        }
        wire.send(request(published))
        guard losesAnswer else { return }
        home.count("answers lost")
        home.world.after(Int64(home.world.chance.number(0...home.world.chance.pick([5, 200])))) { [self] in
            guard !isOver else { return }
            leave(home.world.chance.pick([.left, .reset, .vanished]))
            if published.hasKey { comeAgain() }
        }
    }

    /// Takes an answer. Returns whether the request is sent once more.
    private func receive(_ response: Response, to published: Published) -> Bool {
        if response.status == 409 {
            home.expect(published.requestCount > 1, "\(published.text) is being answered, and was not sent before")
            home.count("published: 409")
            return true
        }
        let status =
            switch published.fault {
            case .none: 200
            case .key: 401
            case .route: 404
            case .parameter: 400
            case .method: 405
            }
        home.count("published: \(response.status)")
        home.expect(response.status == status, "\(published.text), with the fault \(published.fault): \(response.status)")
        guard published.fault == .none else { return false }
        guard let answer = try? JSONDecoder().decode(Published.Answer.self, from: Data(response.body)) else {
            home.expect(false, "\(published.text) is answered with \(String(decoding: response.body, as: UTF8.self))")
            return false
        }
        published.answeredAt = published.answeredAt ?? home.world.now
        published.answers.append(answer)
        published.repeatCount -= 1
        return published.repeatCount >= 0
    }

    private func request(_ published: Published) -> [UInt8] {
        var parameters = ["route=\(published.fault == .route ? "%2Fnone" : "%2F*")", "type=\(published.type)"]
        if let path = published.path { parameters.append("path=\(path)") }
        if let user = published.user {
            let token = Array(SharedPageManner.token(of: user).utf8)
            parameters.append("token=\(fingerprinter.fingerprint(ofBytes: token.span)!)")
        }
        if published.fault == .parameter { parameters.append("tipe=notice") }
        let method = published.fault == .method ? "PUT" : "POST"
        var lines = ["\(method) /publish?\(parameters.joined(separator: "&")) HTTP/1.1", "Host: publish"]
        lines.append("Authorization: Bearer \(Self.key)\(published.fault == .key ? "x" : "")")
        if published.hasKey { lines.append("Idempotency-Key: key-\(published.number)") }
        lines.append("Content-Length: \(published.text.utf8.count)")
        return Array((lines + ["", published.text]).joined(separator: "\r\n").utf8)
    }
}

// A question to a service: what is sent, and which answer comes of what the service does.

import Configuration
import HTTP
import Reactor
import Services
import TestSupport
import Testing

@testable import Upstreams

@Suite("A question to a service")
struct ServiceCallTests {
    /// One question, and the answers that came; there must be at most one.
    private final class Question {
        let world: ScriptedServer
        private(set) var answers: [String] = []
        private(set) var call: ServiceCall?

        init(
            _ world: ScriptedServer, _ method: ServiceRequest.Method = .get, fields: [(name: String, value: [UInt8])] = [],
            bodyBytes: Int = 64, needsWholeBody: Bool = true, needsBody: @escaping @Sendable (Int) -> Bool = { _ in true }
        ) throws {
            self.world = world
            let url = ServiceURL(server: world.server.server, isSecure: false, target: "/verify?a=1", authority: "s:80")
            let service = ServiceEndpoint(name: "service", url: url, timeoutMilliseconds: 2_000)
            var limits = ServiceLimits(timeoutMilliseconds: 2_000, bodyBytes: bodyBytes, needsWholeBody: needsWholeBody)
            limits.needsBody = needsBody
            let request = ServiceRequest(method, of: service, fields: fields, body: Array("a=b".utf8))
            call = ServiceCall.ask(request, of: world.group, on: world.worker, limits) { [unowned self] answer in
                switch answer {
                case .answered(let head, let body): answers.append("\(head.status) '\(String(decoding: body, as: UTF8.self))'")
                case .failed(let failure, let evidence): answers.append("\(failure): \(evidence)")
                }
            }
        }

        /// The descriptor of the connection that is open now.
        var descriptor: Int32 { world.kernel.attempts.last?.descriptor ?? -1 }

        /// What was sent over that connection.
        var sent: String { String(decoding: world.kernel.written[descriptor] ?? [], as: UTF8.self) }

        func connects(_ error: SystemError? = nil) {
            world.kernel.errors[descriptor] = error
            world.kernel.report(descriptor, .writable)
            world.worker.turn()
        }

        func receives(_ text: String) {
            world.kernel.receive(descriptor, text)
            world.worker.turn()
        }
    }

    @Test("is one strictly valid request, and its answer is told once")
    func asks() throws {
        let world = try ScriptedServer()
        let question = try Question(world, fields: [(name: "X-A", value: Array("1".utf8))])
        question.connects()
        #expect(question.sent == "GET /verify?a=1 HTTP/1.1\r\nHost: s:80\r\nX-A: 1\r\n\r\n")
        question.receives("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        #expect(question.answers.isEmpty)
        question.receives("ok")
        #expect(question.answers == ["200 'ok'"])
        #expect(world.server.idleCount == 1, "the connection is kept")
        world.pass(milliseconds: 5_000)
        #expect(question.answers.count == 1)
    }

    @Test("sends its body with its length")
    func posts() throws {
        let world = try ScriptedServer()
        let question = try Question(world, .post)
        question.connects()
        #expect(
            question.sent == "POST /verify?a=1 HTTP/1.1\r\nHost: s:80\r\nContent-Length: 3\r\n\r\na=b")
    }

    @Test("fails when the service refuses, breaks off, breaks the rules, says too much, or is late")
    func fails() throws {
        func answers(bodyBytes: Int = 64, needsWholeBody: Bool = true, _ act: (Question) -> Void) throws -> [String] {
            let question = try Question(try ScriptedServer(), bodyBytes: bodyBytes, needsWholeBody: needsWholeBody)
            act(question)
            question.world.pass(milliseconds: 10_000)
            #expect(question.world.server.activeCount == 0)
            return question.answers
        }
        #expect(try answers { $0.connects(.connectionRefused) }.first?.hasPrefix("unreachable: connect: ") == true)
        #expect(try answers { _ in } == ["late: the service did not answer within 2000 ms"])
        #expect(try answers { $0.connects() } == ["late: the service did not answer within 2000 ms"])
        let dripping = try answers { question in
            question.connects()
            question.receives("HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n")
            for _ in 0..<60 {
                question.world.pass(milliseconds: 50)
                if question.answers.isEmpty { question.receives("x") }
            }
        }
        #expect(dripping == ["late: the service did not answer within 2000 ms"], "a drop now and then does not prolong it")
        #expect(
            try answers {
                $0.connects(); $0.receives("HTTP/2 what\r\n\r\n")
            }.first?.hasPrefix("unusable: ") == true)
        let long = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345"
        #expect(
            try answers(bodyBytes: 4) {
                $0.connects(); $0.receives(long)
            } == ["unusable: the service's answer is larger than 4 bytes"])
        #expect(
            try answers(bodyBytes: 4, needsWholeBody: false) {
                $0.connects(); $0.receives(long)
            } == ["200 ''"])
        let cut = try answers { question in
            question.connects()
            question.receives("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12")
            question.receives("")
        }
        #expect(cut.count == 1 && cut[0].hasPrefix("unreachable: closed in the middle of the body"))
        let unsafe = try Question(try ScriptedServer(), fields: [(name: "X-A", value: [0x0D, 0x0A])])
        #expect(unsafe.answers.isEmpty, "never from within ask")
        unsafe.world.pass(milliseconds: 100)
        #expect(unsafe.answers == ["unusable: the request to the service would hold a byte that no request can hold"])
    }

    @Test("that meets a kept connection which is dead asks once more over another one")
    func asksOnceMore() throws {
        let world = try ScriptedServer()
        _ = try world.idle()
        let question = try Question(world)
        #expect(world.server.idleCount == 0)
        question.receives("")
        #expect(question.answers.isEmpty)
        question.connects()
        question.receives("HTTP/1.1 204 No Content\r\n\r\n")
        #expect(question.answers == ["204 ''"])
    }

    @Test("leaves an address that is silent in time for the next one, with which the next questions begin")
    func silentAddress() throws {
        let world = try ScriptedServer(addressCount: 2)
        let question = try Question(world)
        world.pass(milliseconds: 950)
        #expect(world.kernel.attempts.map(\.address) == [address(0, 0)])
        world.pass(milliseconds: 100)
        #expect(world.kernel.attempts.map(\.address) == [address(0, 0), address(0, 1)] && question.answers.isEmpty)
        question.connects()
        // What is left of its time is the answer's.
        world.pass(milliseconds: 900)
        question.receives("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        #expect(question.answers == ["204 ''"])
        let next = try Question(world)
        #expect(world.kernel.attempts.last?.address == address(0, 1))
        // Where all addresses are silent, the question is over when its time is.
        world.pass(milliseconds: 1_950)
        #expect(world.kernel.attempts.count == 4 && next.answers.isEmpty)
        world.pass(milliseconds: 100)
        #expect(next.answers == ["late: the service did not answer within 2000 ms"] && world.server.activeCount == 0)
    }

    @Test("whose body is not needed is answered with its head, and the connection serves the next one when the body is over")
    func answersAtItsHead() throws {
        let world = try ScriptedServer()
        let question = try Question(world, bodyBytes: 8, needsBody: { $0 != 200 })
        question.connects()
        question.receives("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n1234")
        #expect(question.answers == ["200 ''"] && world.server.activeCount == 1)
        question.receives("5678")
        #expect(question.answers.count == 1 && world.server.activeCount == 0 && world.server.idleCount == 1)
        // A body without an end, and one that is too long, cost the connection.
        for rest in ["", "123456789"] {
            let world = try ScriptedServer()
            let question = try Question(world, bodyBytes: 8, needsBody: { $0 != 200 })
            question.connects()
            question.receives("HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" + rest)
            world.pass(milliseconds: rest.isEmpty ? 3_000 : 0)
            #expect(question.answers == ["200 ''"] && world.server.activeCount == 0 && world.server.idleCount == 0)
        }
        let other = try Question(try ScriptedServer(), needsBody: { $0 != 200 })
        other.connects()
        other.receives("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        #expect(other.answers == ["403 'no'"])
    }

    @Test("that is given up leaves nothing open and is answered no more")
    func cancels() throws {
        let world = try ScriptedServer()
        let question = try Question(world)
        question.connects()
        question.call?.cancel()
        #expect(world.server.activeCount == 0)
        world.pass(milliseconds: 5_000)
        #expect(question.answers.isEmpty)
    }

    @Test("that is on its way when its worker ends leaves nothing open and is answered no more")
    func endsWithWorker() throws {
        let world = try ScriptedServer()
        let questions = [try Question(world), try Question(world)]
        questions[0].connects()
        ServiceCall.cancelAll(on: world.worker)
        #expect(world.server.activeCount == 0 && world.worker.endpointCount == 0)
        world.pass(milliseconds: 5_000)
        #expect(questions.allSatisfy { $0.answers.isEmpty })
    }
}

// A connection to a server in each of its states: what its receiver is told, in which order, and what becomes of it afterwards.

import HTTP
import Reactor
import TestSupport
import Testing

@testable import Upstreams

@Suite("A connection to a server")
struct UpstreamConnectionTests {
    private static let whole = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    private static let chunkedHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    // MARK: Coming about

    @Test("tells that it stands, and counts as in use from its attempt to its end")
    func connects() throws {
        let world = try ScriptedServer()
        let receiver = ScriptedReceiver()
        let connection = try world.connecting(for: receiver)
        #expect(receiver.calls.isEmpty && world.server.activeCount == 1)
        world.attemptEnds(connection)
        #expect(receiver.calls == ["connected"] && !connection.mayHaveBeenDead)
        connection.detach()
        #expect(world.server.activeCount == 0 && !connection.isOpen && world.server.idleCount == 0)
    }

    @Test(
        "that cannot be made says why, has closed itself, and tells nothing more",
        arguments: [
            (SystemError.connectionRefused, "not reached: connectionRefused: connect: "),
            (.timedOut, "not reached: connectTimeout: no answer to a connection attempt within 3000 ms"),
            (.wouldBlock, "not reached: backlogFull: connect: the backlog of the server's socket is full (EAGAIN)"),
            (.connectionReset, "not reached: connectFailed: connect: "),
        ])
    func cannotConnect(_ error: SystemError, _ call: String) throws {
        let world = try ScriptedServer()
        let receiver = ScriptedReceiver()
        let connection = try world.connecting(for: receiver)
        world.attemptEnds(connection, error)
        #expect(receiver.calls.count == 1 && receiver.calls[0].hasPrefix(call), "\(receiver.calls)")
        #expect(!connection.isOpen && world.server.activeCount == 0)
        world.pass(milliseconds: 60_000)
        #expect(receiver.calls.count == 1)
    }

    @Test("that does not come about in time is given up")
    func connectTimeout() throws {
        let world = try ScriptedServer()
        let receiver = ScriptedReceiver()
        let connection = try world.connecting(for: receiver)
        world.pass(milliseconds: 2_900)
        #expect(receiver.calls.isEmpty && connection.isOpen)
        world.pass(milliseconds: 200)
        #expect(receiver.calls == ["not reached: connectTimeout: no answer to a connection attempt within 3000 ms"])
        #expect(!connection.isOpen)
    }

    @Test("that fails at once throws, and is not counted")
    func failsAtOnce() throws {
        let world = try ScriptedServer()
        world.kernel.connectFailure = .connectionRefused
        let receiver = ScriptedReceiver()
        #expect(throws: SystemError.connectionRefused) { _ = try world.connecting(for: receiver) }
        #expect(receiver.calls.isEmpty && world.server.activeCount == 0)
    }

    // MARK: Responses

    /// The calls behind `connected` for an answer that comes in these pieces; an empty piece is the server's end.
    private func calls(_ pieces: [String], method: HTTP.Method = .get, asksForUpgrade: Bool = false) throws -> [String] {
        let world = try ScriptedServer()
        let receiver = ScriptedReceiver()
        let connection = try world.asked(for: receiver, method: method, asksForUpgrade: asksForUpgrade)
        for piece in pieces where connection.isOpen { world.answer(piece, to: connection) }
        return Array(receiver.calls.dropFirst())
    }

    @Test("takes the framing off, and behind a head comes exactly one call for the body in the same turn, perhaps an empty one")
    func framings() throws {
        #expect(try calls([Self.whole]) == ["head 200 length(2)", "body 'ok' whole"])
        #expect(try calls(["HTTP/1.1 204 No Content\r\n\r\n"]) == ["head 204 none", "body '' whole"])
        #expect(try calls([Self.whole.replacing("\r\n\r\nok", with: "\r\n\r\n")], method: .head) == ["head 200 none", "body '' whole"])
        #expect(
            try calls([Self.chunkedHead, "3\r\nabc\r\n2\r\nde\r\n", "1", "\r\nf\r\n", "0\r\n\r\n"]) == [
                "head 200 chunked", "body ''", "body 'abcde'", "body 'f'", "body '' whole",
            ])
        #expect(
            try calls(["HTTP/1.1 200 OK\r\n\r\n", "data: 1\n\n", ""]) == [
                "head 200 untilClose", "body ''", "body 'data: 1\n\n'", "body '' whole",
            ])
    }

    @Test("reports the same about a response at every split, except the number of pieces of its body")
    func splits() throws {
        let answer = "HTTP/1.1 103 Early Hints\r\n\r\n" + Self.chunkedHead + "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        for cut in 1..<answer.utf8.count {
            let calls = try calls([String(answer.prefix(cut)), String(answer.dropFirst(cut))])
            #expect(calls.first == "interim 103" && calls[1] == "head 200 chunked", "cut \(cut)")
            let body = calls.dropFirst(2).map { $0.dropFirst(6).prefix { $0 != "'" } }.joined()
            #expect(body == "abcde" && calls.filter { $0.hasSuffix(" whole") }.count == 1 && calls.last?.hasSuffix(" whole") == true)
        }
    }

    @Test(
        "tells how a server failed, before its head, in the head and in the body",
        arguments: [
            ([""], ["failed: noResponse: closed without a response"]),
            (["HTTP/1.1 200", ""], ["failed: headCutOff: the response's head was cut off"]),
            (["nonsense\r\n\r\n"], ["failed: brokeRules: "]),
            (["HTTP/1.1 101 Switching Protocols\r\nUpgrade: a\r\n\r\n"], ["failed: brokeRules: a 101 that nobody asked for"]),
            (
                ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", ""],
                ["head 200 length(5)", "body 'ab'", "failed: bodyCutOff: closed in the middle of the body: "]
            ),
            (
                [chunkedHead + "3\r\nabc\r\nx\r\n"], ["head 200 chunked", "body 'abc'", "failed: brokeRules: "]
            ),
            ([chunkedHead + "x\r\n"], ["head 200 chunked", "body ''", "failed: brokeRules: "]),
        ])
    func failures(_ pieces: [String], _ expected: [String]) throws {
        let calls = try calls(pieces)
        #expect(calls.count == expected.count && zip(calls, expected).allSatisfy { $0.hasPrefix($1) }, "\(calls)")
    }

    @Test("tells of a broken connection what the kernel says, and that a server vanished where no answer came to it")
    func broken() throws {
        for (error, name) in [(SystemError.connectionReset, "reset"), (.timedOut, "vanished")] {
            for isInBody in [false, true] {
                let world = try ScriptedServer()
                let receiver = ScriptedReceiver()
                let connection = try world.asked(for: receiver)
                if isInBody { world.answer(Self.chunkedHead, to: connection) }
                world.kernel.breaks(connection.descriptor, error)
                world.worker.turn()
                #expect(receiver.calls.last == "failed: \(name): \(error.message)")
            }
        }
    }

    @Test("reads the answer of a server that answered early and closed, before it tells that writing failed")
    func earlyAnswer() throws {
        let world = try ScriptedServer()
        let receiver = ScriptedReceiver()
        let connection = try world.asked(for: receiver, isWhole: false)
        world.kernel.writeFailures[connection.descriptor] = .brokenPipe
        world.send("body", on: connection)
        receiver.react = { if $0.hasSuffix(" whole") { connection.detach() } }
        world.answer(Self.whole, to: connection)
        #expect(receiver.calls == ["connected", "head 200 length(2)", "body 'ok' whole"])
        #expect(!connection.isOpen && world.server.idleCount == 0)
    }

    @Test("bounds interim responses, and tells none behind one that is too many")
    func interim() throws {
        let hints = String(repeating: "HTTP/1.1 103 Early Hints\r\n\r\n", count: 17)
        let calls = try calls([hints])
        #expect(calls.prefix(16).allSatisfy { $0 == "interim 103" } && calls.count == 17)
        #expect(calls[16].hasPrefix("failed: brokeRules: more interim responses"))
    }

    // MARK: Tunnels

    @Test("becomes a tunnel where an upgrade was asked for, and passes on its bytes and its end")
    func tunnel() throws {
        let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: a\r\n\r\n"
        #expect(
            try calls([head + "x", "yz", ""], asksForUpgrade: true) == ["head 101 none", "tunnel 'x'", "tunnel 'yz'", "tunnel ended"])
        #expect(try calls([head, ""], asksForUpgrade: true) == ["head 101 none", "tunnel ended"])
        #expect(try calls([Self.whole], asksForUpgrade: true) == ["head 200 length(2)", "body 'ok' whole"])
    }

    // MARK: Time

    @Test("waits for an answer for response_timeout, begins again with each interim response, and does not while the request comes")
    func responseTimeout() throws {
        let world = try ScriptedServer()
        let receiver = ScriptedReceiver()
        let connection = try world.asked(for: receiver, isWhole: false)
        world.pass(milliseconds: 100_000)
        #expect(receiver.calls == ["connected"])
        world.send("body", on: connection)
        world.pass(milliseconds: 15_000)
        world.answer("HTTP/1.1 102 Processing\r\n\r\n", to: connection)
        world.pass(milliseconds: 19_900)
        #expect(receiver.calls == ["connected", "interim 102"])
        world.pass(milliseconds: 200)
        #expect(receiver.calls.last == "failed: responseTimeout: no response within 20000 ms")
    }

    @Test("calls a server silent that is, and not one that was not read")
    func silence() throws {
        let world = try ScriptedServer()
        let receiver = ScriptedReceiver()
        let connection = try world.asked(for: receiver)
        world.answer(Self.chunkedHead, to: connection)
        connection.pause(for: .slowClient)
        world.pass(milliseconds: 60_000)
        connection.resume(for: .slowClient)
        world.pass(milliseconds: 9_900)
        #expect(receiver.calls.last == "body ''")
        world.pass(milliseconds: 200)
        #expect(receiver.calls.last == "failed: silent: no byte from the server for 10000 ms")
    }

    @Test("is read again when the last reason not to is gone")
    func pauses() throws {
        let world = try ScriptedServer()
        let connection = try world.asked(for: ScriptedReceiver())
        let other = UpstreamConnection.PauseReasons(rawValue: 128)
        connection.pause(for: .slowClient)
        connection.pause(for: other)
        connection.pause(for: other)
        connection.resume(for: other)
        #expect(connection.isReadingPaused)
        connection.resume(for: .slowClient)
        #expect(!connection.isReadingPaused)
    }

    // MARK: Afterwards

    @Test("waits in the pool behind a response that was whole, and closes there when the server sends something, ends, or it is time")
    func pooled() throws {
        for disturbance in ["x", "", nil] {
            let world = try ScriptedServer()
            let connection = try world.idle()
            #expect(world.server.activeCount == 0)
            if let disturbance { world.answer(disturbance, to: connection) } else { world.pass(milliseconds: 4_100) }
            #expect(!connection.isOpen && world.server.idleCount == 0, "\(disturbance ?? "time")")
        }
    }

    @Test(
        "is closed behind a response that leaves anything open",
        arguments: [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
            whole + "x", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
        ])
    func notPooled(_ answer: String) throws {
        let world = try ScriptedServer()
        let connection = try world.asked(for: ScriptedReceiver())
        world.answer(answer, to: connection)
        #expect(connection.isOpen)
        connection.detach()
        #expect(!connection.isOpen && world.server.idleCount == 0 && world.server.activeCount == 0)
    }

    @Test("is closed where something came behind a response before its receiver detached, or the request was not sent whole")
    func lateBytes() throws {
        for late in ["x", ""] {
            let world = try ScriptedServer()
            let receiver = ScriptedReceiver()
            let connection = try world.asked(for: receiver)
            world.answer(Self.whole, to: connection)
            world.answer(late, to: connection)
            #expect(receiver.calls.last == "body 'ok' whole")
            connection.detach()
            #expect(!connection.isOpen && world.server.idleCount == 0)
        }
        let world = try ScriptedServer()
        let connection = try world.asked(for: ScriptedReceiver(), isWhole: false)
        world.answer(Self.whole, to: connection)
        connection.detach()
        #expect(!connection.isOpen && world.server.idleCount == 0)
    }

    @Test("may have been dead only while it is reused and nothing has come back")
    func reused() throws {
        let world = try ScriptedServer()
        let connection = try world.idle()
        #expect(world.group.takeIdle(0) === connection)
        let receiver = ScriptedReceiver()
        connection.reuse(for: receiver)
        connection.sendRequest([], method: .get, framing: .none, asksForUpgrade: false, isWhole: true)
        #expect(connection.mayHaveBeenDead && world.server.activeCount == 1)
        world.answer("H", to: connection)
        #expect(!connection.mayHaveBeenDead)
        world.answer("TTP/1.1 204 No Content\r\n\r\n", to: connection)
        connection.detach()
        #expect(receiver.calls == ["head 204 none", "body '' whole"] && world.server.idleCount == 1)
    }

    @Test("tells nothing more once its receiver has detached, within whichever call", arguments: ["interim", "head", "body", "tunnel"])
    func detachesWithin(_ call: String) throws {
        let world = try ScriptedServer()
        let receiver = ScriptedReceiver()
        let connection = try world.asked(for: receiver, asksForUpgrade: true)
        receiver.react = { if $0.hasPrefix(call) { connection.detach() } }
        let head = call == "tunnel" ? "HTTP/1.1 101 Switching Protocols\r\nUpgrade: a\r\n\r\nx" : Self.chunkedHead + "1\r\na\r\nx"
        world.answer("HTTP/1.1 103 Early Hints\r\n\r\n" + head, to: connection)
        #expect(receiver.calls.last?.hasPrefix(call) == true && !connection.isOpen && world.server.activeCount == 0)
        connection.detach()
        #expect(world.server.activeCount == 0)
    }
}

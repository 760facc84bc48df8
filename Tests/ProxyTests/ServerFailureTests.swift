// What follows from each way in which a server fails: the table as a whole, and an EventSource that meets each kind.

import Configuration
import Reactor
import Telemetry
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy
@testable import Upstreams

@Suite("A server that fails")
struct ServerFailureTests {
    private static let request = "GET /e HTTP/1.1\nHost: h\nAccept: text/event-stream"

    @Test("has one cause and one status, and is an outage, may be chance, or comes too late for another try")
    func table() {
        let waits: [ServerFailure: (Cause, Int)] = [
            .nameNotResolved: (.nameNotResolved, 502), .connectionRefused: (.connectionRefused, 502),
            .connectTimeout: (.connectTimeout, 504),
            .connectFailed: (.connectFailed, 502), .backlogFull: (.connectFailed, 503), .handshakeTimeout: (.connectTimeout, 504),
            .handshakeBroken: (.upstreamTLSError, 502),
            .noResponse: (.upstreamNoResponse, 502), .headCutOff: (.upstreamProtocolError, 502), .reset: (.upstreamReset, 502),
            .vanished: (.upstreamVanished, 502), .responseTimeout: (.responseTimeout, 504), .outageAnswer: (.upstreamUnavailable, 503),
        ]
        let broken: [ServerFailure: (Cause, Int)] = [
            .handshakeRefused: (.upstreamTLSError, 502), .recordRefused: (.upstreamTLSError, 502),
            .brokeRules: (.upstreamProtocolError, 502),
        ]
        let late: [ServerFailure: (Cause, Int)] = [.bodyCutOff: (.upstreamCutOff, 502), .silent: (.upstreamSilent, 504)]
        for failure in ServerFailure.allCases {
            let expected = waits[failure] ?? broken[failure] ?? late[failure]
            #expect(failure.cause == expected?.0 && failure.status == expected?.1, "\(failure)")
            #expect(failure.cause.side == .upstream)
            let remedy: ServerFailure.Remedy = waits[failure] != nil ? .wait : broken[failure] != nil ? .tryOnceMore : .tooLate
            #expect(failure.remedy == remedy, "\(failure)")
        }
    }

    private func world(servers: Int = 1, early: EarlyPolicy? = nil, answers: OutageAnswers = OutageAnswers()) throws -> ScriptedProxy {
        let upstream = Upstream(
            name: "u", servers: (0..<servers).map { Upstream.Server(host: "s\($0)", port: 80) }, failureCooldownMilliseconds: 2_000)
        let addresses = (0..<servers).map { [SocketAddress(bytes: [10, 0, 0, UInt8($0)], port: 80)] }
        return try ScriptedProxy(
            upstream, addresses: addresses,
            route: Route(upstreamIndex: 0, outage: .retry(holdMilliseconds: 30_000), outageAnswers: answers, early: early))
    }

    /// The newest attempt to connect succeeds, and the server answers with these bytes.
    private func answer(_ world: ScriptedProxy, _ text: String) throws {
        try world.attemptEnds()
        let server = try #require(world.kernel.attempts.last).descriptor
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty, !world.kernel.closed.contains(server) {
            world.kernel.receive(server, bytes: Array(rest.prefix(30_000)))
            rest = rest.dropFirst(30_000)
            world.worker.turn()
        }
    }

    private func status(_ world: ScriptedProxy, _ client: HTTP1Connection) throws -> String {
        String(try ReadHead(world.answers(client)).firstLine.dropFirst(9).prefix(3))
    }

    private static let broken = [
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "garbage\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: " + String(repeating: "a", count: 70_000), "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    ]

    @Test("by breaking HTTP's rules is asked once more, and then its client is told", arguments: broken)
    func brokenEveryTime(_ text: String) throws {
        let world = try world()
        let client = try world.connectClient()
        world.send(client, Self.request)
        try answer(world, text)
        #expect(world.answers(client).isEmpty && world.kernel.attempts.count == 2)
        try answer(world, text)
        #expect(try status(world, client) == "502" && world.kernel.attempts.count == 2)
    }

    @Test("by breaking HTTP's rules once is not noticed by its client")
    func brokenOnce() throws {
        let world = try world()
        let client = try world.connectClient()
        world.send(client, Self.request)
        try answer(world, "garbage\r\n\r\n")
        try answer(world, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        #expect(contains(world.answers(client), "data: 1\n\n"))
        #expect(world.proxy.exchanges.groups[0].servers[0].activeCount == 1)
    }

    @Test("by breaking HTTP's rules leaves its client to the other server, and that one's outage is waited for")
    func brokenOfTwo() throws {
        let world = try world(servers: 2)
        let client = try world.connectClient()
        world.send(client, Self.request)
        try answer(world, "garbage\r\n\r\n")
        #expect(world.kernel.attempts.count == 2 && world.kernel.attempts[0].address != world.kernel.attempts[1].address)
        try world.attemptEnds(.connectionRefused)
        #expect(try status(world, client) == "200")
    }

    @Test("by breaking HTTP's rules ends a hold at once, and its client is told to come back", arguments: [true, false])
    func brokenWhileHeld(isEarly: Bool) throws {
        let world = try world(early: isEarly ? EarlyPolicy(afterMilliseconds: 1_000) : nil)
        let client = try world.connectClient()
        world.send(client, Self.request)
        if isEarly {
            try world.attemptEnds()
            world.pass(milliseconds: 1_100)
            world.kernel.receive(world.kernel.attempts[0].descriptor, "garbage\r\n\r\n")
            world.worker.turn()
        } else {
            try world.attemptEnds(.connectionRefused)
            for _ in 0..<100 where world.kernel.attempts.count == 1 { world.pass(milliseconds: 50) }
            try answer(world, "garbage\r\n\r\n")
        }
        let answers = latin1(world.answers(client))
        #expect(answers.hasPrefix("HTTP/1.1 200 OK") && answers.contains("retry: ") && answers.hasSuffix("0\r\n\r\n"))
        let attempts = world.kernel.attempts.count
        world.pass(milliseconds: 5_000)
        #expect(world.kernel.attempts.count == attempts)
    }

    @Test("in the middle of a head, or without an answer, is an outage", arguments: ["HTTP/1.1 200 OK\r\nContent-", ""])
    func cutOff(_ text: String) throws {
        let world = try world()
        let client = try world.connectClient()
        world.send(client, Self.request)
        try world.attemptEnds()
        let server = world.kernel.attempts[0].descriptor
        if !text.isEmpty {
            world.kernel.receive(server, text)
            world.worker.turn()
        }
        world.kernel.receive(server, "")
        world.worker.turn()
        #expect(try status(world, client) == "200")
    }

    @Test("by breaking HTTP's rules is told at once to a client that does not wait for a stream")
    func brokenForOthers() throws {
        let world = try world()
        let client = try world.connectClient()
        world.send(client, "GET /e HTTP/1.1\nHost: h")
        try answer(world, "garbage\r\n\r\n")
        #expect(try status(world, client) == "502" && world.kernel.attempts.count == 1)
    }

    @Test(
        "by an answer that its route counts as an outage is waited past, and by no other",
        arguments: [
            (429, "200"), (500, "500"), (502, "502"), (520, "200"), (527, "200"), (528, "528"), (530, "530"),
        ])
    func outageAnswers(_ answered: Int, _ told: String) throws {
        let world = try world(answers: OutageAnswers([429...429, 520...527]))
        let client = try world.connectClient()
        world.send(client, Self.request)
        try answer(world, "HTTP/1.1 \(answered) X\r\nContent-Length: 0\r\n\r\n")
        #expect(try status(world, client) == told)
    }
}

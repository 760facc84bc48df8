// What the tests of the servers' side share: groups of servers with addresses that say which they are, and one server in a scripted world,
// with a receiver that writes down what it is told.

import Configuration
import HTTP
import Reactor
import TestSupport
import Testing

@testable import Upstreams

/// A group of servers `s0`, `s1` …, each with so many addresses.
func group(
    _ addressCounts: [Int], balance: Upstream.Balance = .roundRobin, cooldown: Int = 2000, worker: Int = 0
) throws -> ServerGroup {
    let servers = addressCounts.indices.map { Upstream.Server(host: "s\($0)", port: 80) }
    let upstream = Upstream(name: "group", servers: servers, balance: balance, failureCooldownMilliseconds: cooldown)
    let addresses = addressCounts.enumerated().map { server, count in (0..<count).map { address(server, $0) } }
    return ServerGroup(upstream, security: try UpstreamSecurity(upstream), addresses: addresses, workerNumber: worker)
}

/// 10.0.<server>.<number>
func address(_ server: Int, _ number: Int) -> SocketAddress {
    SocketAddress(bytes: [10, 0, UInt8(server), UInt8(number)], port: 80)
}

func seen(_ failure: ServerFailure) -> SeenFailure { SeenFailure(failure, evidence: "seen by a test") }

/// Writes down what a connection tells it, one line for each call.
final class ScriptedReceiver: ResponseReceiver {
    private(set) var calls: [String] = []
    var responseLimits = HeadLimits(headBytes: 4_096)
    var handshakeMilliseconds: Int64 = 5_000
    var silenceLimitMilliseconds: Int64? = 10_000
    /// Done within each call, behind its line.
    var react: (String) -> Void = { _ in }

    private func note(_ call: String) {
        calls.append(call)
        react(call)
    }

    func serverConnected() { note("connected") }
    func serverNotReached(_ seen: SeenFailure) { note("not reached: \(seen.failure): \(seen.evidence)") }
    func receiveInterim(_ head: ResponseHead) { note("interim \(head.status)") }
    func receiveHead(_ head: ResponseHead, framing: BodyFraming) { note("head \(head.status) \(framing)") }
    func receiveBody(_ payload: UnsafeMutableRawBufferPointer, isLast: Bool) {
        // Whatever stands around the payload may be overwritten.
        let text = String(decoding: payload, as: UTF8.self)
        _ = OutgoingFraming.chunked.frame(payload, isLast: isLast)
        note("body '\(text)'\(isLast ? " whole" : "")")
    }
    func receiveFromTunnel(_ bytes: UnsafeRawBufferPointer) { note("tunnel '\(String(decoding: bytes, as: UTF8.self))'") }
    func serverEndedTunnel() { note("tunnel ended") }
    func serverFailed(_ seen: SeenFailure) { note("failed: \(seen.failure): \(seen.evidence)") }
    func serverDrained() { note("drained") }
}

/// One server, asked by one worker in a scripted world.
final class ScriptedServer {
    let kernel = ScriptedKernel()
    let worker: Worker
    let group: ServerGroup
    var server: ServerState { group.servers[0] }

    init(host: String = "s", addressCount: Int = 1, _ describe: (inout Upstream) -> Void = { _ in }) throws {
        worker = try Worker(number: 0, kernel: kernel)
        var upstream = Upstream(name: "u", servers: [Upstream.Server(host: host, port: 80)])
        upstream.connectTimeoutMilliseconds = 3_000
        upstream.responseTimeoutMilliseconds = 20_000
        upstream.idleConnectionMilliseconds = 4_000
        describe(&upstream)
        let addresses = (0..<addressCount).map { address(0, $0) }
        group = ServerGroup(upstream, security: try UpstreamSecurity(upstream), addresses: [addresses], workerNumber: 0)
    }

    /// A connection that is being made.
    func connecting(for receiver: ScriptedReceiver) throws -> UpstreamConnection {
        let connection = UpstreamConnection(worker: worker, group: group, server: server)
        try connection.connect(to: address(0, 0), for: receiver)
        return connection
    }

    /// A connection attempt comes out.
    func attemptEnds(_ connection: UpstreamConnection, _ error: SystemError? = nil) {
        kernel.errors[connection.descriptor] = error
        kernel.report(connection.descriptor, .writable)
        worker.turn()
    }

    /// A connection on which a request was sent.
    func asked(
        for receiver: ScriptedReceiver, method: HTTP.Method = .get, asksForUpgrade: Bool = false, isWhole: Bool = true
    ) throws -> UpstreamConnection {
        let connection = try connecting(for: receiver)
        attemptEnds(connection)
        connection.sendRequest(
            Array("GET".utf8), method: method, framing: isWhole ? .none : .length(4), asksForUpgrade: asksForUpgrade, isWhole: isWhole)
        return connection
    }

    /// A connection that waits in the pool.
    func idle() throws -> UpstreamConnection {
        let receiver = ScriptedReceiver()
        let connection = try asked(for: receiver)
        answer("HTTP/1.1 204 No Content\r\n\r\n", to: connection)
        connection.detach()
        #expect(server.idleCount == 1 && connection.isOpen)
        return connection
    }

    /// A connection's receiver sends the last piece of its request's body.
    func send(_ text: String, on connection: UpstreamConnection) {
        Array(text.utf8).withUnsafeBytes { connection.sendBody(worker.copyToScratch($0), isLast: true) }
    }

    /// The server sends these bytes in one piece; none stand for its end.
    func answer(_ text: String, to connection: UpstreamConnection) {
        kernel.receive(connection.descriptor, text)
        worker.turn()
    }

    /// Lets time pass in steps of 50 ms.
    func pass(milliseconds: Int64) {
        let end = kernel.now + milliseconds
        while kernel.now < end {
            kernel.now += 50
            worker.turn()
        }
    }
}

// Who keeps a connection to the console when more come than it takes: nobody who only waits may keep a load balancer's question out.

import Configuration
import Downstreams
import Reactor
import Telemetry
import TestSupport
import Testing

@testable import Console

/// A proxy of one worker that serves, and answers nothing.
private struct QuietSource: ConsoleSource {
    let isServing = true
    let workerCount = 1
    let facts = ConsoleFacts(routes: [], hasEventLog: false)

    func askForCounts(then: @escaping @Sendable () -> Void) {}
    func metrics(_ format: MetricsFormat) -> [UInt8] { Array("heartwire_nothing 0\n".utf8) }
    func ask(_ worker: Int, linesAfter known: UInt64, describing: Bool, _ answer: @escaping @Sendable (LiveAnswer) -> Void) {}
    func askCauses(_ answer: @escaping @Sendable (CauseHour) -> Void) {}
    func watch(_ stream: StreamIdentifier) {}
    func unwatch(_ stream: StreamIdentifier) {}
    func takeWatched(_ stream: StreamIdentifier, _ answer: @escaping @Sendable (_ lines: [UInt8], _ dropped: UInt64) -> Void) {}
    func end(_ stream: StreamIdentifier, _ answer: @escaping @Sendable (ActionOutcome) -> Void) {}
    func switchEventLog(ofRoute name: String, on isOn: Bool) -> ActionOutcome { .unknown }
}

/// A console in a scripted world.
private final class ScriptedConsole {
    let kernel = ScriptedKernel()
    let worker: Worker
    private let console: ConsoleWorker
    private let socket: Int32

    init() throws {
        worker = try Worker(number: 0, kernel: kernel)
        let settings = ConsoleSettings(listeners: [], tokenDigest: nil, allowedHosts: [])
        let terms = ConsoleTerms(settings, pageToken: [])
        console = ConsoleWorker(worker: worker, source: QuietSource(), terms: terms)
        socket = kernel.makeDescriptor()
        let security = try ListenerSecurity(Listener(host: "127.0.0.1", port: 9464))
        #expect(console.adopt(terms, kept: [:], new: [socket: (socket, security)]) == nil)
    }

    /// Clients that connect in one moment, which is one millisecond long.
    func connect(_ count: Int = 1) -> [Int32] {
        let descriptors = (0..<count).map { _ in kernel.makeDescriptor() }
        kernel.backlog += descriptors
        kernel.report(socket, .readable)
        turn()
        return descriptors
    }

    /// A client that connects, asks, and gets this answer.
    func ask(_ path: String) -> String {
        let client = connect()[0]
        send(client, "GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return answer(client)
    }

    func send(_ client: Int32, _ text: String) {
        kernel.receive(client, text)
        turn()
    }

    func answer(_ client: Int32) -> String { String(decoding: kernel.written[client] ?? [], as: UTF8.self) }

    func turn() {
        worker.turn()
        kernel.now += 1
    }
}

@Suite("A full console")
struct RoomTests {
    private let limit = ConsoleLimits.connections

    @Test("gives the place of the client that has waited longest without a request to a load balancer that asks")
    func halfOpen() throws {
        let console = try ScriptedConsole()
        let silent = (0..<limit).map { _ in console.connect()[0] }
        for path in ["/healthz", "/readyz", "/metrics"] {
            let answer = console.ask(path)
            #expect(path == "/metrics" ? answer.isEmpty : answer.hasPrefix("HTTP/1.1 200 "), "\(path)")
        }
        #expect(console.kernel.closed == Set(silent.prefix(3)))
    }

    @Test("takes a head that does not come to its end for no request")
    func halfHeads() throws {
        let console = try ScriptedConsole()
        let slow = (0..<limit).map { _ in console.connect()[0] }
        for client in slow { console.send(client, "GET /healthz HTTP/1.1\r\nHost: local") }
        #expect(console.ask("/healthz").hasPrefix("HTTP/1.1 200 "))
        #expect(console.kernel.closed == [slow[0]])
    }

    @Test("closes those that were served and ask nothing more, the longest idle one first")
    func keptAlive() throws {
        let console = try ScriptedConsole()
        let idle = (0..<limit).map { _ in console.connect()[0] }
        let health = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for client in idle.reversed() { console.send(client, health) }
        console.send(idle[limit - 1], health)
        #expect(console.ask("/healthz").hasPrefix("HTTP/1.1 200 "))
        #expect(console.kernel.closed == [idle[limit - 2]])
    }

    @Test("closes those that do not take their answers")
    func unread() throws {
        let console = try ScriptedConsole()
        let deaf = (0..<limit).map { _ in console.connect()[0] }
        for client in deaf {
            console.kernel.rooms[client] = 10
            console.send(client, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        }
        #expect(console.ask("/healthz").hasPrefix("HTTP/1.1 200 "))
        #expect(console.kernel.closed == [deaf[0]])
    }

    @Test("keeps viewers, and makes room for as many as came too many in one moment")
    func viewers() throws {
        let console = try ScriptedConsole()
        let viewers = (0..<ConsoleLimits.viewers).map { _ in console.connect()[0] }
        for viewer in viewers { console.send(viewer, "GET /feed HTTP/1.1\r\nHost: localhost\r\n\r\n") }
        let silent = console.connect(limit - viewers.count + 8)
        #expect(console.kernel.closed.isEmpty, "a request of theirs may be on its way")
        #expect(console.ask("/healthz").hasPrefix("HTTP/1.1 200 "))
        #expect(console.kernel.closed.count == 9 && console.kernel.closed.isSubset(of: silent))
        #expect(viewers.allSatisfy { console.answer($0).contains("text/event-stream") })
    }

    @Test("answers health even where everybody is being served, and nothing else")
    func served() throws {
        let console = try ScriptedConsole()
        // The workers never answer; the console waits for them for two seconds.
        let served = (0..<limit).map { _ in console.connect()[0] }
        for client in served { console.send(client, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n") }
        #expect(console.ask("/healthz").hasPrefix("HTTP/1.1 200 "))
        #expect(console.ask("/readyz").hasPrefix("HTTP/1.1 200 "))
        #expect(console.ask("/metrics").hasPrefix("HTTP/1.1 503 "))
        #expect(console.kernel.closed.isDisjoint(with: served))
    }
}

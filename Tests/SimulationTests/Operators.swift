// The operator's side of a simulated world: a console on its own worker, and who asks it. One watches and must see what is true, one
// watches and never reads, one scrapes. Nobody else may notice any of them, which all other checks say.

import Configuration
import Console
import Foundation
import TestSupport

@testable import Downstreams
@testable import Exchanges
@testable import Proxy
@testable import Reactor
@testable import Telemetry

/// Somebody who asks the console, and comes back when the connection ends.
final class ConsoleCaller {
    private let world: SimulatedWorld
    private let connect: () -> Wire
    private let path: String
    private let reads: Bool
    private var wire: Wire
    private var rest: [UInt8] = []
    /// How many bytes of `rest` are known to end no message: large messages come in thousands of pieces.
    private var searchedCount = 0
    private(set) var connectedAt: Int64 = 0
    /// The streams that it is shown now.
    private(set) var shown: Set<String> = []
    /// How many whole answers, or messages of a feed, it has read.
    private(set) var answerCount = 0
    private var isRetired = false
    /// How often the snapshot has begun on one connection, at most.
    private(set) var mostBeginnings = 0
    private var beginnings = 0

    init(_ world: SimulatedWorld, path: String, reads: Bool, connect: @escaping () -> Wire) {
        (self.world, self.path, self.reads, self.connect) = (world, path, reads, connect)
        wire = connect()
        ask()
    }

    private func ask() {
        (rest, searchedCount, shown, connectedAt, beginnings) = ([], 0, [], world.now, 0)
        wire.changed = { [unowned self] in if reads { look() } }
        // A body of HTTP/1.0 ends with its connection, and has no chunks.
        wire.send(Array("GET \(path) HTTP/1.0\r\nHost: localhost\r\n\r\n".utf8))
    }

    private func look() {
        guard !wire.socket.isClosed else { return }
        rest += wire.read()
        var start = 0
        var index = max(searchedCount, 1)
        while index < rest.count {
            if rest[index] == 0x0A, rest[index - 1] == 0x0A, index > start {
                take(String(decoding: rest[start..<(index - 1)], as: UTF8.self))
                start = index + 1
                index += 1
            }
            index += 1
        }
        rest.removeSubrange(..<start)
        searchedCount = rest.count
        guard wire.isBroken || wire.hasEnded else { return }
        if path != "/feed", wire.hasEnded { answerCount += 1 }
        wire.end(.left)
        world.after(Int64(world.chance.number(200...2_000))) { [self] in
            guard !isRetired else { return }
            wire = connect()
            ask()
        }
    }

    func retire() {
        isRetired = true
        if !wire.socket.isClosed { wire.end(.left) }
    }

    private func take(_ message: String) {
        let lines = message.components(separatedBy: "\n")
        guard let event = lines.first(where: { $0.hasPrefix("event: ") })?.dropFirst(7),
            let data = lines.first(where: { $0.hasPrefix("data: ") })?.dropFirst(6),
            let object = try? JSONSerialization.jsonObject(with: Data(data.utf8)) as? [String: Any]
        else { return }
        answerCount += 1
        switch event {
        case "hello":
            shown = []
            beginnings += 1
            mostBeginnings = max(mostBeginnings, beginnings)
        case "rows":
            for case let row as [Any] in object["rows"] as? [Any] ?? [] {
                if let stream = (row.first as? [String: Any])?["stream"] as? String { shown.insert(stream) }
            }
        case "gone": for case let stream as String in object["streams"] as? [Any] ?? [] { shown.remove(stream) }
        case "lines":
            for case let line as [String: Any] in object["lines"] as? [Any] ?? [] where line["event"] as? String == "stream_end" {
                if let stream = line["stream"] as? String { shown.remove(stream) }
            }
        default: break
        }
    }
}

/// The console of a world, and those who ask it.
final class Operators {
    /// The port of the viewer that never reads.
    private static let deafPort: UInt16 = 2
    /// What the console's page brings with an action.
    static let pageToken = "0"
    static let address = SocketAddress(numeric: "10.9.9.9", port: 9_464)!
    /// How old a change is before the watcher must have been told. A round may report a stream as gone that began after the round did; the
    /// next two tell it again. Then comes the way through a slow connection.
    static let lagMilliseconds: Int64 = 10_000

    let worker: Worker
    private let console: ConsoleWorker
    private let kernel: SimulatedKernel
    private let world: SimulatedWorld
    private(set) var watcher: ConsoleCaller?
    private(set) var deaf: ConsoleCaller?
    private(set) var scraper: ConsoleCaller?
    /// The one who acts, in some worlds.
    private(set) var acting: ActingOperator?

    init(_ kernel: SimulatedKernel, _ world: SimulatedWorld, over mailboxes: [Mailbox], _ configuration: Configuration) throws {
        (self.kernel, self.world) = (kernel, world)
        worker = try Worker(number: mailboxes.count, kernel: kernel)
        let proxy = ConsoleView.Proxy(
            isServing: { true }, configuration: { configuration }, askForCounts: { $0() }, metrics: { _ in Array("text\n".utf8) })
        let listener = Listener(host: "10.9.9.9", port: Operators.address.port)
        let terms = ConsoleTerms(ConsoleSettings(listeners: [listener]), pageToken: Array(Operators.pageToken.utf8))
        console = ConsoleWorker(worker: worker, source: ConsoleView(mailboxes, of: proxy), terms: terms)
        let descriptor = try kernel.listen(Operators.address, sharingPort: true)
        _ = console.adopt(terms, kept: [:], new: [0: (descriptor, try ListenerSecurity(listener))])
    }

    private func connect(_ port: UInt16) -> Wire {
        Wire(kernel.connectToProxy(Operators.address, from: SocketAddress(numeric: "192.0.2.250", port: port)!), world)
    }

    /// They come, each at a moment of its own.
    func begin(acting: Bool, hasEventLog: Bool, running: @escaping () -> Set<String>) {
        if acting {
            let actor = ActingOperator(world, hasEventLog: hasEventLog, running: running) { [unowned self] in connect(9) }
            self.acting = actor
            world.after(Int64(world.chance.number(0...10_000))) { actor.act() }
        }
        for (number, (path, reads)) in [("/feed", true), ("/feed", false), ("/metrics", true)].enumerated() {
            world.after(Int64(world.chance.number(0...10_000))) { [self] in
                let caller = ConsoleCaller(world, path: path, reads: reads) { [unowned self] in connect(UInt16(1 + number)) }
                if number == 0 { watcher = caller } else if number == 1 { deaf = caller } else { scraper = caller }
            }
        }
    }

    /// Whether bytes wait for the viewer that never reads. The others read slowly in some worlds, and each time other bytes wait for them.
    var hasBytesForDeafViewer: Bool {
        worker.openEndpoints.contains { endpoint in
            guard let connection = endpoint as? HTTP1Connection else { return false }
            return connection.peer.port == Operators.deafPort && connection.pendingCount > 0
        }
    }

    func retire() {
        for caller in [watcher, deaf, scraper] { caller?.retire() }
    }

    /// Ends the console; called when the proxy's workers have stopped.
    func end() { console.end() }

    /// The event streams that run on these workers now.
    static func running(on proxies: [ProxyWorker]) -> Set<String> {
        var found: Set<String> = []
        for proxy in proxies {
            var place: Int? = 0
            while let from = place {
                var part = StreamPart(worker: proxy.worker.number, now: 0)
                place = proxy.exchanges.look(from: from, describing: false, into: &part)
                found.formUnion(part.states.map(\.stream.logged))
            }
        }
        return found
    }
}

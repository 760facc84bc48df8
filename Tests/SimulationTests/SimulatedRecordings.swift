// The recordings of a simulated world: a queue that nobody's thread empties, the keeper of the files, and a folder in memory whose disk is
// full at times. Invariant: the folder forgets nothing that was ever written, and says at once what breaks a bound.

import Configuration
import TestSupport

@testable import Exchanges
@testable import Reactor
@testable import Telemetry

/// How a world records, and how much of it there may be.
struct RecordingPlan {
    let policy: RecordingPolicy
    /// How many bytes may wait on their way to the files.
    let queueBytes: Int
    /// Whether the disk is full at times.
    let hasFullDisk: Bool
    /// How many clients bring a token, which their servers repeat in their streams.
    let tokenClientCount: Int

    /// One world of three records. Nothing of the world itself follows from these choices.
    init?(ofWorld seed: UInt64) {
        var chance = Chance(seed: seed &+ 40_404)
        guard chance.permille(330) else { return nil }
        var policy = RecordingPolicy(directory: "recordings")
        if chance.permille(200) { policy.fileBytes = chance.pick([2_000, 20_000]) }
        if chance.permille(200) { policy.totalBytes = chance.pick([8_000, 100_000]) }
        if chance.permille(200) { policy.files = chance.number(2...20) }
        if chance.permille(200) { policy.ageMilliseconds = chance.pick([3_000, 12_000]) }
        self.policy = policy
        queueBytes = chance.permille(200) ? chance.pick([1_500, 20_000]) : 16 << 20
        hasFullDisk = chance.permille(150)
        tokenClientCount = chance.number(0...3)
    }

    /// Whether no recording is ever refused, cut or removed.
    var isRoomy: Bool {
        let usual = RecordingPolicy(directory: policy.directory)
        return policy == usual && !hasFullDisk && queueBytes == 16 << 20
    }
}

/// A folder in memory.
final class RecordingFolder: RecordingStore, @unchecked Sendable {
    /// A file, and what happened to it.
    struct File {
        let name: String
        var bytes: [UInt8] = []
        /// The times of the clock at which it was begun and written last.
        let begunAt: Int64
        var writtenAt: Int64
        /// The disk took only a part of the last write.
        var isCut = false

        /// Its last line.
        var lastLine: String {
            let lines = bytes.split(separator: 10, omittingEmptySubsequences: false)
            return String(decoding: lines.dropLast().last ?? [], as: UTF8.self)
        }
        var isOver: Bool { isCut || lastLine.split(separator: " ").dropFirst().first == "end" }
        /// Whether its end says that a bound of the directory was reached.
        var isEndedByBound: Bool { lastLine.hasSuffix("the bounds of the directory") }
    }

    /// A file may exceed its bound by the line about its end, and the folder by one such line for each file.
    private static let endBytes = 120

    private let policy: RecordingPolicy
    private let clock: () -> Int64
    private(set) var present: [String: File] = [:]
    private(set) var removed: [File] = []
    private(set) var problems: [String] = []
    var isFull = false

    init(_ policy: RecordingPolicy, clock: @escaping () -> Int64) { (self.policy, self.clock) = (policy, clock) }

    /// All files that ever were.
    var all: [File] { removed + present.values.sorted { $0.name < $1.name } }

    func list() -> [StoredRecording] {
        present.values.sorted { $0.name > $1.name }.map {
            StoredRecording(name: $0.name, byteCount: $0.bytes.count, modifiedMilliseconds: $0.writtenAt)
        }
    }

    func append(_ bytes: [UInt8], to name: String, isNew: Bool) -> Bool {
        if isNew != (present[name] == nil) || removed.contains(where: { $0.name == name }) { problems.append("\(name) begins twice") }
        let now = clock()
        var file = present[name] ?? File(name: name, begunAt: now, writtenAt: now)
        if file.isOver { problems.append("\(name) goes on behind its end") }
        file.isCut = isFull
        file.bytes += isFull ? bytes.prefix(bytes.count / 2) : bytes[...]
        file.writtenAt = now
        present[name] = file
        if now - file.begunAt > Int64(policy.ageMilliseconds), !file.isEndedByBound, !file.isCut {
            problems.append("\(name) has run for \(now - file.begunAt) ms")
        }
        checkSizes(file)
        return !isFull
    }

    private func checkSizes(_ file: File) {
        let total = present.values.reduce(0) { $0 + $1.bytes.count }
        let ends = present.values.count(where: \.isEndedByBound)
        if file.bytes.count > policy.fileBytes + 2 * Self.endBytes { problems.append("\(file.name) has \(file.bytes.count) bytes") }
        if total > policy.totalBytes + ends * Self.endBytes { problems.append("\(total) bytes in the directory of recordings") }
        if present.count > policy.files { problems.append("\(present.count) files in the directory of recordings") }
    }

    func remove(_ name: String) {
        guard let file = present.removeValue(forKey: name) else { return problems.append("\(name) is removed twice") }
        removed.append(file)
        let isOld = clock() - file.writtenAt > Int64(policy.ageMilliseconds)
        if !file.isOver, !isOld { problems.append("\(name) is removed while it runs") }
    }

    func reopen() -> Bool { true }

    /// Called when the keeper had its turn: what is too old is gone. It looks once a second.
    func checkAges() {
        let now = clock()
        for file in present.values where now - file.writtenAt > Int64(policy.ageMilliseconds) + 1_000 {
            problems.append("\(file.name) is kept \(now - file.writtenAt) ms after its last line")
        }
    }
}

/// What records in a world.
final class SimulatedRecordings {
    let plan: RecordingPlan
    let folder: RecordingFolder
    let queue: LogWriter
    private let keeper: RecordingKeeper
    private let world: SimulatedWorld
    private var chance: Chance
    private var hasEnded = false
    /// When reloads switched recordings off or on.
    private(set) var switches: [(at: Int64, isOn: Bool)] = []

    init(_ plan: RecordingPlan, _ world: SimulatedWorld, _ kernel: SimulatedKernel) {
        (self.plan, self.world) = (plan, world)
        let policy = plan.policy
        folder = RecordingFolder(policy) { kernel.unixMilliseconds() }
        let bounds = RecordingBounds(
            totalBytes: policy.totalBytes, files: policy.files, ageMilliseconds: Int64(policy.ageMilliseconds))
        keeper = RecordingKeeper(folder, bounds) { kernel.unixMilliseconds() }
        queue = LogWriter(sink: keeper, capacityBytes: plan.queueBytes, clock: { 0 })
        chance = Chance(seed: UInt64(plan.queueBytes) &+ UInt64(plan.policy.fileBytes) &+ UInt64(plan.tokenClientCount))
    }

    /// The queues of recordings, as the workers know them.
    var queues: [RecordingPolicy: LogWriter] { [plan.policy: queue] }

    /// From now on, lines go into files at random moments, until the world is over.
    func begin() {
        guard !hasEnded else { return }
        if plan.hasFullDisk { folder.isFull = chance.permille(folder.isFull ? 800 : 30) }
        // The operator moves the folder and has it opened again.
        if chance.permille(20) { _ = keeper.reopen() }
        empty()
        world.after(Int64(chance.number(1...900))) { [self] in begin() }
    }

    private func empty() {
        let lines = queue.takeLines().lines
        if lines.isEmpty { keeper.timePassed() } else { _ = lines.withUnsafeBytes { keeper.write($0) } }
        folder.checkAges()
    }

    /// Nothing happens by itself any more: a proxy that does not end must be noticed.
    func stop() { hasEnded = true }

    /// The last lines go into their files.
    func end() {
        stop()
        empty()
    }

    /// A reload may switch recordings off, and a later one on again.
    func reload(_ configuration: inout Configuration) -> [RecordingPolicy: LogWriter] {
        let isOn = chance.permille(600)
        if !isOn { for index in configuration.routes.indices { configuration.routes[index].recording = nil } }
        switches.append((world.now, isOn))
        return isOn ? queues : [:]
    }

    /// Whether all that began and ended between the two moments was recorded.
    func isOn(from start: Int64, to end: Int64) -> Bool {
        let before = switches.last { $0.at < start }?.isOn ?? true
        return before && switches.allSatisfy { $0.isOn || $0.at < start || $0.at > end }
    }

    /// Whether a recording may have bytes of that moment: workers may adopt other settings a little later.
    func mayBeOn(at moment: Int64) -> Bool {
        let last = switches.last { $0.at <= moment }
        return last?.isOn ?? true || moment - (last?.at ?? 0) <= 200
    }
}

extension Scenario {
    /// Clients that bring a token, which their servers repeat in their streams. Tokens that stand nowhere else cannot be missed.
    func addTokenClients() {
        for number in 0..<(recordings?.plan.tokenClientCount ?? 0) {
            let truth = Truth(path: "/stream/token\(number)", isStream: true)
            truth.token = Array("secret-\(number)-of-the-simulated-world".utf8)
            register(truth)
            let field = "Authorization: Bearer \(String(decoding: truth.token ?? [], as: UTF8.self))\r\n"
            let request = "GET \(truth.path) HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\(field)\r\n"
            world.after(Int64(world.chance.number(0...25_000))) { [self] in
                let client = SimulatedClient(
                    world, connection(from: 600 + number), truths: [truth], requests: [Array(request.utf8)], isSlow: false,
                    sendsAllAtOnce: false)
                clients.append(client)
                guard world.chance.permille(300) else { return }
                world.after(Int64(world.chance.number(0...10_000))) { client.leave(.left) }
            }
        }
    }
}

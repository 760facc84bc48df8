// The files of recordings and their bounds, in a folder that is in memory.

import Synchronization
import Telemetry
import TestSupport
import Testing

/// A folder in memory.
final class MemoryStore: RecordingStore {
    struct State {
        var files: [String: [UInt8]] = [:]
        var modified: [String: Int64] = [:]
        var now: Int64 = 0
        var takesNothing = false
        var most = (files: 0, bytes: 0)
    }
    let state = Mutex(State())

    func list() -> [StoredRecording] {
        state.withLock { state in
            state.files.map { StoredRecording(name: $0.key, byteCount: $0.value.count, modifiedMilliseconds: state.modified[$0.key] ?? 0) }
        }
    }

    func append(_ bytes: [UInt8], to name: String, isNew: Bool) -> Bool {
        state.withLock { state in
            if state.takesNothing { return false }
            precondition(isNew == (state.files[name] == nil), "a recording begins once")
            state.files[name, default: []] += bytes
            state.modified[name] = state.now
            state.most.files = max(state.most.files, state.files.count)
            state.most.bytes = max(state.most.bytes, state.files.values.reduce(0) { $0 + $1.count })
            return true
        }
    }

    func remove(_ name: String) { state.withLock { _ = $0.files.removeValue(forKey: name) } }

    func reopen() -> Bool { true }
}

@Suite("The keeper of recordings")
struct RecordingKeeperTests {
    private let store = MemoryStore()
    private let header = RecordingHeader(timeMilliseconds: 0, contentType: Array("a/b".utf8))

    private func keeper(totalBytes: Int = 1 << 20, files: Int = 100, ageMilliseconds: Int64 = 1_000_000) -> RecordingKeeper {
        let bounds = RecordingBounds(totalBytes: totalBytes, files: files, ageMilliseconds: ageMilliseconds)
        return RecordingKeeper(store, bounds) { [store] in store.state.withLock { $0.now } }
    }

    private func writer(_ number: UInt64) -> RecordingWriter {
        let name = RecordingWriter.name(timeMilliseconds: Int64(number), StreamIdentifier(worker: 0, number: number))
        return RecordingWriter(fileName: name, limitBytes: 1 << 20)
    }

    private func give(_ lines: [UInt8], to keeper: RecordingKeeper) { _ = lines.withUnsafeBytes { keeper.write($0) } }

    private var files: [[UInt8]] { store.state.withLock { state in state.files.keys.sorted().map { state.files[$0] ?? [] } } }

    private func entries(_ file: [UInt8]) throws -> [RecordingEntry] {
        var reader = RecordingReader()
        var entries: [RecordingEntry] = []
        try reader.read(file.span) { entries.append($0) }
        return entries
    }

    private func ends(_ file: [UInt8]) throws -> String? {
        if case .end(let end, _)? = try entries(file).last?.kind { end.word } else { nil }
    }

    @Test("puts the lines of many streams into a file for each")
    func eachItsFile() throws {
        let keeper = keeper()
        var writers = (0..<3).map { writer(UInt64($0)) }
        var lines: [UInt8] = []
        for index in writers.indices { lines += writers[index].begin(header) }
        for round in 0..<4 {
            for index in writers.indices { lines += writers[index].bytes([UInt8(0x30 + index)].span, at: Int64(round)) }
        }
        // The queue's own line belongs to no recording.
        lines += Array("{\"event\":\"dropped_lines\",\"count\":3}\n".utf8)
        give(lines, to: keeper)
        #expect(files.count == 3)
        for (index, file) in files.enumerated() {
            #expect(try entries(file) == (0..<4).map { RecordingEntry(milliseconds: $0, .bytes([UInt8(0x30 + index)])) })
        }
    }

    @Test("ignores lines of a recording whose beginning it does not have")
    func headless() {
        let keeper = keeper()
        var writer = writer(1)
        _ = writer.begin(header)
        give(writer.bytes([1].span, at: 1), to: keeper)
        #expect(files.isEmpty)
    }

    @Test("removes the oldest recordings that are over, and only those, before there are too many")
    func tooMany() throws {
        let keeper = keeper(files: 3)
        var running = writer(1)
        give(running.begin(header), to: keeper)
        for number in 2...6 {
            var writer = writer(UInt64(number))
            give(writer.begin(header) + writer.end(.finished, evidence: "", at: 1), to: keeper)
        }
        #expect(
            store.state.withLock { $0.files.keys.sorted().map { $0.suffix(16) } } == [
                "000001.recording", "000005.recording", "000006.recording",
            ])
        give(running.bytes([7].span, at: 9), to: keeper)
        #expect(try entries(files[0]).count == 1)
        #expect(store.state.withLock { $0.most.files } == 3)
    }

    @Test("refuses a new recording where all that are there still run")
    func allRun() {
        let keeper = keeper(files: 2)
        var writers = (0..<3).map { writer(UInt64($0)) }
        for index in writers.indices { give(writers[index].begin(header) + writers[index].bytes([1].span, at: 0), to: keeper) }
        give(writers[2].bytes([1].span, at: 1), to: keeper)
        #expect(files.count == 2 && store.state.withLock { $0.most.files } == 2)
    }

    @Test("ends a recording that runs where the directory is full and nothing is over")
    func full() throws {
        let keeper = keeper(totalBytes: 2_000)
        var writer = writer(1)
        give(writer.begin(header), to: keeper)
        for time in 0..<100 { give(writer.bytes([UInt8](repeating: 0x61, count: 100).span, at: Int64(time)), to: keeper) }
        #expect(try ends(files[0]) == "directory_full" && files[0].count < 2_100)
        #expect(store.state.withLock { $0.most.bytes } < 2_100)
    }

    @Test("ends a recording that runs for too long, and removes one that is over for too long")
    func age() throws {
        let keeper = keeper(ageMilliseconds: 1_000)
        var writer = writer(1)
        give(writer.begin(header), to: keeper)
        for time in stride(from: Int64(0), through: 1_500, by: 500) {
            store.state.withLock { $0.now = time }
            give(writer.bytes([1].span, at: time), to: keeper)
        }
        #expect(try ends(files[0]) == "recording_too_old" && entries(files[0]).map(\.milliseconds) == [0, 500, 1_000, 1_500])
        store.state.withLock { $0.now = 2_501 }
        keeper.timePassed()
        #expect(files.isEmpty)
    }

    @Test("knows the recordings of an earlier process, and keeps its own apart")
    func earlier() throws {
        store.state.withLock { $0.files = ["20200101T000000.000Z-w0-000001.recording": [UInt8](repeating: 0x61, count: 900)] }
        let keeper = keeper(totalBytes: 1_000)
        var writer = writer(1)
        give(writer.begin(header) + writer.bytes([UInt8](repeating: 0x61, count: 200).span, at: 0), to: keeper)
        #expect(files.count == 1 && files[0].count < 900)
        #expect(keeper.reopen())
        give(writer.bytes([1].span, at: 1), to: keeper)
        #expect(try entries(files[0]).count == 2)
    }

    @Test("writes nothing more into a file that once took not all")
    func refusal() {
        let keeper = keeper()
        var writer = writer(1)
        give(writer.begin(header), to: keeper)
        store.state.withLock { $0.takesNothing = true }
        give(writer.bytes([1].span, at: 0), to: keeper)
        store.state.withLock { $0.takesNothing = false }
        let before = files
        give(writer.bytes([1].span, at: 0), to: keeper)
        #expect(files == before)
    }
}

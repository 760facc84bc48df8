// The files of the recordings of one directory: lines of many streams come in one queue, each with its file's name in front, and go
// into their files. Old files are removed before a bound is exceeded. It runs on the thread of a `LogWriter`, so it may wait for a disk.
// Invariant: the directory holds no more recordings and bytes than it may, except the lines that say why a recording was ended. To make
// room, only recordings that are over are removed.

import Synchronization

/// A folder with files to which lines are appended. Called from one thread at a time.
package protocol RecordingStore: Sendable {
    /// Its files with the names of recordings, in any order.
    func list() -> [StoredRecording]
    /// Appends to a file; `isNew` says that there must be none yet. False: not all of it could be written.
    func append(_ bytes: [UInt8], to name: String, isNew: Bool) -> Bool
    /// Removes a file.
    func remove(_ name: String)
    /// Opens the folder again, which may have been moved. False: it could not be opened, and the old one stays in use.
    func reopen() -> Bool
}

/// What a folder knows of a recording.
package struct StoredRecording: Sendable {
    /// The file's name.
    package var name: String
    /// Its size.
    package var byteCount: Int
    /// When it was written last, in milliseconds since 1970-01-01 UTC.
    package var modifiedMilliseconds: Int64

    /// What is known of one file.
    package init(name: String, byteCount: Int, modifiedMilliseconds: Int64) {
        self.name = name
        self.byteCount = byteCount
        self.modifiedMilliseconds = modifiedMilliseconds
    }
}

/// How much a directory of recordings may hold.
package struct RecordingBounds: Sendable, Hashable {
    /// The bytes of all recordings.
    package var totalBytes: Int
    /// The number of recordings.
    package var files: Int
    /// How long a recording may run, and how long it is kept after that, in milliseconds.
    package var ageMilliseconds: Int64

    /// These bounds.
    package init(totalBytes: Int, files: Int, ageMilliseconds: Int64) {
        self.totalBytes = totalBytes
        self.files = files
        self.ageMilliseconds = ageMilliseconds
    }
}

/// Puts the lines of recordings into their files, and removes old files.
package final class RecordingKeeper: LogSink {
    /// How the name of a recording ends.
    package static let suffix = ".recording"

    private struct File {
        var byteCount: Int
        var modifiedMilliseconds: Int64
        /// When its recording began; nil when it is over.
        var runningSince: Int64?
    }

    private struct State {
        var files: [String: File] = [:]
        var totalBytes = 0
        /// Whether the folder has been listed.
        var isListed = false
        /// When files that are too old were removed last.
        var cleanedMilliseconds: Int64 = -1_000
    }

    private let store: any RecordingStore
    private let bounds: RecordingBounds
    private let clock: @Sendable () -> Int64
    private let state = Mutex(State())

    /// The keeper of a folder.
    /// - Parameter clock: Milliseconds since 1970-01-01 UTC.
    package init(_ store: any RecordingStore, _ bounds: RecordingBounds, clock: @escaping @Sendable () -> Int64) {
        self.store = store
        self.bounds = bounds
        self.clock = clock
    }

    /// Takes whole lines. Never refuses: a disk that takes nothing must not make the lines of other streams wait.
    package func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let now = clock()
        state.withLock { state in
            list(&state)
            removeOld(&state, now)
            var start = bytes.startIndex
            // One write for each file, although the lines of many streams are mixed.
            var batches: [String: [UInt8]] = [:]
            var names: [String] = []
            while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
                let line = bytes[start...end]
                start = end + 1
                // The queue's own line about lines that it dropped has no name in front. Each recording tells of its own.
                guard let blank = line.firstIndex(of: UInt8(ascii: " ")), line.first != UInt8(ascii: "{") else { continue }
                let name = String(decoding: line[..<blank], as: UTF8.self)
                if batches[name] == nil { names.append(name) }
                batches[name, default: []] += line[(blank + 1)...]
            }
            for name in names { append((name, batches[name] ?? []), &state, now) }
        }
        return true
    }

    /// Removes what has become too old.
    package func timePassed() {
        let now = clock()
        state.withLock { state in
            list(&state)
            removeOld(&state, now)
        }
    }

    /// Opens the folder again.
    package func reopen() -> Bool {
        state.withLock { state in
            let isOpen = store.reopen()
            state.isListed = false
            return isOpen
        }
    }

    // MARK: Files

    /// Lists the folder, once. Recordings of this process that run go on.
    private func list(_ state: inout State) {
        guard !state.isListed else { return }
        state.isListed = true
        let running = state.files.filter { $0.value.runningSince != nil }
        state.files = [:]
        for stored in store.list() {
            state.files[stored.name] = File(
                byteCount: stored.byteCount, modifiedMilliseconds: stored.modifiedMilliseconds,
                runningSince: running[stored.name]?.runningSince)
        }
        for (name, file) in running where state.files[name] == nil { state.files[name] = file }
        state.totalBytes = state.files.values.reduce(0) { $0 + $1.byteCount }
    }

    /// Appends lines of one recording.
    private func append(_ batch: (name: String, bytes: [UInt8]), _ state: inout State, _ now: Int64) {
        guard !batch.bytes.isEmpty else { return }
        let isNew = state.files[batch.name] == nil
        if isNew {
            let mark = recordingMark.withUTF8Buffer { Array($0) }
            // A recording without its beginning is none; it was refused, or its beginning found no room in the queue.
            guard batch.bytes.starts(with: mark), makeRoom(&state, bytes: batch.bytes.count, files: 1) else { return }
            state.files[batch.name] = File(byteCount: 0, modifiedMilliseconds: now, runningSince: now)
        }
        guard let file = state.files[batch.name], let since = file.runningSince else { return }
        if !isNew, now - since > bounds.ageMilliseconds { return end(batch.name, &state, "recording_too_old", batch.bytes, now) }
        if !isNew, !makeRoom(&state, bytes: batch.bytes.count, files: 0) {
            return end(batch.name, &state, "directory_full", batch.bytes, now)
        }
        write(batch.bytes, to: batch.name, isNew: isNew, &state, now)
        if Self.isEnd(batch.bytes) { state.files[batch.name]?.runningSince = nil }
    }

    private func write(_ bytes: [UInt8], to name: String, isNew: Bool, _ state: inout State, _ now: Int64) {
        let isWritten = store.append(bytes, to: name, isNew: isNew)
        state.totalBytes += bytes.count
        state.files[name]?.byteCount += bytes.count
        state.files[name]?.modifiedMilliseconds = now
        // After a line that was cut nothing can be read, so nothing follows it.
        if !isWritten { state.files[name]?.runningSince = nil }
    }

    /// Ends a recording that may not go on, at the time of its next line.
    private func end(_ name: String, _ state: inout State, _ word: String, _ next: [UInt8], _ now: Int64) {
        let time = next.prefix { $0 != UInt8(ascii: " ") }
        write(time + Array(" end \(word) the bounds of the directory\n".utf8), to: name, isNew: false, &state, now)
        state.files[name]?.runningSince = nil
    }

    /// Whether the last of these lines is the end of a recording.
    private static func isEnd(_ lines: [UInt8]) -> Bool {
        let last = lines.dropLast().lastIndex(of: UInt8(ascii: "\n")).map { lines[($0 + 1)...] } ?? lines[...]
        return last.drop { $0 != UInt8(ascii: " ") }.starts(with: Array(" end ".utf8))
    }

    // MARK: Bounds

    /// Removes the oldest recordings that are over until so many more bytes and files have room. False if that is not enough.
    private func makeRoom(_ state: inout State, bytes: Int, files: Int) -> Bool {
        func isEnough(_ state: State) -> Bool {
            state.totalBytes + bytes <= bounds.totalBytes && state.files.count + files <= bounds.files
        }
        if isEnough(state) { return true }
        for name in state.files.filter({ $0.value.runningSince == nil }).keys.sorted() {
            remove(name, &state)
            if isEnough(state) { return true }
        }
        return false
    }

    /// Removes what has not been written for too long, at most once a second. Its stream may still be open: what is left of it would
    /// have no beginning, and is not written.
    private func removeOld(_ state: inout State, _ now: Int64) {
        guard now >= state.cleanedMilliseconds &+ 1_000 || now < state.cleanedMilliseconds else { return }
        state.cleanedMilliseconds = now
        let old = state.files.filter { now - $0.value.modifiedMilliseconds > bounds.ageMilliseconds }
        for name in old.keys { remove(name, &state) }
    }

    private func remove(_ name: String, _ state: inout State) {
        store.remove(name)
        state.totalBytes -= state.files.removeValue(forKey: name)?.byteCount ?? 0
    }
}

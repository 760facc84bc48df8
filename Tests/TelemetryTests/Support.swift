// What the tests of Telemetry share: a sink in memory that fails on request, and lines read back as JSON.

import Foundation
import Telemetry
import Synchronization
import TestSupport
import Testing

/// A sink that keeps its lines, in one list for each opened "file".
final class MemorySink: LogSink {
    struct State {
        var files: [[UInt8]] = [[]]
        var refusals = 0
        var writes = 0
        var isBlocked = false
        var reopens = true
        var healsOnReopen = false
    }
    let state = Mutex(State())

    func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        while state.withLock({
            $0.writes += 1
            return $0.isBlocked
        }) { usleep(500) }
        return state.withLock { state in
            if state.refusals > 0 {
                state.refusals -= 1
                return false
            }
            state.files[state.files.count - 1] += bytes
            return true
        }
    }

    func reopen() -> Bool {
        state.withLock { state in
            if state.healsOnReopen { state.refusals = 0 }
            if state.reopens { state.files.append([]) }
            return state.reopens
        }
    }

    var files: [[String]] {
        state.withLock { $0.files.map { String(decoding: $0, as: UTF8.self).split(separator: "\n").map(String.init) } }
    }
    var lines: [String] { files.flatMap { $0 } }
}

/// A writer with its thread.
final class RunningWriter: Sendable {
    let sink = MemorySink()
    let writer: LogWriter

    init(capacityBytes: Int = 1 << 16) {
        writer = LogWriter(sink: sink, capacityBytes: capacityBytes, clock: { 1_000 })
    }

    func start() {
        let writer = self.writer
        Thread.detachNewThread { writer.run() }
    }

    @discardableResult
    func submit(_ text: String) -> Bool { writer.submit(Array((text + "\n").utf8)) }
}

/// One encoded line as a dictionary, after checking that it is one line.
func parsed(_ line: [UInt8]) throws -> [String: Any] {
    #expect(line.last == UInt8(ascii: "\n"))
    #expect(line.dropLast().allSatisfy { $0 >= 0x20 && $0 != 0x7F })
    return try jsonObject(line)
}

/// The keys of the outermost object in their order. It relies on values without colons and commas.
func keys(_ line: [UInt8]) -> [String] {
    var keys: [String] = []
    var depth = 0
    var text: [UInt8] = []
    var isInString = false
    for byte in line {
        switch byte {
        case UInt8(ascii: "\""):
            isInString.toggle()
            if isInString { text = [] }
        case UInt8(ascii: "{") where !isInString: depth += 1
        case UInt8(ascii: "}") where !isInString: depth -= 1
        case UInt8(ascii: ":") where !isInString:
            if depth == 1 { keys.append(String(decoding: text, as: UTF8.self)) }
        default: text.append(byte)
        }
    }
    return keys
}

/// A page of conf/.
struct ManualPage {
    private let name: String

    init(_ name: String) { self.name = name }

    /// The lines of one section.
    func lines(of section: String) throws -> [String] {
        let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let page = try String(contentsOf: root.appendingPathComponent("conf/" + name), encoding: .utf8)
        let lines = page.components(separatedBy: "\n")
        let start = try #require(lines.firstIndex(of: "## \(section)"), "conf/\(name) has no section '\(section)'")
        return Array(lines[(start + 1)...].prefix { !$0.hasPrefix("## ") })
    }

    /// The table rows of a section that begin with a word in backquotes, split into cells.
    func rows(of section: String) throws -> [[String]] {
        try lines(of: section).filter { $0.hasPrefix("| `") }.map { line in
            line.components(separatedBy: "|").dropFirst().dropLast().map { $0.trimmingCharacters(in: .whitespaces) }
        }
    }
}

/// The words between backquotes in a cell.
func words(in cell: String) -> [String] {
    cell.components(separatedBy: "`").enumerated().filter { !$0.offset.isMultiple(of: 2) }.map(\.element)
}

// What must hold of recordings: each holds the bytes that the proxy got from the server, with times at which they can have come, and ends
// as its stream did. None holds a token. Where nothing kept the proxy from it, each stream has one. Invariant: bytes that are missing are
// announced, to the byte.

import Configuration
import Foundation
import ReferenceEventSource

@testable import Exchanges
@testable import Reactor
@testable import Telemetry

/// A recording that was read.
private struct ReadRecording {
    var notes: [String: String] = [:]
    var begunAt: Int64 = 0
    /// The server's bytes; nil for one that is lost.
    var bytes: [UInt8?] = []
    /// When the bytes came of which so many had come by then, since the beginning.
    var pieces: [(byteCount: Int, at: Int64)] = []
    var heartbeatCount = 0
    var lostCount = 0
    var end: (end: RecordingEnd, at: Int64)?
    /// The time of its last entry.
    var lastAt: Int64 = 0

    mutating func take(_ entry: RecordingEntry) {
        lastAt = entry.milliseconds
        switch entry.kind {
        case .bytes(let some):
            bytes += some.map { $0 }
            pieces.append((bytes.count, entry.milliseconds))
        case .heartbeat: heartbeatCount += 1
        case .lost(let count):
            lostCount += count
            bytes += [UInt8?](repeating: nil, count: count)
        case .end(let end, _): self.end = (end, entry.milliseconds)
        }
    }
}

extension Scenario {
    /// Ends of recordings whose streams may go on.
    private static let endsOfRecordings: Set<String> = [
        "recording_full", "recording_too_old", "directory_full", "configuration_changed",
    ]

    func checkRecordings(_ log: LogView) {
        guard let recordings else { return }
        outcome.problems += recordings.folder.problems
        let endings = Dictionary(
            log.records.filter { $0["event"] as? String == "stream_end" }.map { ($0["stream"] as? String ?? "", $0) },
            uniquingKeysWith: { first, _ in first })
        var recorded: Set<String> = []
        let tokens = truths.values.compactMap(\.token)
        for file in recordings.folder.all {
            for token in tokens where Scenario.holds(file.bytes, token) { expect(false, "\(file.name) holds a token") }
            guard let recording = read(file) else { continue }
            let stream = recording.notes["stream"] ?? ""
            expect(recorded.insert(stream).inserted, "\(stream) has two recordings")
            guard let ending = endings[stream], let path = ending["path"] as? String, let truth = truths[path] else {
                expect(false, "\(file.name): a recording of a stream that never was")
                continue
            }
            world.count("recording ends: \(recording.end?.end.word ?? "cut")")
            check(recording, file, ending, truth, log)
        }
        let dropped = recordings.queue.droppedLineCount
        let counted = counted?.value(of: .logLinesDropped, LogKind.recording) ?? 0
        expect(counted == dropped, "\(counted) lost lines of recordings in the metrics, and \(dropped) were lost")
        guard recordings.plan.isRoomy, !plan.troubles.clock else { return }
        for (stream, ending) in endings where !recorded.contains(stream) {
            // Its request keeps the settings with which it came, however late the server answers.
            guard ending["open_streams_server"] != nil, ending["not_woven_because"] as? String != "compressed",
                let ended = log.moments(of: ending).max(), let lasted = (ending["duration_ms"] as? NSNumber)?.int64Value
            else { continue }
            expect(!recordings.isOn(from: ended - lasted - 200, to: ended), "\(ending["path"] ?? ""): a stream without a recording")
        }
    }

    private static func holds(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
        Data(bytes).range(of: Data(part)) != nil
    }

    private func read(_ file: RecordingFolder.File) -> ReadRecording? {
        var reader = RecordingReader()
        var recording = ReadRecording()
        do throws(RecordingError) {
            try reader.read(file.bytes.span) { recording.take($0) }
        } catch {
            expect(false, "\(file.name): \(error.message)")
            return nil
        }
        expect(file.isCut || !reader.isInLine, "\(file.name) ends within a line")
        guard let header = reader.header else {
            expect(file.isCut, "\(file.name) has no header")
            return nil
        }
        recording.notes = Dictionary(
            header.notes.map { ($0.key, String(decoding: $0.value, as: UTF8.self)) }, uniquingKeysWith: { $1 })
        return recording
    }

    private func check(
        _ recording: ReadRecording, _ file: RecordingFolder.File, _ ending: [String: Any], _ truth: Truth, _ log: LogView
    ) {
        let path = truth.path
        expect(recording.notes["path"] == path, "\(path): recorded as \(recording.notes["path"] ?? "none")")
        expect(recording.notes["server"] == ending["server"] as? String, "\(path): recorded of \(recording.notes["server"] ?? "none")")
        // Several requests have the same path, and another one's arrival may be this one's.
        let arrivals = truth.arrivals.filter { "\($0.server)" == recording.notes["server"] && $0.answer?.isStream == true }
        let begun = log.moments(of: ["time": recording.notes["time"] ?? ""])
        let fitting = arrivals.filter { holdsBytes(recording, of: $0, truth) }
        expect(!fitting.isEmpty, "\(path): \(recording.bytes.count) recorded bytes, which no server sent")
        guard !fitting.isEmpty, !world.leapt(between: truth.askedAt ?? 0, and: log.moments(of: ending).max() ?? 0) else { return }
        let isTimely = begun.contains { base in fitting.contains { isTrue(recording, base, of: $0, truth, ending) } }
        expect(isTimely, "\(path): bytes recorded at other times than they came, from \(begun): \(recording.pieces)")
        checkEnd(recording, begun, file, ending, truth, log)
    }

    /// Whether the recorded bytes are the beginning of what the server sent, with `*` in place of the token.
    private func holdsBytes(_ recording: ReadRecording, of arrival: Arrival, _ truth: Truth) -> Bool {
        let count = recording.bytes.count
        guard count <= arrival.body.count else { return false }
        let sent = Scenario.masked(arrival.body, truth.token)
        func isEqual(_ bytes: some Sequence<UInt8>) -> Bool { zip(recording.bytes, bytes).allSatisfy { $0 == nil || $0 == $1 } }
        if isEqual(sent.prefix(count)) { return true }
        // A token that the end has cut is masked as far as it came, and up to three bytes of it stand as they are.
        guard let token = truth.token else { return false }
        let known = Scenario.masked(Array(arrival.body.prefix(count)), token)
        let cut = (1..<token.count).last { known.suffix($0).elementsEqual(token.prefix($0)) } ?? 0
        return isEqual(known) && cut <= 3 || isEqual(known.dropLast(cut) + [UInt8](repeating: UInt8(ascii: "*"), count: cut))
    }

    private static func masked(_ bytes: [UInt8], _ token: [UInt8]?) -> [UInt8] {
        guard let token else { return bytes }
        var data = Data(bytes)
        while let range = data.range(of: Data(token)) { data.replaceSubrange(range, with: Data(repeating: 0x2A, count: token.count)) }
        return Array(data)
    }

    /// Whether all bytes came when they can have come: after the server began to send them, and no longer after they left it than they
    /// travel.
    private func isTrue(_ recording: ReadRecording, _ base: Int64, of arrival: Arrival, _ truth: Truth, _ ending: [String: Any]) -> Bool {
        let travel = Int64(plan.faults.delayMilliseconds.upperBound)
        // A slow client makes the proxy read later, and what may be the beginning of a token is recorded later.
        let isPrompt = ending["max_pending_bytes"] as? Int == 0 && truth.token == nil && recording.lostCount == 0
        return recording.pieces.allSatisfy { piece in
            let moment = base + piece.at
            guard let begun = arrival.begun.first(where: { $0.byteCount >= piece.byteCount }), begun.at <= moment else { return false }
            let gone = arrival.gone.first { $0.byteCount >= piece.byteCount }
            return !isPrompt || gone.map { moment <= $0.at + travel } ?? true
        }
    }

    /// The recording ends how and when its stream did, or for a reason of its own that is true.
    private func checkEnd(
        _ recording: ReadRecording, _ begun: [Int64], _ file: RecordingFolder.File, _ ending: [String: Any], _ truth: Truth, _ log: LogView
    ) {
        guard let recordings else { return }
        let path = truth.path
        let policy = recordings.plan.policy
        if !recordings.switches.isEmpty {
            let isOn = begun.contains { base in recording.pieces.allSatisfy { recordings.mayBeOn(at: base + $0.at) } }
            expect(isOn, "\(path): recorded although a reload had switched that off")
        }
        guard let (end, at) = recording.end else {
            let isExcused = file.isCut || recordings.queue.droppedLineCount > 0 || policy.ageMilliseconds < 100_000
            return expect(isExcused, "\(path): a recording without an end")
        }
        let word = end.word
        switch word {
        case "recording_full":
            return expect(file.bytes.count + 5 * RecordingWriter.lineBytes > policy.fileBytes, "\(path): recorded in full, and it was not")
        case "recording_too_old":
            return expect(file.writtenAt - file.begunAt > Int64(policy.ageMilliseconds), "\(path): too old, and it was not")
        case "directory_full": return expect(policy.totalBytes < 1 << 20, "\(path): no room, and there was")
        case "configuration_changed":
            let isTrue = begun.contains { base in recordings.switches.contains { !$0.isOn && (0...200).contains(base + at - $0.at) } }
            return expect(isTrue, "\(path): no longer recorded at \(at), and no reload said so")
        default: break
        }
        let cause = ending["cause"] as? String ?? ""
        let expected = ["upstream_finished": "finished", "upstream_cut_off": "cut_off", "upstream_reset": "reset"][cause] ?? cause
        expect(word == expected, "\(path): the recording ends with \(word), and the stream with \(cause)")
        let moments = log.moments(of: ending)
        expect(begun.contains { moments.contains($0 + at) }, "\(path): recorded until \(at) after \(begun), and it ended at \(moments)")
        let received = ending["bytes_from_upstream"] as? Int ?? -1
        // A line about bytes that are lost comes with the next line.
        let isWhole = recording.bytes.count == received || recordings.queue.droppedLineCount > 0 && recording.bytes.count < received
        expect(isWhole, "\(path): \(recording.bytes.count) recorded bytes of \(received)")
        guard recording.lostCount == 0, recordings.queue.droppedLineCount == 0 else { return }
        let heartbeats = ending["heartbeats"] as? Int ?? 0
        // Those of a held stream are sent before a server answers.
        let areAll = ending["held_ms"] == nil ? recording.heartbeatCount == heartbeats : recording.heartbeatCount <= heartbeats
        expect(areAll, "\(path): \(recording.heartbeatCount) recorded heartbeats of \(heartbeats)")
        if cause == "upstream_finished", let arrival = truth.present, arrival.deeds == [.finished], !arrival.isTruncated,
            !Scenario.isShared(path)
        {
            expect(recording.bytes.count == arrival.body.count, "\(path): the recording of a whole stream lacks bytes")
            world.count("whole stream recorded")
        }
        let shown = ReferenceEventSource(reading: recording.bytes.compactMap { $0 }).events.count
        expect(shown == ending["events"] as? Int ?? 0, "\(path): \(shown) recorded events of \(ending["events"] ?? 0)")
    }
}

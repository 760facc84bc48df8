// A recording as a file: read whole, and told in one line.

import Foundation
import Telemetry
import Testing

@testable import Replay

@Suite("The file of a recording")
struct RecordingFileTests {
    private func file(_ text: String) throws -> RecordingFile {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).recording").path
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try RecordingFile(path: path)
    }

    private static let header = "heartwire-recording 1\npath /e\ncontent-type text/event-stream\n\n"

    @Test(
        "is told in one line: how much, how long, how it ends",
        arguments: [
            ("0 bytes ab\\n\n2500 bytes c\n60001 end finished x\n", "4 bytes in 60 s, then the end of the body"),
            ("0 bytes a\n1 end cut_off x\n", "1 bytes in 0 s, then a cut before the end of the body"),
            ("0 bytes a\n1 end reset x\n", "1 bytes in 0 s, then a reset"),
            (
                "0 bytes a\n1 lost 7\n9000 end client_closed x\n",
                """
                1 bytes in 9 s, then nothing: the recording ended with client_closed, and the server had not ended the stream; 7 bytes are \
                missing, because they could not be recorded
                """
            ),
            ("0 bytes a\n15000 heart", "1 bytes in 0 s, then nothing: the recording has no end"),
        ])
    func summary(entries: String, summary: String) throws { #expect(try file(RecordingFileTests.header + entries).summary == summary) }

    @Test("that is none is refused with its name and the reason")
    func refused() throws {
        let header = RecordingFileTests.header
        for text in ["", "{\"event\":\"stream_end\"}\n", header.replacing("\n\n", with: "\n"), header + "x\n"] {
            #expect(throws: RecordingFile.Unusable.self) { try file(text) }
        }
        do throws(RecordingFile.Unusable) { _ = try RecordingFile(path: "/dev/null") } catch {
            #expect(error.message == "/dev/null cannot be played: it is no regular file")
        }
        #expect(throws: RecordingFile.Unusable.self) { try RecordingFile(path: "/nowhere/at/all") }
    }
}

// What becomes of a batch of lines that a file took in part.

import Testing

@testable import Reactor

@Suite("A log file")
struct LogFileTests {
    @Test("that took a part of a batch leaves the rest to its successor: the line that was cut whole, and no other twice")
    func moved() {
        let batch = Array("one\ntwo\nthree\n".utf8)
        let starts = [0, 4, 8, 14]
        for written in 0...batch.count {
            var progress = WriteProgress()
            progress.advance(by: written)
            batch.withUnsafeBytes { progress.stop(in: $0) }
            #expect(progress.count == written, "the same file goes on where it stopped")
            progress.moveToNewFile()
            #expect(progress.count == starts.last { $0 <= written })
        }
    }

    @Test("that took nothing of a new batch is followed by one that gets all of it")
    func fresh() {
        var progress = WriteProgress()
        progress.moveToNewFile()
        #expect(progress.count == 0)
    }
}

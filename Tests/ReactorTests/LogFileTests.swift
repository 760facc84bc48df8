// What happens to a batch of lines of which a file took only a part.

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

    @Test("that is a pipe gets whole lines, in pieces that nothing can come between")
    func pieces() {
        func firstPiece(_ lengths: [Int]) -> Int {
            let batch = lengths.flatMap { [UInt8](repeating: 0x61, count: $0 - 1) + [0x0A] }
            return batch.withUnsafeBytes { LogFile.wholeLines(of: $0).count }
        }
        #expect(firstPiece([100, 200]) == 300)
        #expect(firstPiece([4_000, 96, 1]) == 4_096)
        #expect(firstPiece([4_000, 97, 1]) == 4_000)
        // Such a line cannot be kept whole beside other writers' lines; at least it contains nothing of the next line.
        #expect(firstPiece([5_000, 10]) == 5_000)
        let endless = [UInt8](repeating: 0x61, count: 9_000)
        #expect(endless.withUnsafeBytes { LogFile.wholeLines(of: $0).count } == 9_000)
    }

    @Test("that took nothing of a new batch is followed by one that gets all of it")
    func fresh() {
        var progress = WriteProgress()
        progress.moveToNewFile()
        #expect(progress.count == 0)
    }
}

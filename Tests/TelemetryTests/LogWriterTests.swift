import Foundation
import Telemetry
import Synchronization
import TestSupport
import Testing

@Suite("The log writer")
struct LogWriterTests {
    @Test("writes lines in their order, and finish flushes them")
    func order() {
        let running = RunningWriter()
        for number in 0..<100 { #expect(running.submit("line \(number)")) }
        running.start()
        for number in 100..<200 { #expect(running.submit("line \(number)")) }
        #expect(running.writer.finish(deadlineMilliseconds: 5_000))
        #expect(running.sink.lines == (0..<200).map { "line \($0)" })
        #expect(running.writer.droppedLineCount == 0)
    }

    @Test("writes a line without being asked twice")
    func wakesUp() {
        let running = RunningWriter()
        running.start()
        for number in 1...20 {
            running.submit("line \(number)")
            #expect(eventually { running.sink.lines.count == number })
        }
        #expect(running.writer.finish(deadlineMilliseconds: 5_000))
    }

    @Test("lets lines collect, so that many single lines need few writes")
    func gathering() {
        let running = RunningWriter()
        running.start()
        for number in 0..<200 {
            running.submit("line \(number)")
            usleep(100)
        }
        #expect(running.writer.finish(deadlineMilliseconds: 5_000))
        #expect(running.sink.lines.count == 200)
        #expect(running.sink.state.withLock { $0.writes } < 50)
    }

    @Test("counts lines without room, and reports them between the lines before and after")
    func dropping() {
        let running = RunningWriter(capacityBytes: 10)
        #expect(running.submit("1234"))
        #expect(running.submit("5678"))
        #expect(!running.submit("x"))
        #expect(!running.submit("y"))
        #expect(running.writer.droppedLineCount == 2)
        running.start()
        #expect(eventually { running.sink.lines.count == 3 })
        #expect(running.submit("after"))
        #expect(running.writer.finish(deadlineMilliseconds: 5_000))
        #expect(running.sink.lines == ["1234", "5678", #"{"time":"1970-01-01T00:00:01.000Z","event":"log_dropped","lines":2}"#, "after"])
        #expect(running.writer.droppedLineCount == 2)
    }

    @Test("takes a line that fills the queue to its last byte, and drops one that never fits")
    func exactFit() {
        let running = RunningWriter(capacityBytes: 8)
        #expect(!running.submit("12345678"))
        #expect(running.submit("1234567"))
        #expect(running.writer.submit([]))
        running.start()
        #expect(running.writer.finish(deadlineMilliseconds: 5_000))
        #expect(running.sink.lines.first == "1234567")
        #expect(running.writer.droppedLineCount == 1)
    }

    @Test("reopens the sink exactly between the lines before and after the request")
    func reopen() {
        let running = RunningWriter()
        running.submit("old 1")
        running.submit("old 2")
        running.writer.requestReopen()
        running.submit("new 1")
        running.start()
        #expect(eventually { running.sink.lines.count == 3 })
        running.writer.requestReopen()
        #expect(eventually { running.sink.files.count == 3 })
        running.submit("newest")
        #expect(running.writer.finish(deadlineMilliseconds: 5_000))
        #expect(running.sink.files == [["old 1", "old 2"], ["new 1"], ["newest"]])
    }

    @Test("goes on with the old destination when the new one cannot be opened")
    func failedReopen() {
        let running = RunningWriter()
        running.sink.state.withLock { $0.reopens = false }
        running.submit("before")
        running.writer.requestReopen()
        running.submit("after")
        running.start()
        #expect(running.writer.finish(deadlineMilliseconds: 5_000))
        #expect(running.sink.files == [["before", "after"]])
    }

    @Test("offers refused lines again with the next ones, losing and doubling nothing")
    func refusal() {
        let running = RunningWriter()
        running.sink.state.withLock { $0.refusals = 2 }
        running.start()
        running.submit("first")
        #expect(eventually { running.writer.failedWriteCount == 1 })
        running.submit("second")
        #expect(eventually { running.writer.failedWriteCount == 2 })
        #expect(running.sink.lines.isEmpty)
        running.submit("third")
        #expect(running.writer.finish(deadlineMilliseconds: 5_000))
        #expect(running.sink.lines == ["first", "second", "third"])
        #expect(running.writer.failedWriteCount == 2)
    }

    @Test("does not spin while the sink refuses")
    func noSpinning() {
        let running = RunningWriter()
        running.sink.state.withLock { $0.refusals = .max }
        running.start()
        running.submit("line")
        #expect(eventually { running.writer.failedWriteCount == 1 })
        usleep(50_000)
        #expect(running.writer.failedWriteCount == 1)
        #expect(!running.writer.finish(deadlineMilliseconds: 0))
    }

    @Test("ends at once, and says that lines are lost, when the sink refuses at the end")
    func refusedAtTheEnd() {
        let running = RunningWriter()
        running.sink.state.withLock { $0.refusals = .max }
        running.submit("line")
        running.start()
        let started = ContinuousClock.now
        #expect(!running.writer.finish(deadlineMilliseconds: 30_000))
        #expect(ContinuousClock.now - started < .seconds(15))
    }

    @Test("counts the lines that will never be written, including dropped ones that were not reported")
    func lostLines() {
        let running = RunningWriter(capacityBytes: 20)
        running.sink.state.withLock { $0.refusals = .max }
        for _ in 0..<5 { running.submit("a line") }
        #expect(running.writer.droppedLineCount == 3)
        #expect(running.writer.lostLineCount == nil)
        running.start()
        #expect(!running.writer.finish(deadlineMilliseconds: 30_000))
        #expect(running.writer.lostLineCount == 5)
    }

    @Test("has lost nothing when all was written")
    func nothingLost() {
        let running = RunningWriter()
        running.submit("a line")
        running.start()
        #expect(running.writer.finish(deadlineMilliseconds: 30_000))
        #expect(running.writer.lostLineCount == 0)
    }

    @Test("reopens the sink even while it refuses everything, and then loses nothing")
    func reopenHeals() {
        let running = RunningWriter()
        running.sink.state.withLock {
            $0.refusals = .max
            $0.healsOnReopen = true
        }
        running.start()
        running.submit("first")
        #expect(eventually { running.writer.failedWriteCount >= 1 })
        running.submit("second")
        running.writer.requestReopen()
        #expect(running.writer.finish(deadlineMilliseconds: 5_000))
        #expect(running.sink.files == [[], ["first", "second"]])
    }

    @Test("reopens the sink when only the line about dropped lines was refused")
    func reopenHealsDroppedLine() {
        let running = RunningWriter(capacityBytes: 4)
        running.sink.state.withLock {
            $0.refusals = .max
            $0.healsOnReopen = true
        }
        #expect(!running.submit("too long"))
        running.start()
        #expect(eventually { running.writer.failedWriteCount >= 1 })
        running.writer.requestReopen()
        #expect(eventually { running.sink.lines.count == 1 })
        #expect(running.sink.files.last?.first?.contains(#""lines":1"#) == true)
        #expect(running.writer.finish(deadlineMilliseconds: 5_000))
    }

    @Test("makes no submitter wait for a stuck sink, and counts every line without room")
    func slowSink() {
        let running = RunningWriter(capacityBytes: 1_000)
        running.sink.state.withLock { $0.isBlocked = true }
        running.start()
        running.submit("stuck")
        #expect(eventually { running.sink.state.withLock { $0.writes } > 0 })
        let started = ContinuousClock.now
        var accepted = 0
        for number in 0..<10_000 where running.submit("line \(number)") { accepted += 1 }
        #expect(ContinuousClock.now - started < .seconds(2))
        #expect(accepted > 50 && accepted < 150)
        #expect(running.writer.droppedLineCount == UInt64(10_000 - accepted))
        #expect(!running.writer.finish(deadlineMilliseconds: 20))
        running.sink.state.withLock { $0.isBlocked = false }
        #expect(running.writer.finish(deadlineMilliseconds: 5_000))
        #expect(running.sink.lines.count == 1 + accepted + 1)
        #expect(running.sink.lines.last?.contains(#""lines":\#(10_000 - accepted)}"#) == true)
    }

    @Test("takes nothing more once it finishes")
    func afterFinish() {
        let running = RunningWriter()
        running.start()
        #expect(running.writer.finish(deadlineMilliseconds: 5_000))
        #expect(!running.submit("late"))
        #expect(running.writer.droppedLineCount == 1)
    }

    @Test("loses nothing of concurrent submitters while there is room, and keeps each one's order")
    func concurrentSubmitters() {
        let running = RunningWriter(capacityBytes: 1 << 22)
        running.start()
        let submitters = 4
        let linesEach = 5_000
        let finished = Atomic<Int>(0)
        withExtendedLifetime(running) {
            DispatchQueue.concurrentPerform(iterations: submitters) { submitter in
                for number in 0..<linesEach { running.submit("\(submitter) \(number)") }
                finished.add(1, ordering: .relaxed)
            }
        }
        #expect(finished.load(ordering: .relaxed) == submitters)
        #expect(running.writer.finish(deadlineMilliseconds: 10_000))
        var next = [Int](repeating: 0, count: submitters)
        for line in running.sink.lines {
            let parts = line.split(separator: " ").compactMap { Int($0) }
            #expect(parts.count == 2 && next[parts[0]] == parts[1])
            next[parts[0]] = parts[1] + 1
        }
        #expect(next == [Int](repeating: linesEach, count: submitters))
        #expect(running.writer.droppedLineCount == 0)
    }

    @Test("copies from a span as from an array")
    func spans() {
        let running = RunningWriter()
        running.start()
        let line = Array("a span\n".utf8)
        let isTaken = running.writer.submit(line.span)
        #expect(isTaken)
        #expect(running.writer.finish(deadlineMilliseconds: 5_000))
        #expect(running.sink.lines == ["a span"])
    }
}

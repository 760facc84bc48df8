// The way of a log line from any worker to its sink: a bounded queue, and the loop of the one thread that empties it. The data path
// only copies bytes under a short lock; only the writer's thread ever waits for the sink. The thread itself, the file and the clock
// belong to others. A burst of lines wakes the thread once: when awake, it lets lines collect for some milliseconds. Invariant: a line
// is written once and whole, or counted as dropped; lines of one submitter keep their order.

import Glibc

/// A bounded queue of log lines and the loop that writes them.
///
/// There are two buffers of `capacityBytes`: one collects lines while the other is written, then they swap. Both are allocated at the
/// start; after that only the rare line about dropped lines allocates.
package final class LogWriter: Sendable {
    /// How long the writer's thread waits for lines before the sink is told that time passes.
    private static let restMilliseconds = 60_000

    private let sink: any LogSink
    private let clock: @Sendable () -> Int64
    private let queue: LogQueue

    /// A writer to `sink`.
    /// - Parameters:
    ///   - capacityBytes: how many bytes may wait; the same amount may be on its way to the sink.
    ///   - clock: milliseconds since 1970-01-01 UTC, for the line about dropped lines; called on the writer's thread.
    package init(sink: any LogSink, capacityBytes: Int = 4 << 20, clock: @escaping @Sendable () -> Int64) {
        precondition(capacityBytes > 0, "a log queue needs room")
        self.sink = sink
        self.clock = clock
        self.queue = LogQueue(capacityBytes: capacityBytes)
    }

    /// Lines that found no room, over the life of the writer. For tests: workers count what they could not queue.
    package var droppedLineCount: UInt64 { queue.withLock { $0.droppedTotal } }

    /// Writes that the sink refused, over the life of the writer. For tests.
    package var failedWriteCount: UInt64 { queue.withLock { $0.failedWrites } }

    /// Lines that were lost because the sink took none at the end, including lines that were dropped before and could not be reported
    /// in the log. Nil until `run` has ended: a sink that blocks may still take them.
    package var lostLineCount: UInt64? { queue.withLock { $0.hasEnded ? $0.lostLines : nil } }

    /// Copies one line, its LF included, into the queue. It never waits for the sink.
    /// - Returns: false when there was no room, or the writer is finishing; the line is then counted as dropped.
    @discardableResult
    package func submit(_ line: Span<UInt8>) -> Bool {
        line.withUnsafeBytes { queue.append($0, count: 1) }
    }

    /// Copies one line, its LF included, into the queue. It never waits for the sink.
    /// - Returns: false when there was no room, or the writer is finishing; the line is then counted as dropped.
    @discardableResult
    package func submit(_ line: borrowing [UInt8]) -> Bool {
        line.withUnsafeBytes { queue.append($0, count: 1) }
    }

    /// Copies several lines at once. They are queued all or none.
    @discardableResult
    func submit(_ lines: UnsafeRawBufferPointer, count: Int) -> Bool { queue.append(lines, count: count) }

    /// Takes the lines that wait, and how many found no room since this was called last. For a writer that no thread runs: its reader
    /// takes the lines itself.
    package func takeLines() -> (lines: [UInt8], dropped: UInt64) {
        queue.withLock { state in
            defer { (state.count, state.droppedLines) = (0, 0) }
            return (Array(state.buffer.bytes[..<state.count]), state.droppedLines)
        }
    }

    /// Requests that the sink is reopened: lines submitted before this call go to the old destination, unless it does not take them,
    /// and later ones to the new. The writer's thread reopens it. Must not be called inside a signal handler.
    package func requestReopen() {
        queue.withLock { state in
            if state.reopenOffset == nil { state.reopenOffset = state.count }
            state.sequence &+= 1
        }
        queue.wake()
    }

    /// Lets `run` write what is queued and return, and waits for that.
    /// - Parameter deadlineMilliseconds: how long this waits at most; a sink that blocks for longer keeps its thread.
    /// - Returns: whether `run` ended with all lines written.
    @discardableResult
    package func finish(deadlineMilliseconds: Int) -> Bool {
        queue.withLock { state in
            state.isFinishing = true
            state.sequence &+= 1
        }
        queue.wake()
        return queue.waitForEnd(atMostMilliseconds: deadlineMilliseconds)
    }

    /// The loop of the writer's own thread: writes lines as they come, until `finish`. Must be called once.
    package func run() {
        let second = LogBuffer(capacityBytes: queue.capacityBytes)
        var pass = WriterPass(buffer: second, line: [])
        pass.line.reserveCapacity(128)
        var seen: UInt64 = 0
        while true {
            guard let isFinishing = queue.waitForNews(since: &seen, atMostMilliseconds: LogWriter.restMilliseconds) else {
                sink.timePassed()
                continue
            }
            if !isFinishing { gather() }
            // A batch that the sink refused is offered again first; newer lines follow only after it.
            while true {
                if pass.isEmpty { queue.swap(into: &pass) }
                if pass.isEmpty { break }
                if !writeOut(&pass) { break }
            }
            if isFinishing {
                queue.end { state in
                    state.endedClean = pass.isEmpty && state.count == 0
                    state.lostLines = pass.lineCount + pass.droppedLines + state.lineCount + state.droppedLines
                }
                return
            }
        }
    }

    /// Lets lines collect before they are written: with twenty thousand a second, one write for two hundred lines costs a twentieth of
    /// a wake-up and a write for each.
    private func gather() {
        let stepMicroseconds: UInt32 = 5_000
        for _ in 0..<2 {
            if queue.isUrgent { return }
            usleep(stepMicroseconds)
        }
    }

    /// Writes the content of one pass. False when the sink refused; the pass then keeps the rest.
    private func writeOut(_ pass: inout WriterPass) -> Bool {
        if let offset = pass.reopenOffset {
            // Lines from before the request belong to the old file, unless that file takes nothing more.
            let written = write(&pass, upTo: offset)
            _ = sink.reopen()
            pass.reopenOffset = nil
            if !written, !write(&pass, upTo: offset) { return false }
        } else if queue.takeReopenBeforeRetry(of: pass) {
            _ = sink.reopen()
        }
        guard write(&pass, upTo: pass.end) else { return false }
        pass.start = 0
        pass.end = 0
        guard pass.droppedLines > 0 else { return true }
        // The line is made once: after a refusal exactly the same bytes are offered again.
        if pass.line.isEmpty { encodeDroppedLines(pass.droppedLines, timeMilliseconds: clock(), into: &pass.line) }
        guard pass.line.withUnsafeBytes({ sink.write($0) }) else {
            noteRefusal(&pass)
            return false
        }
        pass.line.removeAll(keepingCapacity: true)
        pass.droppedLines = 0
        return true
    }

    private func write(_ pass: inout WriterPass, upTo offset: Int) -> Bool {
        guard offset > pass.start else { return true }
        let bytes = UnsafeRawBufferPointer(rebasing: pass.buffer.bytes[pass.start..<offset])
        guard sink.write(bytes) else {
            noteRefusal(&pass)
            return false
        }
        pass.wasRefused = false
        pass.start = offset
        return true
    }

    private func noteRefusal(_ pass: inout WriterPass) {
        pass.wasRefused = true
        queue.withLock { $0.failedWrites &+= 1 }
    }
}

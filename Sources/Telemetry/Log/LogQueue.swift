// The shared half of the log writer: the buffer that collects lines, its counters, and the lock and condition around them. It knows
// neither the sink nor the clock. Invariant: everything in `State` and the collecting buffer is used only under the lock.

import Glibc

/// One block of memory of fixed size for lines. Pages that were never written cost nothing.
final class LogBuffer: @unchecked Sendable {
    // Unchecked because the memory alternates between the queue, which uses it under its lock, and the writer's thread, which alone
    // uses it after a swap.
    let bytes: UnsafeMutableRawBufferPointer

    init(capacityBytes: Int) {
        bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: capacityBytes, alignment: 16)
    }

    deinit { bytes.deallocate() }

    /// How many lines end within the range.
    func lineCount(_ range: Range<Int>) -> UInt64 {
        bytes[range].reduce(0) { $1 == UInt8(ascii: "\n") ? $0 + 1 : $0 }
    }
}

/// What the writer's thread has taken and not yet written.
struct WriterPass {
    var buffer: LogBuffer
    /// The line about dropped lines, until the sink has taken it; then empty.
    var line: [UInt8]
    var start = 0
    var end = 0
    /// Where in the buffer the sink must be reopened; nil if it must not.
    var reopenOffset: Int?
    /// Lines dropped after the end of this buffer that the log has not reported yet.
    var droppedLines: UInt64 = 0
    /// Whether the sink refused these bytes before.
    var wasRefused = false

    var isEmpty: Bool { start == end && reopenOffset == nil && droppedLines == 0 }

    /// How many lines are unwritten.
    var lineCount: UInt64 { buffer.lineCount(start..<end) }
}

/// A buffer of lines behind one lock, and the wake-up of the thread that empties it.
final class LogQueue: @unchecked Sendable {
    struct State {
        var buffer: LogBuffer
        var count = 0
        var reopenOffset: Int?
        var droppedLines: UInt64 = 0
        var droppedTotal: UInt64 = 0
        var failedWrites: UInt64 = 0
        /// Changes whenever there is something for the writer's thread to look at.
        var sequence: UInt64 = 0
        var isWaiting = false
        var isFinishing = false
        var hasEnded = false
        var endedClean = false
        /// Lines that will never be written.
        var lostLines: UInt64 = 0

        /// How many lines have been collected.
        var lineCount: UInt64 { buffer.lineCount(0..<count) }
    }

    let capacityBytes: Int
    // A pthread mutex and not Synchronization's, because a condition variable only works with a pthread mutex.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    /// Signalled once, when the writer's thread has ended.
    private let ending: UnsafeMutablePointer<pthread_cond_t>
    private var state: State

    init(capacityBytes: Int) {
        self.capacityBytes = capacityBytes
        state = State(buffer: LogBuffer(capacityBytes: capacityBytes))
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        condition = .allocate(capacity: 1)
        condition.initialize(to: pthread_cond_t())
        pthread_mutex_init(mutex, nil)
        ending = .allocate(capacity: 1)
        ending.initialize(to: pthread_cond_t())
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_cond_init(ending, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_cond_destroy(ending)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        ending.deallocate()
        mutex.deallocate()
    }

    @inline(__always)
    func withLock<Result>(_ body: (inout State) -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body(&state)
    }

    /// Wakes the writer's thread when it sleeps.
    func wake() {
        pthread_cond_signal(condition)
    }

    /// Copies whole lines, or counts them as dropped.
    func append(_ lines: UnsafeRawBufferPointer, count: Int) -> Bool {
        guard !lines.isEmpty else { return true }
        pthread_mutex_lock(mutex)
        let fits = lines.count <= capacityBytes - state.count && !state.isFinishing
        if fits {
            UnsafeMutableRawBufferPointer(rebasing: state.buffer.bytes[state.count...]).copyMemory(from: lines)
            state.count += lines.count
        } else {
            state.droppedLines &+= UInt64(count)
            state.droppedTotal &+= UInt64(count)
        }
        state.sequence &+= 1
        let shouldWake = state.isWaiting
        pthread_mutex_unlock(mutex)
        // A busy writer looks again by itself, so a burst costs no wake-up for each line.
        if shouldWake { pthread_cond_signal(condition) }
        return fits
    }

    /// Sleeps until something changed after `seen`, at most for that long. Returns whether the writer must finish; nil if nothing changed.
    func waitForNews(since seen: inout UInt64, atMostMilliseconds limit: Int) -> Bool? {
        var until = LogQueue.moment(inMilliseconds: limit)
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        state.isWaiting = true
        defer { state.isWaiting = false }
        while state.sequence == seen {
            if pthread_cond_timedwait(condition, mutex, &until) == ETIMEDOUT { return nil }
        }
        seen = state.sequence
        return state.isFinishing
    }

    /// A moment from now, by the monotonic clock.
    private static func moment(inMilliseconds milliseconds: Int) -> timespec {
        var moment = timespec()
        clock_gettime(CLOCK_MONOTONIC, &moment)
        let nanoseconds = moment.tv_nsec + (milliseconds % 1_000) * 1_000_000
        moment.tv_sec += milliseconds / 1_000 + nanoseconds / 1_000_000_000
        moment.tv_nsec = nanoseconds % 1_000_000_000
        return moment
    }

    /// Notes that the writer's thread has ended, and wakes who waits for that.
    func end(_ body: (inout State) -> Void) {
        withLock { state in
            body(&state)
            state.hasEnded = true
        }
        pthread_cond_broadcast(ending)
    }

    /// Waits until the writer's thread has ended, at most for that long. Returns whether it has, with all lines written.
    func waitForEnd(atMostMilliseconds limit: Int) -> Bool {
        var until = LogQueue.moment(inMilliseconds: limit)
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while !state.hasEnded {
            if pthread_cond_timedwait(ending, mutex, &until) == ETIMEDOUT { break }
        }
        return state.hasEnded && state.endedClean
    }

    /// Whether the collected lines must be written at once: half of the room is taken, or somebody waits for the write.
    var isUrgent: Bool {
        withLock { $0.count > capacityBytes / 2 || $0.isFinishing || $0.reopenOffset != nil }
    }

    /// Hands the collected lines to an empty pass and collects into the pass's buffer from now on.
    func swap(into pass: inout WriterPass) {
        precondition(pass.isEmpty, "a pass is written before it takes more")
        withLock { state in
            (state.buffer, pass.buffer) = (pass.buffer, state.buffer)
            pass.start = 0
            pass.end = state.count
            pass.reopenOffset = state.reopenOffset
            pass.droppedLines = state.droppedLines
            pass.wasRefused = false
            state.count = 0
            state.reopenOffset = nil
            state.droppedLines = 0
        }
    }

    /// Whether the sink must be reopened before the bytes that it refused are offered again. The old destination does not take them, so
    /// waiting for it would delay the request that repairs the log.
    func takeReopenBeforeRetry(of pass: WriterPass) -> Bool {
        guard pass.wasRefused else { return false }
        return withLock { state in
            guard state.reopenOffset != nil else { return false }
            state.reopenOffset = nil
            return true
        }
    }
}

// A file, or a standard stream, to which log lines are appended. It does not know the lines or the queue before it. Invariant: what was
// once accepted is written exactly once, also when the system takes it in pieces.

import CLinux
import Glibc
import Synchronization

/// The destination of log lines: a file or a standard stream. One thread writes; another may reopen it.
public final class LogFile: Sendable {
    private struct State {
        var descriptor: Int32 {
            didSet { isShared = !LogFile.isPlainFile(descriptor) }
        }
        /// Whether lines of other processes may come between the pieces of a write, as in a pipe or a terminal.
        var isShared: Bool
        var progress = WriteProgress()
        /// Monotonic seconds: when standard error last reported that no lines are taken; nil before.
        var refusalToldAt: Int?

        init(descriptor: Int32) {
            self.descriptor = descriptor
            isShared = !LogFile.isPlainFile(descriptor)
        }
    }

    private let path: String?
    /// Its name in messages: `the log file /var/log/streams`, `the log on standard output`.
    public let name: String
    private let state: Mutex<State>

    /// Opens `path` for appending, and creates it if missing (mode 0640: a log names clients).
    public init(appendingTo path: String) throws(SystemError) {
        self.path = path
        name = "the log file \(path)"
        state = Mutex(State(descriptor: try LogFile.open(path)))
    }

    /// The process's standard output or standard error.
    public init(standardError: Bool) {
        path = nil
        name = "the log on standard \(standardError ? "error" : "output")"
        state = Mutex(State(descriptor: standardError ? STDERR_FILENO : STDOUT_FILENO))
    }

    deinit {
        if path != nil { Glibc.close(state.withLock { $0.descriptor }) }
    }

    private static func open(_ path: String) throws(SystemError) -> Int32 {
        // Opening a named pipe without a reader would block without limit; with O_NONBLOCK it is an error.
        let descriptor = Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0o640)
        guard descriptor >= 0 else { throw SystemError.last }
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
        return descriptor
    }

    /// Writes all of the bytes. False means that the rest could not be written for now; offer the same bytes again.
    public func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        state.withLock { state in
            while state.progress.count < bytes.count {
                var rest = UnsafeRawBufferPointer(rebasing: bytes[state.progress.count...])
                if state.isShared { rest = LogFile.wholeLines(of: rest) }
                let count = Glibc.write(state.descriptor, rest.baseAddress, rest.count)
                if count < 0 {
                    if errno == EINTR { continue }
                    if errno == EAGAIN {
                        // Standard output may be a terminal or a pipe that another process made non-blocking.
                        var poll = pollfd(fd: state.descriptor, events: Int16(POLLOUT), revents: 0)
                        if Glibc.poll(&poll, 1, 1000) > 0 { continue }
                    }
                    let error = SystemError.last
                    state.progress.stop(in: bytes)
                    tell(of: error, &state)
                    return false
                }
                state.progress.advance(by: count)
            }
            state.progress = WriteProgress()
            return true
        }
    }

    /// Standard error reports at most once a minute that no lines are taken. The log itself cannot say it.
    private func tell(of error: SystemError, _ state: inout State) {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        if let told = state.refusalToldAt, time.tv_sec - told < 60 { return }
        state.refusalToldAt = time.tv_sec
        SystemProcess.warn("heartwire: \(name) takes no lines: \(error.message); they wait while there is room for them (log_queue)")
    }

    private static func isPlainFile(_ descriptor: Int32) -> Bool {
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// As many leading lines as a pipe takes in one piece, so that no other writer's lines come between; at least one.
    static func wholeLines(of bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        guard bytes.count > SystemProcess.pieceBytes else { return bytes }
        let lineEnd = UInt8(ascii: "\n")
        let end = bytes[..<SystemProcess.pieceBytes].lastIndex(of: lineEnd) ?? bytes[SystemProcess.pieceBytes...].firstIndex(of: lineEnd)
        return UnsafeRawBufferPointer(rebasing: bytes[...(end ?? bytes.count - 1)])
    }

    /// Reopens the path after a rotation moved the old file away. False: the old file stays in use.
    public func reopen() -> Bool {
        guard let path else { return true }
        let descriptor: Int32
        do { descriptor = try LogFile.open(path) } catch {
            SystemProcess.warn(
                "heartwire: the log file \(path) cannot be reopened: \(error.message); the old file stays in use")
            return false
        }
        let old = state.withLock { state in
            let old = state.descriptor
            state.descriptor = descriptor
            state.progress.moveToNewFile()
            return old
        }
        Glibc.close(old)
        return true
    }
}

/// How much of a batch of lines a file has taken.
struct WriteProgress {
    /// That many bytes have been written.
    private(set) var count = 0
    private var cutLineStart = 0

    mutating func advance(by written: Int) { count += written }

    /// The file takes no more of these bytes for now.
    mutating func stop(in bytes: UnsafeRawBufferPointer) {
        cutLineStart = (bytes[..<count].lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1
    }

    /// The rest goes to another file. A line that was cut is written again as a whole; written lines are not.
    mutating func moveToNewFile() { count = min(count, cutLineStart) }
}

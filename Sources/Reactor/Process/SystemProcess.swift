// What concerns the whole process and not one worker: signals, the limit of descriptors, the number of cores.

import CLinux
import Glibc

/// The process that Heartwire runs as.
public enum SystemProcess {
    /// A signal that an operator sends.
    public enum Signal: Sendable {
        /// SIGTERM or SIGINT: end in order.
        case terminate
        /// SIGUSR1: reopen the log files.
        case reopenLogs
        /// SIGHUP: read the configuration again.
        case reload
        /// SIGUSR2: let a new process take over.
        case upgrade
    }

    /// Prepares the process: standard streams, OpenSSL's memory, no SIGPIPE, an end at once where it fails. Blocks the operator's signals
    /// in this thread and all that it starts, so that `nextSignal` takes them one by one. Must be called before any thread is started.
    public static func prepare() {
        // A file opened later would get the number of a closed standard stream, and messages would go into that file.
        for stream in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(stream, F_GETFD) < 0 { _ = open("/dev/null", O_RDWR) }
        TLSMemory.install()
        signal(SIGPIPE, SIG_IGN)
        // Swift's own handler stops all threads to print where each of them is, and one that waits for signals never stops. So a process
        // that has failed would stay, with its port open, and nobody would start another one.
        for number in [SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGQUIT] { signal(number, SIG_DFL) }
        var set = operatorSignals()
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Lets the operator's signals end this process at once, for commands that do one thing and end.
    public static func endOnSignals() {
        var set = operatorSignals()
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
    }

    /// Whether this process is the first of its container: when it ends, the kernel ends all others there.
    public static var isFirst: Bool { getpid() == 1 }

    /// The process's id.
    public static var identifier: Int32 { getpid() }

    /// Waits for the operator's next signal.
    public static func nextSignal() -> Signal {
        while true {
            if let signal = nextSignal(withinMilliseconds: 3_600_000) { return signal }
        }
    }

    /// Waits for the operator's next signal, but at most that long.
    public static func nextSignal(withinMilliseconds milliseconds: Int) -> Signal? {
        var set = operatorSignals()
        var patience = timespec(tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000)
        switch sigtimedwait(&set, nil, &patience) {
        case SIGTERM, SIGINT: return .terminate
        case SIGUSR1: return .reopenLogs
        case SIGUSR2: return .upgrade
        case SIGHUP: return .reload
        default: return nil
        }
    }

    private static func operatorSignals() -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for number in [SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP] { sigaddset(&set, number) }
        return set
    }

    /// Raises the soft limit of descriptors to the hard one and returns it.
    public static func raiseDescriptorLimit() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)), &limit) == 0 else { return 1024 }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)), &limit)
        getrlimit(__rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)), &limit)
        return Int(min(limit.rlim_cur, 10_000_000))
    }

    /// How many processors this process may run on.
    public static var processorCount: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

    /// Sleeps; for threads that have nothing to poll.
    public static func sleep(milliseconds: Int) { usleep(UInt32(clamping: milliseconds * 1000)) }

    /// How much a writable pipe or terminal takes without blocking, and in one piece (PIPE_BUF).
    static let pieceBytes = 4_096
    private static let warningPatienceMilliseconds: Int32 = 50

    /// Writes a line to standard error. Workers and the thread that hears the signals call it: where nobody takes the line (a pipe whose
    /// reader stands still), the rest of it is lost, because none of them may be held up by that.
    public static func warn(_ line: String) {
        var line = line + "\n"
        line.withUTF8 { bytes in
            var rest = UnsafeBufferPointer(rebasing: bytes[...])
            while !rest.isEmpty {
                var reader = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
                guard poll(&reader, 1, warningPatienceMilliseconds) > 0 else { return }
                let written = Glibc.write(STDERR_FILENO, rest.baseAddress, min(rest.count, pieceBytes))
                if written < 0, errno == EINTR { continue }
                guard written > 0 else { return }
                rest = UnsafeBufferPointer(rebasing: rest[written...])
            }
        }
    }

    /// Writes text to standard output, all of it. A reader that has closed its end has enough: the rest is left out without a word.
    ///
    /// - Throws: why the text could not be written, for example that the disk is full.
    public static func say(_ text: String) throws(SystemError) {
        var text = text
        let failure = text.withUTF8 { bytes -> SystemError? in
            var rest = UnsafeBufferPointer(rebasing: bytes[...])
            while !rest.isEmpty {
                let written = Glibc.write(STDOUT_FILENO, rest.baseAddress, rest.count)
                if written < 0, errno == EINTR { continue }
                if written < 0, errno == EAGAIN {
                    var reader = pollfd(fd: STDOUT_FILENO, events: Int16(POLLOUT), revents: 0)
                    poll(&reader, 1, 1_000)
                    continue
                }
                guard written > 0 else { return errno == EPIPE ? nil : .last }
                rest = UnsafeBufferPointer(rebasing: rest[written...])
            }
            return nil
        }
        if let failure { throw failure }
    }

    /// Ends the process.
    public static func exit(_ status: Int32) -> Never { Glibc.exit(status) }
}

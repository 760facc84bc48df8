// A new process of the program on disk, which takes over from this one. It gets the listening sockets themselves, so that no connection
// in a backlog is lost, and reports when it serves. Invariant: only these sockets, the pipe and the standard streams are open in the
// new process.

import CLinux
import Glibc

/// A process that was started to take over.
public final class Successor {
    /// How far it has come.
    public enum Progress: Equatable {
        /// It has reported nothing yet.
        case starting
        /// It serves.
        case ready
        /// It ended without serving; the text says how.
        case failed(String)
    }

    /// A listening socket to hand over.
    public struct HandedSocket: Sendable {
        let descriptor: Int32
        let isHeldElsewhere: Bool

        /// `isHeldElsewhere` says whether a service manager holds the socket too.
        public init(descriptor: Int32, isHeldElsewhere: Bool) {
            self.descriptor = descriptor
            self.isHeldElsewhere = isHeldElsewhere
        }
    }

    /// Its process number.
    public let processID: Int32
    private var line: Int32

    /// Starts the program at the path, with the arguments and in the environment of this process, and hands it the sockets.
    public init(listening sockets: [HandedSocket], manager: ServiceManager) throws(SystemError) {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else { throw .last }
        let words = [
            "LISTEN_FDS=\(sockets.count)",
            "\(Inheritance.predecessorVariable)=\(getpid()):\(Inheritance.firstDescriptor + Int32(sockets.count))",
            "\(Inheritance.heldVariable)=" + sockets.indices.filter { sockets[$0].isHeldElsewhere }.map(String.init).joined(separator: ":"),
        ]
        defer { close(ends[1]) }
        do {
            processID = try Successor.spawn(handing: sockets.map(\.descriptor) + [ends[1]], environment: words + manager.environment)
        } catch {
            close(ends[0])
            throw error
        }
        line = ends[0]
    }

    deinit { letGo() }

    /// Reads its progress without waiting.
    public func progress() -> Progress {
        var word: UInt8 = 0
        let count = recv(line, &word, 1, Int32(MSG_DONTWAIT))
        if count == 1, word == Predecessor.readyWord { return .ready }
        if count < 0, errno == EAGAIN || errno == EINTR { return .starting }
        var status: Int32 = 0
        // It may have closed the pipe and still run; then nobody would wait for it.
        kill(processID, SIGKILL)
        while waitpid(processID, &status, 0) < 0, errno == EINTR {}
        return .failed(Successor.describe(status))
    }

    /// Passes on a signal that is meant for the process that serves.
    public func pass(on signal: SystemProcess.Signal) {
        switch signal {
        case .reload: kill(processID, SIGHUP)
        case .reopenLogs: kill(processID, SIGUSR1)
        case .terminate, .upgrade: break
        }
    }

    /// Ends the new process, because it took too long.
    public func end() {
        kill(processID, SIGKILL)
        var status: Int32 = 0
        while waitpid(processID, &status, 0) < 0, errno == EINTR {}
        letGo()
    }

    /// Closes the pipe: the new process then knows that the handover is complete.
    public func letGo() {
        if line >= 0 { close(line) }
        line = -1
    }

    /// How a successor has ended, and whether on purpose; nil while it lives. Its status is not collected here: the next parent, for
    /// example a service manager, collects it when this process has ended.
    public func ending() -> (how: String, isOrderly: Bool)? {
        var found = siginfo_t()
        let outcome = waitid(P_PID, id_t(processID), &found, WEXITED | WNOHANG | WNOWAIT)
        guard outcome == 0, ended_process(&found) == processID else { return nil }
        let (status, wasSignal) = (ended_status(&found), found.si_code != CLD_EXITED)
        return (Successor.describe(wasSignal ? status : status << 8), !wasSignal && status == 0)
    }

    static func describe(_ status: Int32) -> String {
        let signal = status & 0x7F
        return signal == 0 ? "ended with status \(status >> 8 & 0xFF)" : "was ended by signal \(signal)"
    }

    /// Starts the program with these descriptors as its first ones behind the standard streams.
    private static func spawn(handing descriptors: [Int32], environment: [String]) throws(SystemError) -> Int32 {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        takeUsualSignals(&attributes)
        // The descriptors are first copied to higher numbers: the new numbers may belong to others that are handed over too.
        let end = Inheritance.firstDescriptor + Int32(descriptors.count)
        var copies: [Int32] = []
        defer { for copy in copies { close(copy) } }
        for descriptor in descriptors {
            let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, end)
            guard copy >= 0 else { throw .last }
            copies.append(copy)
        }
        for (offset, copy) in copies.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, copy, Inheritance.firstDescriptor + Int32(offset))
        }
        // Also descriptors that this process inherited and does not know about.
        posix_spawn_file_actions_addclosefrom_np(&actions, end)
        var variables = inheritedVariables().map { strdup($0) } + environment.map { strdup($0) } + [nil]
        defer { for variable in variables { free(variable) } }
        var processID = pid_t()
        // By the path with which this process was started: a link may lead to another version now, and that version is wanted.
        let arguments = CommandLine.unsafeArgv
        guard let program = arguments[0] else { throw SystemError(ENOENT) }
        let outcome = posix_spawnp(&processID, program, &actions, &attributes, arguments, &variables)
        guard outcome == 0 else { throw SystemError(outcome) }
        return processID
    }

    /// The environment of this process without the variables that are written for each process.
    private static func inheritedVariables() -> [UnsafeMutablePointer<CChar>] {
        let own = (Inheritance.variables + ServiceManager.variables).map { $0 + "=" }
        var found: [UnsafeMutablePointer<CChar>] = []
        guard var next = current_environment() else { return [] }
        while let variable = next.pointee {
            if !own.contains(where: { strncmp(variable, $0, $0.utf8.count) == 0 }) { found.append(variable) }
            next += 1
        }
        return found
    }
}

/// Lets a new process take signals as programs expect it. The operator's signals are blocked here and SIGPIPE is ignored, and the new
/// process would inherit both: it must end by a signal, and when nobody reads its pipe.
func takeUsualSignals(_ attributes: inout posix_spawnattr_t) {
    var none = sigset_t()
    var pipe = sigset_t()
    sigemptyset(&none)
    sigemptyset(&pipe)
    sigaddset(&pipe, SIGPIPE)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &pipe)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
}

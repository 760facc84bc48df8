// Messages to a service manager, and what it asks for: the protocol of systemd's sd_notify(3), in which each message is one datagram of
// lines `NAME=value`. The layers above decide what is sent and when. Invariant: nobody waits for the manager longer than the caller
// allows; a message that the manager does not take is reported and lost.

import CLinux
import Glibc

/// The service manager that started this process, if there is one.
public struct ServiceManager: Sendable {
    static let variables = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]

    /// The name of its socket: a path, or `@` and an abstract name; nil without a manager that wants messages.
    private let socketName: String?
    /// The watchdog time after which the manager ends a process that has not reported; nil for no watchdog.
    public let watchdogMicroseconds: Int?

    /// Whether there is a manager.
    public var isPresent: Bool { socketName != nil }

    /// No manager.
    public init() {
        socketName = nil
        watchdogMicroseconds = nil
    }

    /// Takes the manager's variables out of the environment. Must be called before any thread is started.
    public static func take() -> ServiceManager {
        let manager = ServiceManager { getenv($0).map { String(cString: $0) } }
        for name in variables { unsetenv(name) }
        return manager
    }

    /// The manager named in an environment.
    init(environment: (String) -> String?) {
        let name = environment("NOTIFY_SOCKET") ?? ""
        let room = MemoryLayout.size(ofValue: sockaddr_un().sun_path)
        let isUsable = (name.hasPrefix("/") || name.hasPrefix("@")) && name.utf8.count > 1 && name.utf8.count < room
        socketName = isUsable ? name : nil
        // A child of the watched process inherits the variables, but they are not meant for the child.
        let isMeant = environment("WATCHDOG_PID").map { Int32($0) == getpid() } ?? true
        watchdogMicroseconds = isMeant ? environment("WATCHDOG_USEC").flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil } : nil
    }

    /// The variables with which a successor can report to the same manager.
    var environment: [String] {
        [socketName.map { "NOTIFY_SOCKET=\($0)" }, watchdogMicroseconds.map { "WATCHDOG_USEC=\($0)" }].compactMap { $0 }
    }

    /// Sends lines of the form `NAME=value`. Returns why that failed; nil also without a manager. A busy manager is waited for that
    /// long at most.
    @discardableResult
    public func notify(_ lines: [String], patienceMilliseconds: Int = 0) -> SystemError? {
        guard let socketName else { return nil }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return .last }
        defer { close(descriptor) }
        var patience = timeval(tv_sec: patienceMilliseconds / 1000, tv_usec: patienceMilliseconds % 1000 * 1000)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        let waiting = patienceMilliseconds > 0 ? 0 : Int32(MSG_DONTWAIT)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var path = Array(socketName.utf8)
        let isAbstract = path[0] == UInt8(ascii: "@")
        if isAbstract { path[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        // An abstract name ends with its length, a path with a zero.
        let length = MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + path.count + (isAbstract ? 0 : 1)
        let message = Array(lines.joined(separator: "\n").utf8)
        let sent = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                sendto(descriptor, message, message.count, Int32(MSG_NOSIGNAL) | waiting, pointer, socklen_t(length))
            }
        }
        return sent == message.count ? nil : .last
    }

    /// The line that accompanies `RELOADING=1`: when the reload began.
    public static func reloadMoment() -> String {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return "MONOTONIC_USEC=\(Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)"
    }
}

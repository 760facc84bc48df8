// What a service manager is told, and what it asks for: the protocol of systemd's sd_notify(3), in which each message is one
// datagram of lines `NAME=value`. What is said, and when, is decided above. Invariant: nobody waits for the manager longer than
// he says; a message that it does not take is reported and lost.

import CLinux
import Glibc

/// The service manager that started this process, if there is one.
public struct ServiceManager: Sendable {
    static let variables = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]

    /// The name of its socket: a path, or `@` and an abstract name; nil without a manager that wants to be told.
    private let socketName: String?
    /// How long the manager waits for a sign of life before it ends the process; nil where it does not.
    public let watchdogMicroseconds: Int?

    /// Whether there is one.
    public var isPresent: Bool { socketName != nil }

    /// No manager.
    public init() {
        socketName = nil
        watchdogMicroseconds = nil
    }

    /// Takes the manager's words out of the environment. To be called before any thread is started.
    public static func take() -> ServiceManager {
        let manager = ServiceManager { getenv($0).map { String(cString: $0) } }
        for name in variables { unsetenv(name) }
        return manager
    }

    /// The manager that an environment tells of.
    init(environment: (String) -> String?) {
        let name = environment("NOTIFY_SOCKET") ?? ""
        let room = MemoryLayout.size(ofValue: sockaddr_un().sun_path)
        let isUsable = (name.hasPrefix("/") || name.hasPrefix("@")) && name.utf8.count > 1 && name.utf8.count < room
        socketName = isUsable ? name : nil
        // A child of the process that is watched inherits the words, and they are not meant for it.
        let isMeant = environment("WATCHDOG_PID").map { Int32($0) == getpid() } ?? true
        watchdogMicroseconds = isMeant ? environment("WATCHDOG_USEC").flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil } : nil
    }

    /// What a process that takes over needs in its environment, to speak to the same manager.
    var environment: [String] {
        [socketName.map { "NOTIFY_SOCKET=\($0)" }, watchdogMicroseconds.map { "WATCHDOG_USEC=\($0)" }].compactMap { $0 }
    }

    /// Tells the manager; each line is `NAME=value`. Returns why it could not be told; nil also where there is no manager. One that has
    /// much to read is waited for so long, and no longer.
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

    /// The line that goes with `RELOADING=1`: when the reading began.
    public static func reloadMoment() -> String {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return "MONOTONIC_USEC=\(Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)"
    }
}

// What this process got at its start: listening sockets, from a service manager (the protocol of sd_listen_fds(3)) or from its
// predecessor, and a pipe to the predecessor. The layers above decide what to do with the sockets. Invariant: from then on every
// inherited descriptor is close-on-exec, and the environment no longer names it.

import CLinux
import Glibc

/// A listening socket that this process was started with.
public struct InheritedSocket: Sendable {
    /// The open descriptor.
    public let descriptor: Int32
    /// The socket's name from the manager; empty for none.
    public let name: String
    /// The address that it listens on; nil for anything but a listening TCP socket.
    public let address: SocketAddress?
    /// Whether the service manager keeps the socket open, so that it stays open when it is closed here.
    public let isHeldElsewhere: Bool

    /// A socket as it was found.
    public init(descriptor: Int32, name: String, address: SocketAddress?, isHeldElsewhere: Bool) {
        self.descriptor = descriptor
        self.name = name
        self.address = address
        self.isHeldElsewhere = isHeldElsewhere
    }
}

/// What a process got at its start.
public struct Inheritance: Sendable {
    static let firstDescriptor: Int32 = 3
    static let predecessorVariable = "HEARTWIRE_PREDECESSOR"
    /// The indices of the sockets that a service manager also holds; a predecessor writes it.
    static let heldVariable = "HEARTWIRE_HELD"
    static let variables = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID", predecessorVariable, heldVariable]
    private static let socketLimit = 8_192

    /// The listening sockets, to be used or closed.
    public let sockets: [InheritedSocket]
    /// The process that this one succeeds, if there is one.
    public let predecessor: Predecessor?

    /// Reads the environment. Must be called once, before any thread is started.
    public static func take() -> Inheritance {
        let words = Words(processID: getpid(), parentID: getppid()) { getenv($0).map { String(cString: $0) } }
        for name in variables { unsetenv(name) }
        let announced = words.names.enumerated().map { (descriptor: firstDescriptor + Int32($0), name: $1, isHeld: words.holds($0)) }
        // The number of a descriptor that is not open will later belong to another file or connection.
        let open = announced.filter { fcntl($0.descriptor, F_GETFD) >= 0 }
        if open.count < announced.count {
            SystemProcess.warn("heartwire: LISTEN_FDS announces \(announced.count) descriptors, of which only \(open.count) are open")
        }
        let sockets = open.map { socket($0.descriptor, named: $0.name, isHeldElsewhere: $0.isHeld) }
        return Inheritance(sockets: sockets, predecessor: words.predecessorLine.map(Predecessor.init))
    }

    private static func socket(_ descriptor: Int32, named name: String, isHeldElsewhere: Bool) -> InheritedSocket {
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        let flags = fcntl(descriptor, F_GETFL)
        if flags >= 0 { _ = fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) }
        let listens = option(SO_ACCEPTCONN, of: descriptor) == 1 && option(SO_TYPE, of: descriptor) == Int32(SOCK_STREAM.rawValue)
        let address = listens ? SocketAddress(boundTo: descriptor) : nil
        return InheritedSocket(descriptor: descriptor, name: name, address: address, isHeldElsewhere: isHeldElsewhere)
    }

    private static func option(_ name: Int32, of descriptor: Int32) -> Int32? {
        var value: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, SOL_SOCKET, name, &value, &length) == 0 ? value : nil
    }

    /// The contents of the environment.
    struct Words: Equatable {
        /// A name for each socket, from the first descriptor on.
        var names: [String] = []
        /// The descriptor of the pipe to the predecessor.
        var predecessorLine: Int32?
        /// Which sockets the manager also holds, as the predecessor says.
        private var held: Set<Int> = []

        /// Whether the manager also holds a socket. It keeps every socket that it passes itself.
        func holds(_ place: Int) -> Bool { predecessorLine == nil || held.contains(place) }

        init(processID: Int32, parentID: Int32, environment: (String) -> String?) {
            // Written as PROCESS:DESCRIPTOR. Another process's children inherit the variable too, and must ignore it.
            let predecessor = (environment(Inheritance.predecessorVariable) ?? "").split(separator: ":").map { Int32($0) }
            if predecessor.count == 2, predecessor[0] == parentID, let line = predecessor[1], line >= Inheritance.firstDescriptor {
                predecessorLine = line
                held = Set((environment(Inheritance.heldVariable) ?? "").split(separator: ":").compactMap { Int($0) })
            }
            // A predecessor cannot know its child's process number beforehand, so it writes its own.
            guard predecessorLine != nil || environment("LISTEN_PID").flatMap({ Int32($0) }) == processID else { return }
            let count = environment("LISTEN_FDS").flatMap { Int($0) } ?? 0
            let given = (environment("LISTEN_FDNAMES") ?? "").split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            names = (0..<max(0, min(count, Inheritance.socketLimit))).map { $0 < given.count ? given[$0] : "" }
        }
    }
}

/// The process that started this one as its successor.
public struct Predecessor: Sendable {
    static let readyWord: UInt8 = UInt8(ascii: "R")
    private static let patienceMilliseconds: Int32 = 10_000
    private let line: Int32

    init(line: Int32) {
        self.line = line
        _ = fcntl(line, F_SETFD, FD_CLOEXEC)
    }

    /// Reports that this process serves. Waits until the predecessor has told the service manager, which accepts no reports of this
    /// process before.
    public func takeOver() {
        var word = Predecessor.readyWord
        guard send(line, &word, 1, Int32(MSG_NOSIGNAL)) == 1 else { return _ = close(line) }
        var events = pollfd(fd: line, events: Int16(POLLIN), revents: 0)
        while poll(&events, 1, Predecessor.patienceMilliseconds) < 0, errno == EINTR {}
        close(line)
    }
}

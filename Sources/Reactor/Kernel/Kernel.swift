// The seam between Heartwire and the outside: every descriptor, every reading of a clock, every random byte goes through an instance of
// this class, one for each worker. `LinuxKernel` makes the system calls; tests use a simulated world instead. The kernel knows bytes
// and descriptors and no policy: the layers above decide which errors matter.

/// The result of a read or write.
public enum Transfer: Equatable, Sendable {
    /// That many bytes were transferred; 0 on reading means that the peer has ended its sending.
    case bytes(Int)
    /// Not now; the poller will report when.
    case wouldBlock
    /// The connection is broken.
    case failed(SystemError)
}

/// A connection attempt that was begun.
public struct Connection: Sendable {
    /// The new socket.
    public let descriptor: Int32
    /// Whether it is connected already. If not, the socket becomes writable when the attempt is over.
    public let isConnected: Bool

    /// A connection attempt as a kernel reports it.
    public init(descriptor: Int32, isConnected: Bool) {
        self.descriptor = descriptor
        self.isConnected = isConnected
    }
}

/// A connection that a listening socket gave.
public struct AcceptedConnection: Sendable {
    /// The new socket, non-blocking.
    public let descriptor: Int32
    /// The peer.
    public let peer: SocketAddress

    /// An accepted connection as a kernel reports it.
    public init(descriptor: Int32, peer: SocketAddress) {
        self.descriptor = descriptor
        self.peer = peer
    }
}

/// What a worker waits for on a descriptor, and what the poller reports of it.
public struct Readiness: OptionSet, Sendable {
    /// The bits, Heartwire's own.
    public let rawValue: UInt8
    /// A set out of its bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Bytes, a connection or the peer's end can be read.
    public static let readable = Readiness(rawValue: 1)
    /// Bytes can be written.
    public static let writable = Readiness(rawValue: 2)
    /// The peer has ended its sending.
    public static let peerEnded = Readiness(rawValue: 4)
    /// The connection is broken or wholly closed.
    public static let broken = Readiness(rawValue: 8)
    /// In an interest: report each change once, not for as long as it lasts.
    public static let onChange = Readiness(rawValue: 16)
    /// In an interest: of several pollers that watch the same socket, one report is enough. Such an interest cannot be changed.
    public static let exclusive = Readiness(rawValue: 32)
}

/// One report of the poller.
public struct PollerEvent: Sendable {
    /// The number that was given with the interest.
    public var token: UInt64
    /// What is ready.
    public var readiness: Readiness

    /// A report as a kernel makes it.
    public init(token: UInt64, readiness: Readiness) {
        self.token = token
        self.readiness = readiness
    }
}

/// The kernel's own view of a TCP connection (`TCP_INFO` and `SIOCOUTQ`), which the logs show as evidence beside a cause.
public struct TransportInformation: Equatable, Sendable {
    /// The state's number, as in `netinet/tcp.h` (1 is ESTABLISHED, 7 CLOSE, 8 CLOSE_WAIT).
    public var state: UInt8 = 0
    /// Retransmissions of the segment that waits now.
    public var retransmits: UInt32 = 0
    /// Retransmissions over the connection's whole life.
    public var totalRetransmits: UInt32 = 0
    /// The smoothed round trip, in microseconds.
    public var roundTripMicroseconds: UInt32 = 0
    /// Its variance, in microseconds.
    public var roundTripVarianceMicroseconds: UInt32 = 0
    /// Bytes that the peer has not acknowledged, those not yet sent included.
    public var unacknowledgedBytes: UInt32 = 0
    /// Milliseconds since the last acknowledgement came.
    public var sinceLastAcknowledgementMilliseconds: UInt32 = 0
    /// Milliseconds since data was last sent.
    public var sinceLastSentMilliseconds: UInt32 = 0
    /// Milliseconds since data was last received.
    public var sinceLastReceivedMilliseconds: UInt32 = 0
    /// Bytes that the peer has acknowledged over the connection's whole life; nil from a kernel before 4.9, like those that follow.
    public var acknowledgedBytes: UInt64?
    /// Bytes in the kernel's queue that were not sent yet.
    public var unsentBytes: UInt32?
    /// How fast the peer took bytes lately, in bytes a second.
    public var deliveryBytesPerSecond: UInt64?

    /// A view with nothing in it.
    public init() {}

    /// The name of `state` as RFC 9293 section 3.3.2 has it, in lower case with underscores.
    public var stateName: StaticString {
        switch state {
        case 1: "established"
        case 2: "syn_sent"
        case 3: "syn_received"
        case 4: "fin_wait_1"
        case 5: "fin_wait_2"
        case 6: "time_wait"
        case 7: "closed"
        case 8: "close_wait"
        case 9: "last_ack"
        case 10: "listen"
        case 11: "closing"
        default: "unknown"
        }
    }
}

/// How long the kernel itself may wait for a peer that does not answer at all.
public struct Patience: Sendable {
    /// An idle connection is probed after that many seconds.
    public var keepAliveSeconds: Int32
    /// A peer that acknowledges nothing is given up after that many milliseconds; 0 leaves the time to the kernel.
    public var unacknowledgedMilliseconds: Int32

    /// Patience in seconds and milliseconds.
    public init(keepAliveSeconds: Int32, unacknowledgedMilliseconds: Int32) {
        self.keepAliveSeconds = keepAliveSeconds
        self.unacknowledgedMilliseconds = unacknowledgedMilliseconds
    }
}

/// A worker's access to the system. A subclass must override all methods.
///
/// A kernel is used by one thread only, except `resolve`, `wake`, `sleep` and the clocks, which any thread may call.
open class Kernel: @unchecked Sendable {
    /// Nothing to set up in the base.
    public init() {}

    /// Monotonic time in milliseconds.
    open func monotonicMilliseconds() -> Int64 { unimplemented() }
    /// The time of day in milliseconds since 1970, UTC.
    open func unixMilliseconds() -> Int64 { unimplemented() }
    /// Keeps the calling thread asleep for that long; for threads that have no poller to wait in.
    open func sleep(milliseconds: Int) { unimplemented() }
    /// Unpredictable bytes.
    open func fillRandom(_ buffer: UnsafeMutableRawBufferPointer) { unimplemented() }

    /// Opens a listening socket; several may share one address (`SO_REUSEPORT`) when asked for.
    open func listen(_ address: SocketAddress, sharingPort: Bool) throws(SystemError) -> Int32 { unimplemented() }
    /// Binds a socket to an address and does not listen on it. Fails if any other socket has the address, also one with `SO_REUSEPORT`.
    open func bind(_ address: SocketAddress) throws(SystemError) -> Int32 { unimplemented() }
    /// The address that a socket is bound to.
    open func localAddress(of descriptor: Int32) -> SocketAddress? { unimplemented() }
    /// Another descriptor of the same socket; the socket closes with the last of them.
    open func duplicate(_ descriptor: Int32) throws(SystemError) -> Int32 { unimplemented() }
    /// Accepts the next connection of a listening socket; `nil` when there is none.
    open func accept(_ descriptor: Int32) throws(SystemError) -> AcceptedConnection? { unimplemented() }
    /// Begins to connect.
    open func connect(to address: SocketAddress) throws(SystemError) -> Connection { unimplemented() }
    /// The result of a connection attempt, once writable: `nil` when it succeeded.
    open func connectionError(of descriptor: Int32) -> SystemError? { unimplemented() }
    /// Makes a connection send even small data at once (`TCP_NODELAY`). On a listening socket, later connections inherit it.
    open func sendAtOnce(_ descriptor: Int32) { unimplemented() }
    /// Sets how long the kernel waits for a silent peer.
    open func setPatience(_ patience: Patience, of descriptor: Int32) { unimplemented() }

    /// Reads what is there, up to the buffer's size.
    open func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) -> Transfer { unimplemented() }
    /// Writes as much as the kernel takes at once.
    open func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Transfer { unimplemented() }
    /// The same for two pieces that follow each other, in one system call where possible.
    open func write(_ descriptor: Int32, _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) -> Transfer {
        (Array(first) + second).withUnsafeBytes { write(descriptor, $0) }
    }
    /// Shuts down our sending half; reading goes on.
    open func shutdownWriting(_ descriptor: Int32) { unimplemented() }
    /// Closes; `abortively` with a reset, so that the peer cannot take it for an orderly end.
    open func close(_ descriptor: Int32, abortively: Bool) { unimplemented() }
    /// The kernel's view of a connection; `nil` if it has none.
    open func transportInformation(of descriptor: Int32) -> TransportInformation? { unimplemented() }

    /// Makes a poller.
    open func makePoller() throws(SystemError) -> Int32 { unimplemented() }
    /// Adds a descriptor to a poller.
    open func watch(_ descriptor: Int32, for interest: Readiness, token: UInt64, poller: Int32) throws(SystemError) {
        unimplemented()
    }
    /// Changes the interest of a watched descriptor.
    open func rewatch(_ descriptor: Int32, for interest: Readiness, token: UInt64, poller: Int32) { unimplemented() }
    /// Removes a descriptor from a poller. Closing does that too, but only when no process has the socket open any more.
    open func unwatch(_ descriptor: Int32, poller: Int32) { unimplemented() }
    /// Waits for events, at most that long (-1: without limit). Returns how many events were filled in.
    open func wait(poller: Int32, into events: UnsafeMutableBufferPointer<PollerEvent>, milliseconds: Int32) -> Int {
        unimplemented()
    }
    /// Makes a descriptor that becomes readable when `wake` is called on it.
    open func makeWaker() throws(SystemError) -> Int32 { unimplemented() }
    /// Wakes the worker that polls the waker.
    open func wake(_ waker: Int32) { unimplemented() }
    /// Clears the wake-ups that have come.
    open func clearWaker(_ waker: Int32) { unimplemented() }

    /// Looks up a name. It blocks, so it is called on its own thread. Empty if the name has no address.
    open func resolve(_ host: String, port: UInt16) -> [SocketAddress] { unimplemented() }

    private func unimplemented(_ name: StaticString = #function) -> Never {
        fatalError("\(type(of: self)) does not override \(name)")
    }
}

extension Kernel {
    /// The address to listen on for every address of the machine: one IPv6 socket, which accepts IPv4 connections too, or, on a system
    /// without IPv6, the IPv4 one.
    public func everyAddress(port: UInt16) -> SocketAddress {
        do throws(SystemError) { close(try bind(.everyIPv6(port: 0)), abortively: false) } catch {
            if error == .unknownAddressFamily { return SocketAddress(bytes: [0, 0, 0, 0], port: port) }
        }
        return .everyIPv6(port: port)
    }
}

// The seam between Heartwire and the world: every descriptor, every reading of a clock, every random byte
// goes through one instance of this class, one for each worker. `LinuxKernel` makes the system calls; a test
// puts a simulated world in its place. It knows bytes and descriptors and no policy: which errors matter,
// and to whom, is decided above.

/// What a read or write came to.
public enum Transfer: Equatable, Sendable {
    /// That many bytes went over; 0 on reading is the peer's end of sending.
    case bytes(Int)
    /// Nothing now; the poller will say when.
    case wouldBlock
    /// The connection is broken.
    case failed(SystemError)
}

/// A connection attempt that was begun.
public struct Connection: Sendable {
    /// The new socket.
    public let descriptor: Int32
    /// Whether it is connected already; otherwise writability ends the attempt.
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
    /// In an interest: tell of each change once, not for as long as it lasts.
    public static let onChange = Readiness(rawValue: 16)
    /// In an interest: of several pollers that watch the same socket, one is enough. Such an interest cannot be changed.
    public static let exclusive = Readiness(rawValue: 32)
}

/// One report of the poller.
public struct PollerEvent: Sendable {
    /// The number that was given with the interest.
    public var token: UInt64
    /// What is the case.
    public var readiness: Readiness

    /// A report as a kernel makes it.
    public init(token: UInt64, readiness: Readiness) {
        self.token = token
        self.readiness = readiness
    }
}

/// The kernel's own view of a TCP connection (`TCP_INFO` and `SIOCOUTQ`).
public struct TransportInformation: Equatable, Sendable {
    /// The state's number, as in `netinet/tcp.h` (1 is ESTABLISHED, 7 CLOSE, 8 CLOSE_WAIT).
    public var state: UInt8 = 0
    /// Retransmissions of the segment that waits now.
    public var retransmits: UInt32 = 0
    /// Retransmissions over the connection's whole life.
    public var totalRetransmits: UInt32 = 0
    /// The smoothed round trip, in microseconds.
    public var roundTripMicroseconds: UInt32 = 0
    /// Its variation, in microseconds.
    public var roundTripVarianceMicroseconds: UInt32 = 0
    /// Bytes that the peer has not acknowledged, those not yet sent included.
    public var unacknowledgedBytes: UInt32 = 0
    /// Milliseconds since the last acknowledgement came.
    public var sinceLastAcknowledgementMilliseconds: UInt32 = 0
    /// Milliseconds since data was last sent.
    public var sinceLastSentMilliseconds: UInt32 = 0
    /// Milliseconds since data last came.
    public var sinceLastReceivedMilliseconds: UInt32 = 0

    /// A view with nothing in it.
    public init() {}
}

/// How long the kernel itself may wait for a peer that answers nothing at all.
public struct Patience: Sendable {
    /// An idle connection is probed after this many seconds.
    public var keepAliveSeconds: Int32
    /// A peer that acknowledges nothing is given up after this many milliseconds; 0 leaves it to the kernel.
    public var unacknowledgedMilliseconds: Int32

    /// Patience in seconds and milliseconds.
    public init(keepAliveSeconds: Int32, unacknowledgedMilliseconds: Int32) {
        self.keepAliveSeconds = keepAliveSeconds
        self.unacknowledgedMilliseconds = unacknowledgedMilliseconds
    }
}

/// The world that a worker lives in. The methods of this base class must all be overridden.
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
    /// Binds a socket to an address and does not listen on it. Fails where anybody else has the address, also those who would
    /// share it.
    open func bind(_ address: SocketAddress) throws(SystemError) -> Int32 { unimplemented() }
    /// The address that a socket is bound to.
    open func localAddress(of descriptor: Int32) -> SocketAddress? { unimplemented() }
    /// Another descriptor of the same socket; the socket closes with the last of them.
    open func duplicate(_ descriptor: Int32) throws(SystemError) -> Int32 { unimplemented() }
    /// Takes the next connection off a listening socket; `nil` when there is none.
    open func accept(_ descriptor: Int32) throws(SystemError) -> AcceptedConnection? { unimplemented() }
    /// Begins to connect.
    open func connect(to address: SocketAddress) throws(SystemError) -> Connection { unimplemented() }
    /// How a connection attempt came out, once writable: `nil` when it succeeded.
    open func connectionError(of descriptor: Int32) -> SystemError? { unimplemented() }
    /// Has a connection send what it is given at once, however little it is. Connections that come to a listening socket from then on
    /// inherit it.
    open func sendAtOnce(_ descriptor: Int32) { unimplemented() }
    /// Sets how long the kernel waits for a silent peer.
    open func setPatience(_ patience: Patience, of descriptor: Int32) { unimplemented() }

    /// Reads what is there, up to the buffer's size.
    open func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) -> Transfer { unimplemented() }
    /// Writes as much as is taken at once.
    open func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Transfer { unimplemented() }
    /// The same for two pieces that follow each other, in one call where that can be had.
    open func write(_ descriptor: Int32, _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) -> Transfer {
        (Array(first) + second).withUnsafeBytes { write(descriptor, $0) }
    }
    /// Ends our sending; reading goes on.
    open func shutdownWriting(_ descriptor: Int32) { unimplemented() }
    /// Closes; with `abortively`, by a reset, so that the peer cannot take it for an orderly end.
    open func close(_ descriptor: Int32, abortively: Bool) { unimplemented() }
    /// The kernel's view of a connection; `nil` where it has none.
    open func transportInformation(of descriptor: Int32) -> TransportInformation? { unimplemented() }

    /// Makes a poller.
    open func makePoller() throws(SystemError) -> Int32 { unimplemented() }
    /// Adds a descriptor to a poller.
    open func watch(_ descriptor: Int32, for interest: Readiness, token: UInt64, poller: Int32) throws(SystemError) {
        unimplemented()
    }
    /// Changes what is waited for.
    open func rewatch(_ descriptor: Int32, for interest: Readiness, token: UInt64, poller: Int32) { unimplemented() }
    /// Takes a descriptor out of a poller. Closing does that too, but only with the socket's last descriptor in any process.
    open func unwatch(_ descriptor: Int32, poller: Int32) { unimplemented() }
    /// Waits for events, at most so long (-1: for ever); returns how many were filled in.
    open func wait(poller: Int32, into events: UnsafeMutableBufferPointer<PollerEvent>, milliseconds: Int32) -> Int {
        unimplemented()
    }
    /// Makes a descriptor that becomes readable when `wake` is called on it.
    open func makeWaker() throws(SystemError) -> Int32 { unimplemented() }
    /// Wakes whoever polls the waker.
    open func wake(_ waker: Int32) { unimplemented() }
    /// Takes the wake-ups that have come.
    open func clearWaker(_ waker: Int32) { unimplemented() }

    /// Looks a name up; blocks, so it is called on a thread of its own. Empty when it has no address.
    open func resolve(_ host: String, port: UInt16) -> [SocketAddress] { unimplemented() }

    private func unimplemented(_ name: StaticString = #function) -> Never {
        fatalError("\(type(of: self)) does not override \(name)")
    }
}

extension Kernel {
    /// What to listen on for every address of the machine: one IPv6 socket, which takes IPv4 connections too, or, where the system has no
    /// IPv6, all of IPv4.
    public func everyAddress(port: UInt16) -> SocketAddress {
        do throws(SystemError) { close(try bind(.everyIPv6(port: 0)), abortively: false) } catch {
            if error == .unknownAddressFamily { return SocketAddress(bytes: [0, 0, 0, 0], port: port) }
        }
        return .everyIPv6(port: port)
    }
}

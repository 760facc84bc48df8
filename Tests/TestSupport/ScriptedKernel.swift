// A kernel in which nothing happens but what a test says: connections that come out as told, bytes that the test gives to read, and
// everything that was written kept.

import Reactor

/// A kernel without a kernel. Time stands still unless the test moves it.
package final class ScriptedKernel: Kernel, @unchecked Sendable {
    /// Monotonic and calendar milliseconds.
    package var now: Int64 = 1_000_000
    /// How far the calendar's clock was set forward.
    package var calendarStep: Int64 = 0
    /// The addresses of all connection attempts, in order, and the descriptors that they got.
    package private(set) var attempts: [(address: SocketAddress, descriptor: Int32)] = []
    /// What writing to a peer fails with.
    package var writeFailures: [Int32: SystemError] = [:]
    /// What a connection attempt fails with at once.
    package var connectFailure: SystemError?
    /// Connections that wait to be accepted.
    package var backlog: [Int32] = []
    /// Whether the process has no descriptor left for anything that is no connection.
    package var hasNoDescriptors = false
    /// How an attempt came out, asked for when the descriptor becomes writable.
    package var errors: [Int32: SystemError] = [:]
    /// What was written, by descriptor.
    package private(set) var written: [Int32: [UInt8]] = [:]
    /// How many bytes a peer still takes; as many as there are where nothing is said.
    package var rooms: [Int32: Int] = [:]
    /// The descriptors that were closed.
    package private(set) var closed: Set<Int32> = []
    private var failures: [Int32: SystemError] = [:]
    /// Those of the closed ones whose peers saw a reset.
    package private(set) var reset: Set<Int32> = []
    private var contents: [Int32: [UInt8]] = [:]
    private var tokens: [Int32: UInt64] = [:]
    private var reports: [(descriptor: Int32, readiness: Readiness)] = []
    private var lastDescriptor: Int32 = 100

    /// A kernel in which nothing is open.
    package override init() {}

    /// A descriptor that was not used before.
    package func makeDescriptor() -> Int32 {
        lastDescriptor += 1
        return lastDescriptor
    }

    /// The poller's next turn tells this.
    package func report(_ descriptor: Int32, _ readiness: Readiness) { reports.append((descriptor, readiness)) }

    /// The peer sent these bytes; none stands for its end.
    package func receive(_ descriptor: Int32, _ text: String) { receive(descriptor, bytes: Array(text.utf8)) }

    /// The peer sent these bytes; none stand for its end.
    package func receive(_ descriptor: Int32, bytes: [UInt8]) {
        contents[descriptor] = bytes
        report(descriptor, .readable)
    }

    /// The connection is broken; the next read reports it.
    package func breaks(_ descriptor: Int32, _ error: SystemError) {
        failures[descriptor] = error
        report(descriptor, .readable)
    }

    package override func monotonicMilliseconds() -> Int64 { now }
    package override func unixMilliseconds() -> Int64 { now + calendarStep }
    package override func sleep(milliseconds: Int) { now += Int64(milliseconds) }
    package override func fillRandom(_ buffer: UnsafeMutableRawBufferPointer) {
        for index in buffer.indices { buffer[index] = UInt8.random(in: 0...255) }
    }
    package override func connect(to address: SocketAddress) throws(SystemError) -> Connection {
        let descriptor = makeDescriptor()
        attempts.append((address, descriptor))
        if let connectFailure { throw connectFailure }
        return Connection(descriptor: descriptor, isConnected: false)
    }
    package override func connectionError(of descriptor: Int32) -> SystemError? { errors[descriptor] }
    package override func sendAtOnce(_ descriptor: Int32) {}
    package override func setPatience(_ patience: Patience, of descriptor: Int32) {}
    package override func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
        if let failure = failures.removeValue(forKey: descriptor) { return .failed(failure) }
        guard let bytes = contents.removeValue(forKey: descriptor) else { return .wouldBlock }
        let taken = min(bytes.count, buffer.count)
        buffer.copyBytes(from: bytes.prefix(taken))
        if taken < bytes.count { receive(descriptor, bytes: Array(bytes.dropFirst(taken))) }
        return .bytes(taken)
    }
    package override func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Transfer {
        if let failure = writeFailures[descriptor] { return .failed(failure) }
        let room = min(rooms[descriptor] ?? .max, bytes.count)
        if room == 0 { return .wouldBlock }
        rooms[descriptor]? -= room
        written[descriptor, default: []] += bytes[..<room]
        return .bytes(room)
    }
    package override func localAddress(of descriptor: Int32) -> SocketAddress? {
        SocketAddress(bytes: [127, 0, 0, 1], port: UInt16(descriptor))
    }
    package override func accept(_ descriptor: Int32) -> AcceptedConnection? {
        guard !backlog.isEmpty else { return nil }
        return AcceptedConnection(descriptor: backlog.removeFirst(), peer: SocketAddress(bytes: [192, 0, 2, 1], port: 5))
    }
    package override func unwatch(_ descriptor: Int32, poller: Int32) { tokens[descriptor] = nil }
    package override func shutdownWriting(_ descriptor: Int32) {}
    package override func close(_ descriptor: Int32, abortively: Bool) {
        closed.insert(descriptor)
        if abortively { reset.insert(descriptor) }
        tokens[descriptor] = nil
    }
    package override func transportInformation(of descriptor: Int32) -> TransportInformation? { nil }
    package override func makePoller() -> Int32 { makeDescriptor() }
    package override func watch(_ descriptor: Int32, for interest: Readiness, token: UInt64, poller: Int32) { tokens[descriptor] = token }
    package override func rewatch(_ descriptor: Int32, for interest: Readiness, token: UInt64, poller: Int32) {}
    package override func wait(poller: Int32, into events: UnsafeMutableBufferPointer<PollerEvent>, milliseconds: Int32) -> Int {
        let told = reports.compactMap { report in tokens[report.descriptor].map { PollerEvent(token: $0, readiness: report.readiness) } }
        reports = []
        for (index, event) in told.enumerated() { events[index] = event }
        return told.count
    }
    package override func makeWaker() throws(SystemError) -> Int32 {
        if hasNoDescriptors { throw .tooManyFiles }
        return makeDescriptor()
    }
    package override func wake(_ waker: Int32) {}
    package override func clearWaker(_ waker: Int32) {}
}

// The Linux system calls behind the `Kernel` seam. Every call retries EINTR itself and turns EAGAIN into a result, so the layers above
// see neither.

import CLinux
import Glibc

/// The real system.
public final class LinuxKernel: Kernel, @unchecked Sendable {
    private static let pollBatch = 256
    private let batch = UnsafeMutablePointer<epoll_event>.allocate(capacity: pollBatch)

    /// A kernel for one worker.
    public override init() { super.init() }

    deinit { batch.deallocate() }

    // MARK: Time and random bytes

    private func milliseconds(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }

    public override func monotonicMilliseconds() -> Int64 { milliseconds(CLOCK_MONOTONIC) }
    public override func sleep(milliseconds: Int) { SystemProcess.sleep(milliseconds: milliseconds) }

    public override func unixMilliseconds() -> Int64 { milliseconds(CLOCK_REALTIME) }

    public override func fillRandom(_ buffer: UnsafeMutableRawBufferPointer) {
        var filled = 0
        while filled < buffer.count {
            let count = getrandom(buffer.baseAddress! + filled, buffer.count - filled, 0)
            precondition(count > 0 || errno == EINTR, "the kernel has no randomness to give")
            filled += max(count, 0)
        }
    }

    // MARK: Sockets

    public override func listen(_ address: SocketAddress, sharingPort: Bool) throws(SystemError) -> Int32 {
        let descriptor = try bind(address, sharingPort: sharingPort)
        guard Glibc.listen(descriptor, 4096) == 0 else {
            let error = SystemError.last
            Glibc.close(descriptor)
            throw error
        }
        return descriptor
    }

    public override func bind(_ address: SocketAddress) throws(SystemError) -> Int32 { try bind(address, sharingPort: false) }

    private func bind(_ address: SocketAddress, sharingPort: Bool) throws(SystemError) -> Int32 {
        let descriptor = try makeSocket(for: address)
        if address.isUnix { return try bindPath(of: address, descriptor) }
        setOption(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        if sharingPort { setOption(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) }
        // An unspecified IPv6 address also accepts IPv4, whatever the system's default (net.ipv6.bindv6only).
        if address.isIPv6, address.isUnspecified { setOption(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0) }
        guard address.withSockaddr({ Glibc.bind(descriptor, $0, $1) }) == 0 else {
            let error = SystemError.last
            Glibc.close(descriptor)
            throw error
        }
        return descriptor
    }

    /// Binds to a path, which only its owner and group may use then. A file that a process has left behind there is replaced: nobody
    /// listens on it.
    private func bindPath(of address: SocketAddress, _ descriptor: Int32) throws(SystemError) -> Int32 {
        func isBound() -> Bool { address.withSockaddr { Glibc.bind(descriptor, $0, $1) } == 0 }
        var isDone = isBound()
        if !isDone, errno == EADDRINUSE, let path = address.unixFile {
            do { close(try connect(to: address).descriptor, abortively: false) } catch  where error == .connectionRefused {
                unlink(path)
                isDone = isBound()
            } catch {}
            if !isDone { errno = EADDRINUSE }
        }
        guard isDone else {
            let error = SystemError.last
            Glibc.close(descriptor)
            throw error
        }
        if let path = address.unixFile { chmod(path, 0o660) }
        return descriptor
    }

    public override func localAddress(of descriptor: Int32) -> SocketAddress? { SocketAddress(boundTo: descriptor) }

    public override func duplicate(_ descriptor: Int32) throws(SystemError) -> Int32 {
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        guard copy >= 0 else { throw .last }
        return copy
    }

    public override func accept(_ descriptor: Int32) throws(SystemError) -> AcceptedConnection? {
        var storage = sockaddr_storage()
        while true {
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            var peer: SocketAddress?
            let accepted = withUnsafeMutablePointer(to: &storage) { storage in
                storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                    let accepted = accept4(
                        descriptor, pointer, &length, Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue))
                    if accepted >= 0 { peer = SocketAddress(pointer) }
                    return accepted
                }
            }
            if accepted >= 0 {
                guard let peer else {
                    Glibc.close(accepted)
                    continue
                }
                return AcceptedConnection(descriptor: accepted, peer: peer)
            }
            switch errno {
            // A connection that died in the backlog does not matter; the next one may be fine.
            case EINTR, ECONNABORTED, EPROTO: continue
            case EAGAIN: return nil
            default: throw SystemError.last
            }
        }
    }

    public override func connect(to address: SocketAddress) throws(SystemError) -> Connection {
        let descriptor = try makeSocket(for: address)
        if !address.isUnix { setOption(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1) }
        let outcome = address.withSockaddr { Glibc.connect(descriptor, $0, $1) }
        if outcome == 0 { return Connection(descriptor: descriptor, isConnected: true) }
        // An interrupted connect goes on by itself, like one in progress.
        if errno == EINPROGRESS || errno == EINTR {
            return Connection(descriptor: descriptor, isConnected: address.isLoopback && hasPeer(descriptor))
        }
        let error = SystemError.last
        Glibc.close(descriptor)
        throw error
    }

    /// On the same machine the handshake is over before `connect` returns, although `connect` reports "in progress".
    private func hasPeer(_ descriptor: Int32) -> Bool {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &length) == 0 }
        }
    }

    public override func connectionError(of descriptor: Int32) -> SystemError? {
        var number: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &number, &length) == 0 else { return SystemError.last }
        return number == 0 ? nil : SystemError(number)
    }

    public override func sendAtOnce(_ descriptor: Int32) { setOption(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1) }

    public override func setPatience(_ patience: Patience, of descriptor: Int32) {
        if patience.keepAliveSeconds > 0 {
            setOption(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
            setOption(descriptor, Int32(IPPROTO_TCP), TCP_KEEPIDLE, patience.keepAliveSeconds)
            setOption(descriptor, Int32(IPPROTO_TCP), TCP_KEEPINTVL, max(1, patience.keepAliveSeconds / 6))
            setOption(descriptor, Int32(IPPROTO_TCP), TCP_KEEPCNT, 6)
        }
        if patience.unacknowledgedMilliseconds > 0 {
            setOption(descriptor, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, patience.unacknowledgedMilliseconds)
        }
    }

    private func makeSocket(for address: SocketAddress) throws(SystemError) -> Int32 {
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = Glibc.socket(address.isUnix ? AF_UNIX : address.isIPv6 ? AF_INET6 : AF_INET, kind, 0)
        guard descriptor >= 0 else { throw SystemError.last }
        return descriptor
    }

    /// Sets an option that is only a hint: it may fail.
    private func setOption(_ descriptor: Int32, _ level: Int32, _ name: Int32, _ value: Int32) {
        var value = value
        setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    // MARK: Bytes

    public override func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
        transfer { receive_bytes(descriptor, buffer.baseAddress, buffer.count) }
    }

    public override func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Transfer {
        transfer { send_bytes(descriptor, bytes.baseAddress, bytes.count) }
    }

    public override func write(
        _ descriptor: Int32, _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer
    ) -> Transfer {
        withUnsafeTemporaryAllocation(of: iovec.self, capacity: 2) { pieces in
            pieces[0] = iovec(iov_base: UnsafeMutableRawPointer(mutating: first.baseAddress), iov_len: first.count)
            pieces[1] = iovec(iov_base: UnsafeMutableRawPointer(mutating: second.baseAddress), iov_len: second.count)
            var message = msghdr()
            message.msg_iov = pieces.baseAddress
            message.msg_iovlen = 2
            return transfer { send_pieces(descriptor, &message) }
        }
    }

    @inline(__always)
    private func transfer(_ call: () -> Int) -> Transfer {
        while true {
            let count = call()
            if count >= 0 { return .bytes(count) }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            default: return .failed(SystemError.last)
            }
        }
    }

    public override func shutdownWriting(_ descriptor: Int32) { Glibc.shutdown(descriptor, Int32(SHUT_WR)) }

    public override func close(_ descriptor: Int32, abortively: Bool) {
        if abortively {
            var linger = linger(l_onoff: 1, l_linger: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
        }
        Glibc.close(descriptor)
    }

    public override func transportInformation(of descriptor: Int32) -> TransportInformation? {
        var raw = tcp_information()
        var length = socklen_t(MemoryLayout<tcp_information>.size)
        guard getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_INFO, &raw, &length) == 0 else { return nil }
        var queued: Int32 = 0
        // SIOCOUTQ has the number of TIOCOUTQ: the bytes that the peer has not acknowledged.
        if ioctl(descriptor, UInt(TIOCOUTQ), &queued) != 0 { queued = 0 }
        var information = TransportInformation()
        information.state = raw.state
        information.retransmits = UInt32(raw.retransmits)
        information.totalRetransmits = raw.total_retransmits
        information.roundTripMicroseconds = raw.round_trip
        information.roundTripVarianceMicroseconds = raw.round_trip_variance
        information.unacknowledgedBytes = UInt32(max(queued, 0))
        information.sinceLastAcknowledgementMilliseconds = raw.last_acknowledgement_received
        information.sinceLastSentMilliseconds = raw.last_data_sent
        information.sinceLastReceivedMilliseconds = raw.last_data_received
        // An older kernel fills less.
        if Int(length) >= MemoryLayout<tcp_information>.size {
            information.acknowledgedBytes = raw.bytes_acknowledged
            information.unsentBytes = raw.unsent_bytes
            information.deliveryBytesPerSecond = raw.delivery_rate
        }
        return information
    }

    // MARK: Polling

    public override func makePoller() throws(SystemError) -> Int32 {
        let poller = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard poller >= 0 else { throw SystemError.last }
        return poller
    }

    public override func watch(
        _ descriptor: Int32, for interest: Readiness, token: UInt64, poller: Int32
    ) throws(SystemError) {
        var event = epollEvent(interest, token)
        guard epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) == 0 else { throw SystemError.last }
    }

    public override func rewatch(_ descriptor: Int32, for interest: Readiness, token: UInt64, poller: Int32) {
        var event = epollEvent(interest, token)
        let outcome = epoll_ctl(poller, EPOLL_CTL_MOD, descriptor, &event)
        precondition(outcome == 0, "only descriptors that are watched are rewatched")
    }

    public override func unwatch(_ descriptor: Int32, poller: Int32) {
        var event = epoll_event()
        let outcome = epoll_ctl(poller, EPOLL_CTL_DEL, descriptor, &event)
        precondition(outcome == 0, "only descriptors that are watched are watched no longer")
    }

    private func epollEvent(_ interest: Readiness, _ token: UInt64) -> epoll_event {
        var bits: UInt32 = 0
        if interest.contains(.readable) { bits |= EPOLLIN.rawValue }
        if interest.contains(.writable) { bits |= EPOLLOUT.rawValue }
        if interest.contains(.peerEnded) { bits |= EPOLLRDHUP.rawValue }
        if interest.contains(.onChange) { bits |= EPOLLET.rawValue }
        if interest.contains(.exclusive) { bits |= EPOLLEXCLUSIVE.rawValue }
        return epoll_event(events: bits, data: epoll_data_t(u64: token))
    }

    public override func wait(
        poller: Int32, into events: UnsafeMutableBufferPointer<PollerEvent>, milliseconds: Int32
    ) -> Int {
        let room = Int32(min(events.count, LinuxKernel.pollBatch))
        let count = epoll_wait(poller, batch, room, milliseconds)
        guard count > 0 else {
            precondition(count == 0 || errno == EINTR, "waiting on one's own poller fails only by an interrupt")
            return 0
        }
        for index in 0..<Int(count) {
            let bits = batch[index].events
            var readiness: Readiness = []
            if bits & EPOLLIN.rawValue != 0 { readiness.insert(.readable) }
            if bits & EPOLLOUT.rawValue != 0 { readiness.insert(.writable) }
            if bits & EPOLLRDHUP.rawValue != 0 { readiness.insert(.peerEnded) }
            if bits & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 { readiness.insert(.broken) }
            events[index] = PollerEvent(token: batch[index].data.u64, readiness: readiness)
        }
        return Int(count)
    }

    public override func makeWaker() throws(SystemError) -> Int32 {
        let waker = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        guard waker >= 0 else { throw SystemError.last }
        return waker
    }

    public override func wake(_ waker: Int32) {
        var one: UInt64 = 1
        _ = Glibc.write(waker, &one, 8)
    }

    public override func clearWaker(_ waker: Int32) {
        var count: UInt64 = 0
        _ = Glibc.read(waker, &count, 8)
    }

    // MARK: Names

    public override func resolve(_ host: String, port: UInt16) -> [SocketAddress] {
        if let known = SocketAddress(literal: host, port: port) { return [known] }
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
        defer { freeaddrinfo(list) }
        var found: [SocketAddress] = []
        var next = list
        while let entry = next {
            if let pointer = entry.pointee.ai_addr, var address = SocketAddress(pointer) {
                address.port = port
                if !found.contains(address) { found.append(address) }
            }
            next = entry.pointee.ai_next
        }
        return found
    }
}

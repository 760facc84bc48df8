// An error number of the kernel, as a value with a name. It leaves the judgement whose fault an error is
// to the layers above, which know what was being done.

import Glibc

/// An `errno` of a failed system call.
public struct SystemError: Error, Equatable, Sendable {
    /// The number, as in `errno.h`.
    public let number: Int32

    /// Makes an error of a number out of `errno.h`.
    public init(_ number: Int32) { self.number = number }

    /// The error of the call that failed last on this thread.
    static var last: SystemError { SystemError(errno) }

    /// The peer sent a reset.
    public static let connectionReset = SystemError(ECONNRESET)
    /// Written to after the peer's reset or our own shutdown. For tests' kernels.
    public static let brokenPipe = SystemError(EPIPE)
    /// Nothing listens at that address.
    public static let connectionRefused = SystemError(ECONNREFUSED)
    /// The peer's host answered nothing for as long as the kernel was told to wait.
    public static let timedOut = SystemError(ETIMEDOUT)
    /// The peer's or our own bytes make no sense to a protocol below HTTP.
    public static let protocolError = SystemError(EPROTO)
    /// Somebody listens at that address already.
    public static let addressInUse = SystemError(EADDRINUSE)
    /// The system does not know this kind of address.
    public static let unknownAddressFamily = SystemError(EAFNOSUPPORT)
    /// No memory was left.
    public static let outOfMemory = SystemError(ENOMEM)
    /// It cannot be done now without waiting.
    public static let wouldBlock = SystemError(EAGAIN)
    /// No descriptor was left. For tests' kernels.
    public static let tooManyFiles = SystemError(EMFILE)

    /// Whether this is how a peer's host that is gone, or the way to it, makes itself known.
    public var meansUnreachable: Bool {
        switch number {
        case ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, EHOSTDOWN, ENETDOWN: true
        default: false
        }
    }

    /// Whether it is this process, not a peer, that ran out of something.
    public var meansExhausted: Bool {
        switch number {
        case EMFILE, ENFILE, ENOBUFS, ENOMEM: true
        default: false
        }
    }

    /// The symbolic name, such as `ECONNRESET`; `errno N` for one that the proxy does not expect.
    public var name: String {
        switch number {
        case ECONNRESET: "ECONNRESET"
        case ECONNREFUSED: "ECONNREFUSED"
        case ECONNABORTED: "ECONNABORTED"
        case EPIPE: "EPIPE"
        case ETIMEDOUT: "ETIMEDOUT"
        case EHOSTUNREACH: "EHOSTUNREACH"
        case ENETUNREACH: "ENETUNREACH"
        case EHOSTDOWN: "EHOSTDOWN"
        case ENETDOWN: "ENETDOWN"
        case EMFILE: "EMFILE"
        case ENFILE: "ENFILE"
        case ENOBUFS: "ENOBUFS"
        case ENOMEM: "ENOMEM"
        case EADDRINUSE: "EADDRINUSE"
        case EADDRNOTAVAIL: "EADDRNOTAVAIL"
        case EACCES: "EACCES"
        case EPERM: "EPERM"
        case ENOENT: "ENOENT"
        case EAGAIN: "EAGAIN"
        case EPROTOTYPE: "EPROTOTYPE"
        case EINVAL: "EINVAL"
        case EAFNOSUPPORT: "EAFNOSUPPORT"
        case ENOSPC: "ENOSPC"
        case EDQUOT: "EDQUOT"
        case EFBIG: "EFBIG"
        case EIO: "EIO"
        case EROFS: "EROFS"
        default: "errno \(number)"
        }
    }

    /// The C library's sentence for it, with the name: `Connection reset by peer (ECONNRESET)`.
    public var message: String { "\(String(cString: strerror(number))) (\(name))" }
}

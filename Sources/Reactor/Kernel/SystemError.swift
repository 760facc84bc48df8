// An error number of the kernel, as a value with a name. The layers above know what was being done, so they decide whose fault it is.

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
    /// The peer's host did not answer for as long as the kernel was told to wait.
    public static let timedOut = SystemError(ETIMEDOUT)
    /// The bytes break a protocol below HTTP.
    public static let protocolError = SystemError(EPROTO)
    /// Another socket listens at that address already.
    public static let addressInUse = SystemError(EADDRINUSE)
    /// The system does not know this kind of address.
    public static let unknownAddressFamily = SystemError(EAFNOSUPPORT)
    /// No memory was left.
    public static let outOfMemory = SystemError(ENOMEM)
    /// The call would have to wait.
    public static let wouldBlock = SystemError(EAGAIN)
    /// No descriptor was left. For tests' kernels.
    public static let tooManyFiles = SystemError(EMFILE)

    /// Whether the error means that the peer's host, or the network to it, is gone.
    public var meansUnreachable: Bool {
        switch number {
        case ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, EHOSTDOWN, ENETDOWN: true
        default: false
        }
    }

    /// Whether this process, and not a peer, ran out of a resource.
    public var meansExhausted: Bool {
        switch number {
        case EMFILE, ENFILE, ENOBUFS, ENOMEM: true
        default: false
        }
    }

    /// The symbolic name, such as `ECONNRESET`; `errno N` for a number that is not listed here.
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

    /// The C library's sentence for the error, with the name: `Connection reset by peer (ECONNRESET)`.
    public var message: String { "\(String(cString: strerror(number))) (\(name))" }
}

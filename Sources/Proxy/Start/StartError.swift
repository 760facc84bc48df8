// Why a configuration cannot be put in force, at the start or later.

import Reactor

/// Why the proxy could not start.
package enum StartError: Error, Sendable {
    /// An address to listen on cannot be had.
    case cannotListen(address: String, SystemError)
    /// A log file cannot be opened.
    case cannotOpenLog(path: String, SystemError)
    /// A certificate, a key or another word about TLS cannot be used.
    case security(TLSError)
    /// The system lacks something that every worker needs.
    case system(SystemError)

    /// One line for the person who started it.
    package var message: String {
        switch self {
        case .cannotListen(let address, let error): "cannot listen on \(address): \(error.message)"
        case .cannotOpenLog(let path, let error): "cannot open the log file \(path): \(error.message)"
        case .security(let error): error.message
        case .system(let error): "cannot start: \(error.message)"
        }
    }
}

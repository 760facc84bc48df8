// Why a configuration cannot be applied, at the start or at a reload.

import Reactor

/// Why the proxy could not start.
package enum StartError: Error, Sendable {
    /// An address to listen on is not available.
    case cannotListen(address: String, SystemError)
    /// A log file cannot be opened.
    case cannotOpenLog(path: String, SystemError)
    /// A certificate, a key or another TLS setting cannot be used.
    case security(TLSError)
    /// The system has no resource left that every worker needs.
    case system(SystemError)

    /// One line for the operator.
    package var message: String {
        switch self {
        case .cannotListen(let address, let error): "cannot listen on \(address): \(error.message)"
        case .cannotOpenLog(let path, let error): "cannot open the log file \(path): \(error.message)"
        case .security(let error): error.message
        case .system(let error): "cannot start: \(error.message)"
        }
    }
}

// What can be wrong with keys and certificates when they are loaded, and with a peer when it speaks. Both are said
// in OpenSSL's own words, because those are what one can search for.

import COpenSSL

/// Why a TLS context could not be made. It is the operator's matter: a file, or a word of the configuration.
public struct TLSError: Error, Equatable, Sendable {
    /// One line that names the file or the setting, and what is wrong with it.
    public let message: String

    /// An error with its line.
    public init(_ message: String) { self.message = message }
}

/// Why a TLS connection is broken. It is the peer's matter, or the network's.
public struct TLSFailure: Error, Equatable, Sendable {
    /// When it broke.
    public enum Moment: Sendable {
        /// Before both sides had agreed on keys.
        case handshake
        /// Afterwards.
        case record
    }

    /// When it broke.
    public let moment: Moment
    /// In OpenSSL's words, such as `certificate verify failed: certificate has expired`.
    public let reason: String
    /// Whether nothing was wrong but that the peer closed the connection.
    public let isEndOfConnection: Bool

    init(_ moment: Moment, _ reason: String, isEndOfConnection: Bool = false) {
        self.moment = moment
        self.reason = reason
        self.isEndOfConnection = isEndOfConnection
    }
}

/// OpenSSL's queue of errors, which belongs to the thread.
enum TLSErrorQueue {
    /// Empties the queue: an error that an earlier call left would be taken for the next one's.
    static func clear() { ERR_clear_error() }

    /// The reason of the first error in the queue, which it empties; `fallback` where it says nothing.
    static func takeReason(fallback: String) -> String {
        let code = ERR_peek_error()
        ERR_clear_error()
        guard code != 0 else { return fallback }
        if let reason = ERR_reason_error_string(code) { return String(cString: reason) }
        // Errors of the system have no reason of OpenSSL's.
        return fallback
    }

    /// Whether the last error in the queue came from reading a file that is not what it should be, not from the file system.
    static func takeFileReason() -> String {
        let code = ERR_peek_error()
        let last = ERR_peek_last_error()
        ERR_clear_error()
        for candidate in [code, last] where candidate != 0 {
            if let reason = ERR_reason_error_string(candidate) { return String(cString: reason) }
        }
        return "it cannot be read"
    }
}

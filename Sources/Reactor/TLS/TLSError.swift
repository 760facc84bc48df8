// What can be wrong with keys and certificates when they are loaded, and with a peer's TLS. Both use OpenSSL's own words, because
// people can search for those.

import COpenSSL

/// Why a TLS context could not be made. The operator has to repair a file or the configuration.
public struct TLSError: Error, Equatable, Sendable {
    /// One line that names the file or the setting, and what is wrong with it.
    public let message: String

    /// An error with its line.
    public init(_ message: String) { self.message = message }
}

/// Why a TLS connection is broken. The peer or the network is at fault.
public struct TLSFailure: Error, Equatable, Sendable {
    /// When it broke.
    public enum Moment: Sendable {
        /// Before both sides agreed on keys.
        case handshake
        /// After that.
        case record
    }

    /// When it broke.
    public let moment: Moment
    /// In OpenSSL's words, such as `certificate verify failed: certificate has expired`.
    public let reason: String
    /// Whether the peer only closed the connection and nothing else was wrong.
    public let isEndOfConnection: Bool

    init(_ moment: Moment, _ reason: String, isEndOfConnection: Bool = false) {
        self.moment = moment
        self.reason = reason
        self.isEndOfConnection = isEndOfConnection
    }
}

/// OpenSSL's queue of errors, which belongs to the thread.
enum TLSErrorQueue {
    /// Empties the queue: an error that an earlier call left would be taken for the next call's.
    static func clear() {
        // OpenSSL goes through all sixteen places of the queue, even where none holds an error.
        if ERR_peek_error() != 0 { ERR_clear_error() }
    }

    /// The reason of the first error in the queue, which this empties; `fallback` if there is no reason.
    static func takeReason(fallback: String) -> String {
        let code = ERR_peek_error()
        ERR_clear_error()
        guard code != 0 else { return fallback }
        if let reason = ERR_reason_error_string(code) { return String(cString: reason) }
        // OpenSSL has no reason texts for system errors.
        return fallback
    }

    /// Whether the last error in the queue means that a file was read but has the wrong content, and not that the file system failed.
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

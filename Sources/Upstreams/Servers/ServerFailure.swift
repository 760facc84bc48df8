// Every way in which a server fails. What follows from a failure for a client and for the log is decided above this room, in one table.

import Reactor

/// How a server failed.
package enum ServerFailure: CaseIterable {
    /// Its name has no address.
    case nameNotResolved
    case connectionRefused, connectTimeout, connectFailed
    /// The backlog of its UNIX socket is full, which the kernel says at once. Over TCP the attempt would time out.
    case backlogFull
    /// No TLS handshake in time.
    case handshakeTimeout
    /// The connection ended or broke during the TLS handshake.
    case handshakeBroken
    /// One side refused the handshake: a certificate that cannot be verified, bytes that are no TLS, an alert.
    case handshakeRefused
    /// What came after the handshake cannot be decrypted, or is an alert, such as one about our own certificate.
    case recordRefused
    /// It closed the connection without a byte of a response.
    case noResponse
    /// It closed in the middle of the response's head.
    case headCutOff
    case reset, vanished, responseTimeout
    /// It answered a status that stands for an outage. The user of this room decides which statuses do.
    case outageAnswer
    /// What it sent is no HTTP, or contradicts itself, or is beyond a limit.
    case brokeRules
    /// It closed in the middle of the response's body.
    case bodyCutOff
    /// It sent nothing of the response's body for as long as it may.
    case silent

    /// Why a connection could not be made.
    package init(connecting error: SystemError) {
        switch error {
        case .connectionRefused: self = .connectionRefused
        case .timedOut: self = .connectTimeout
        case .wouldBlock: self = .backlogFull
        default: self = .connectFailed
        }
    }

    /// Why a connection broke on which a response was waited for.
    package init(waiting error: SystemError) { self = error.meansUnreachable ? .vanished : .reset }

    /// Why TLS with a server failed.
    package init(_ failure: TLSFailure) {
        switch failure.moment {
        case .handshake: self = failure.isEndOfConnection ? .handshakeBroken : .handshakeRefused
        case .record: self = .recordRefused
        }
    }

    /// Whether the connection ended or broke. On a reused connection that may have happened before the request reached the server.
    package var isEndOfConnection: Bool { self == .noResponse || self == .reset || self == .vanished }
}

/// A failure with what was seen of it.
package struct SeenFailure {
    /// How the server failed.
    package let failure: ServerFailure
    /// What was seen, in words that hold no byte of the server's.
    package let evidence: String
    /// The system's error, where there was one.
    package let error: SystemError?

    /// A failure with what was seen of it.
    package init(_ failure: ServerFailure, evidence: String, error: SystemError? = nil) {
        self.failure = failure
        self.evidence = evidence
        self.error = error
    }

    /// A connection that could not be made within that time, or at all.
    package init(connecting error: SystemError, withinMilliseconds limit: Int) {
        let failure = ServerFailure(connecting: error)
        let evidence =
            switch failure {
            case .connectTimeout: "no answer to a connection attempt within \(limit) ms"
            case .backlogFull: "connect: the backlog of the server's socket is full (EAGAIN)"
            default: "connect: \(error.message)"
            }
        self.init(failure, evidence: evidence, error: error)
    }

    /// A server whose name has no address.
    package static let nameNotResolved = SeenFailure(.nameNotResolved, evidence: "the server's name has no address")
}

// Every way in which a server fails. One table above this room decides what follows for the client and the log.

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
    /// A record after the handshake cannot be decrypted, or is an alert, such as one about our own certificate.
    case recordRefused
    /// It closed the connection without a byte of a response.
    case noResponse
    /// It closed in the middle of the response's head.
    case headCutOff
    case reset, vanished, responseTimeout
    /// It answered a status that stands for an outage. The user of this room decides which statuses do.
    case outageAnswer
    /// It sent something that is not HTTP, contradicts itself, or exceeds a limit.
    case brokeRules
    /// It closed in the middle of the response's body.
    case bodyCutOff
    /// It sent nothing of the response's body within its timeout.
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

    /// Why a connection broke before its response.
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

/// A failure with its evidence.
package struct SeenFailure {
    /// How the server failed.
    package let failure: ServerFailure
    /// What the proxy saw, in words without a byte of the server.
    package let evidence: String
    /// The system's error, where there was one.
    package let error: SystemError?

    /// A failure with its evidence.
    package init(_ failure: ServerFailure, evidence: String, error: SystemError? = nil) {
        self.failure = failure
        self.evidence = evidence
        self.error = error
    }

    /// A failure to connect, within that time or at all.
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

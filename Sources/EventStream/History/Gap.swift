// What is told to a client where something is or may be missing.
//
//     id: hw1.k3Jd9aQx.1q7
//     event: stream_gap
//     data: {"reason":"expired","certain":true,"missed":15}
//
// A named type reaches only pages that listen for it. Invariant: nothing that a client or a server sent is echoed in it.

import Bytes

/// A place where blocks are or may be missing.
package struct Gap: Sendable, Equatable {
    /// Why blocks are missing.
    package enum Reason: String, Sendable, CaseIterable {
        /// The history's bounds: the blocks were held once.
        case expired
        /// An id that this log does not know, or of another log.
        case unknown
        /// An id that the server used more than once, so that the place is doubtful.
        case repeated
        /// Nobody listened for a while, so the server was not listened to.
        case away
        /// The server's connection broke, and the server does not replay.
        case upstream
        /// A block above the limit, which is not kept.
        case oversize
        /// Another proxy took the stream over.
        case owner
        /// The store lost blocks.
        case store
    }

    /// Why.
    package var reason: Reason
    /// Whether something was lost; otherwise something may have been.
    package var isCertain: Bool
    /// How many blocks are missing, where that is known.
    package var missedCount: UInt64?

    /// A gap.
    package init(_ reason: Reason, isCertain: Bool, missedCount: UInt64? = nil) {
        self.reason = reason
        self.isCertain = isCertain
        self.missedCount = missedCount
    }

    /// Appends the gap's event, without an `id` line.
    ///
    /// - Parameter type: the event's type, without CR, LF and NUL.
    func append(type: [UInt8], to bytes: inout [UInt8]) {
        bytes += Array("event: ".utf8) + type + [lineFeed]
        let missed = missedCount.map { String($0) } ?? "null"
        bytes += Array("data: {\"reason\":\"\(reason.rawValue)\",\"certain\":\(isCertain),\"missed\":\(missed)}\n\n".utf8)
    }
}

/// How the clients of a log are told of gaps.
package enum GapManner: Sendable, Equatable {
    /// By an event of this type.
    case event(type: [UInt8])
    /// The response ends, for pages that load everything when they connect again.
    case reconnect
    /// Not at all.
    case off
}

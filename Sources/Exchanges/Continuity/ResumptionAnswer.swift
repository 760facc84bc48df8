// What an exchange asks of a kept stream, and what the stream says. The values go from one worker to another.

import EventStream
import HTTP
import Reactor
import Telemetry

/// A client's question to a stream: whether it may read it.
struct StreamQuestion: Sendable {
    let key: StreamKey
    let reader: DistantReader
    /// Where the answer goes.
    let mailbox: Mailbox
    /// The stream of the exchange that asks.
    let stream: StreamIdentifier
    let wish: Wish
    /// The types of events that the client wants; nil for all.
    let filter: TypeFilter?

    /// What the client wants.
    enum Wish: Sendable {
        /// To go on behind this id.
        case resume(ClientIdentifier)
        /// To read a shared stream from now on. What is missing before that, and whether the client brought an id.
        case join(Gap?, hasID: Bool)
    }
}

/// What a client gets first that reads a stream which has begun already.
struct ResumedStream: Sendable {
    /// The head that the server sent for the first response.
    let head: ResponseHead
    let serverName: String
    /// What goes to the client in front of the log's blocks.
    let opening: [UInt8]
    /// The stream that goes on; nil where the client joins one.
    let previous: StreamIdentifier?
    /// The stream that was opened for all who share it; nil for a stream of one client.
    let sharedWith: StreamIdentifier?
    /// How many blocks the client has missed that are still there.
    let replayed: UInt64
    /// What is missing at its beginning.
    let gap: Gap?
}

/// What a stream says to a client that comes back, or joins it.
enum ResumptionAnswer: Sendable {
    case resumed(ResumedStream)
    /// The client has everything, and the server's part is over.
    case isOver
    /// The id is none of this stream's, or somebody reads the stream.
    case notHere
    /// The client that was to open the stream for all has left: another one may open it.
    case notOpened
    /// The stream is not for all: the client needs one of its own. Nil where it could not be opened.
    case notShared(NotSharedReason?)
}

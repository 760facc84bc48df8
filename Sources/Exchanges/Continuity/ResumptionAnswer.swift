// What a kept stream says to a client that comes back. The values go from one worker to another.

import EventStream
import HTTP
import Telemetry

/// What a returning client gets first.
struct ResumedStream: Sendable {
    /// The head that the server sent for the first response.
    let head: ResponseHead
    let serverName: String
    /// What goes to the client in front of the log's blocks.
    let opening: [UInt8]
    /// The stream that goes on.
    let previous: StreamIdentifier
    /// How many blocks the client has missed that are still there.
    let replayed: UInt64
    /// What is missing at its beginning.
    let gap: Gap?
}

/// What a stream says to a client that comes back.
enum ResumptionAnswer: Sendable {
    case resumed(ResumedStream)
    /// The client has everything, and the server's part is over.
    case isOver
    /// The id is none of this stream's, or somebody reads the stream.
    case notHere
}

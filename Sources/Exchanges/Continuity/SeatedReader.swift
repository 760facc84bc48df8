// Who reads a kept stream: an exchange on its worker, or one on another worker, which is told everything by mailbox.

import EventStream
import Reactor

/// The reader of a kept stream.
enum SeatedReader {
    case here(StreamReader)
    indirect case elsewhere(DistantReader, Mailbox)

    /// The client has come back over another connection.
    func superseded() {
        switch self {
        case .here(let reader): reader.superseded()
        case .elsewhere(let reader, let mailbox): mailbox.postToStreams { $0.superseded(reader) }
        }
    }

    /// The client was too slow: for a large block, or it has come to a gap, which the event tells.
    func leftBehind(_ gap: Gap?, _ event: [UInt8]) {
        switch self {
        case .here(let reader): reader.leftBehind(gap, event)
        case .elsewhere(let reader, let mailbox): mailbox.postToStreams { $0.leftBehind(reader, gap, event) }
        }
    }

    /// The server's part is over for the reader.
    func ended(_ end: FeedEnd) {
        switch self {
        case .here(let reader): reader.ended(end)
        case .elsewhere(let reader, let mailbox): mailbox.postToStreams { $0.ended(reader, end) }
        }
    }

    /// Bytes of a block that is larger than the limit.
    func handOn(_ bytes: [UInt8]) {
        switch self {
        case .here(let reader): reader.deliver(bytes)
        case .elsewhere(let reader, let mailbox): mailbox.postToStreams { $0.arrived(bytes, for: reader) }
        }
    }

    /// The stream goes on in the next response, of that server.
    func changed(_ change: FeedChange, _ serverName: String) {
        switch self {
        case .here(let reader): reader.changed(change, serverName)
        case .elsewhere(let reader, let mailbox): mailbox.postToStreams { $0.changed(change, serverName, for: reader) }
        }
    }

    /// Something may be missing; an event of the log tells the client.
    func note(_ gap: Gap) {
        switch self {
        case .here(let reader): reader.note(gap)
        case .elsewhere(let reader, let mailbox): mailbox.postToStreams { $0.note(gap, for: reader) }
        }
    }
}

// Blocks that only set an id, and gaps that only one reader meets: what a reader gets between the blocks of the log.
//
// A block without a `data` line dispatches nothing, so no script hears of it. Each of them is written for one reader at its own place.

import Bytes

extension BlockLog {
    /// Appends a block that sets the id of the place before `cursor`, where ids are the proxy's. Returns whether it did.
    ///
    /// Behind the head of a response it is the *priming*: the client has a place before the first event. Instead of a heartbeat it is a
    /// *checkpoint*: a reader whose filter leaves nearly everything out does not fall out of the history.
    package func appendPlace(_ cursor: UInt64, to bytes: inout [UInt8]) -> Bool {
        guard hasOwnIdentifiers else { return false }
        appendOwnLine(cursor - 1, to: &bytes)
        bytes.append(lineFeed)
        return true
    }

    /// The event that tells one reader of a gap before `cursor`: with the id of that place, where ids are the proxy's, or where it is that
    /// of the server's last event. Without one, a client that brought an unknown id would have none. Nil where clients are not told by
    /// events.
    package func gapEvent(_ gap: Gap, before cursor: UInt64) -> [UInt8]? {
        guard case .event(let type) = rules.gaps else { return nil }
        var bytes: [UInt8] = []
        let hole = cursor - 1
        if hole >= first, hole < next, store[hole].flags.contains(.isHole) {
            // The server's id of a block above the limit, or the proxy's.
            bytes += store.bytes(of: hole)
        } else if hasOwnIdentifiers {
            appendOwnLine(hole, to: &bytes)
        } else if cursor == next, !lastServerIdentifier.isEmpty {
            bytes += Array("id: ".utf8) + lastServerIdentifier + [lineFeed]
        }
        gap.append(type: type, to: &bytes)
        return bytes
    }
}

extension ClientIdentifier {
    /// A block that sets the id which the client brought, for the start of a resumed response; nil without an id, or where it cannot stand
    /// in a line.
    ///
    /// By the standard a new response begins with an empty id, and its first block without one empties the client's.
    package var restoring: [UInt8]? {
        guard !bytes.isEmpty, !bytes.contains(where: { $0 == 0 || $0 == lineFeed || $0 == carriageReturn }) else { return nil }
        return Array("id: ".utf8) + bytes + [lineFeed, lineFeed]
    }
}

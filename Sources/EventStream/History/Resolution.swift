// Where a client goes on that brings an id.
//
// The log is found by the request's own key before; the id only selects a place in it. So an id of another's log is told from nonsense in
// no way.

/// What becomes of a client's id in a log.
package enum Resolution: Sendable, Equatable {
    /// The client brought no id: it begins as somebody new.
    case fresh
    /// The client reads on with this block, and has missed nothing.
    case resume(at: UInt64)
    /// The client is told of the gap, and reads on with this block.
    case gap(Gap, at: UInt64)
    /// The id names no place in this log. Its server part may go on to the server; unless the server replays, the client is told of a gap.
    case unknown

    /// The gap where an id names no place. For tests.
    package static let unknownGap = Gap(.unknown, isCertain: false)
}

extension BlockLog {
    /// Finds the place of a client's id: by its position if the position is this log's, else by the server's id.
    package func resolve(_ identifier: ClientIdentifier) -> Resolution {
        if identifier.isEmpty { return .fresh }
        if let position = identifier.position, let resolution = resolve(position) { return resolution }
        // A server that is a proxy of this kind sends ids of the same form, so the whole id is searched. The server's part of one that
        // names another log says nothing of this one.
        let names = identifier.position == nil ? [identifier.bytes, identifier.server] : [identifier.bytes]
        if let found = names.lazy.compactMap(firstBlock).first {
            guard areIdentifiersDoubtful else { return resume(behind: found) }
            return .gap(Gap(.repeated, isCertain: false), at: max(first, found + 1))
        }
        return .unknown
    }

    private func resolve(_ position: Position) -> Resolution? {
        if position.epoch == epoch {
            return position.sequence < next ? resume(behind: position.sequence) : nil
        }
        guard let predecessor = predecessors.last(where: { $0.epoch == position.epoch }) else { return nil }
        if position.sequence <= predecessor.lastSequence { return resume(behind: position.sequence) }
        // The client has read what only the other log had. What that log had behind it is not known here.
        return .gap(Gap(predecessor.reason, isCertain: false), at: max(first, predecessor.lastSequence + 1))
    }

    private func resume(behind sequence: UInt64) -> Resolution {
        guard sequence + 1 < first else { return .resume(at: sequence + 1) }
        return .gap(Gap(.expired, isCertain: true, missedCount: first - sequence - 1), at: first)
    }
}

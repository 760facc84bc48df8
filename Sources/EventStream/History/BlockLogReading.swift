// How readers read a log: many blocks at once, in the memory in which they are stored.

import Bytes

extension BlockLog {
    /// What a reader comes to next.
    package enum Reading: Sendable {
        /// There is nothing to read: the reader is up to date.
        case upToDate
        /// Whole blocks, to be sent as they are. They live as long as the slice, also where the log drops them.
        case blocks(Slice)
        /// Something is missing here that the reader has to be told of. It is up to the caller to send `gapEvent` or to end the response.
        case gap(Gap)
    }

    /// Reads on, and moves the reader behind what was read. Call it until `upToDate`, or until the socket takes no more.
    ///
    /// - Parameter cursor: the number of the block that the reader reads next, from 1 to `next`.
    package func read(_ cursor: inout UInt64) -> Reading {
        guard cursor < next else { return upToDate(cursor) }
        if let gap = gap(at: &cursor) { return .gap(gap) }
        return run(from: &cursor, to: stop(from: cursor))
    }

    /// Reads on like `read`, but only what the filter wants. Blocks that it does not want are left behind.
    package func read(_ cursor: inout UInt64, through filter: inout TypeFilter) -> Reading {
        guard cursor < next else { return upToDate(cursor) }
        if let gap = gap(at: &cursor) { return .gap(gap) }
        var limit = stop(from: cursor)
        while cursor < limit, !passes(cursor, &filter) { cursor += 1 }
        guard cursor < limit else {
            guard cursor < next, let gap = gap(at: &cursor) else { return .upToDate }
            return .gap(gap)
        }
        var end = cursor + 1
        while end < limit, passes(end, &filter) { end += 1 }
        limit = end
        return run(from: &cursor, to: limit)
    }

    /// Reads on like `read`, through a filter where there is one.
    package func read(_ cursor: inout UInt64, through filter: inout TypeFilter?) -> Reading {
        filter == nil ? read(&cursor) : read(&cursor, through: &filter!)
    }

    /// Whether a reader at that place is sent anything by now: blocks, or a gap's event where clients are told by events.
    package func hasMore(from cursor: UInt64, through filter: TypeFilter?) -> Bool {
        var (cursor, filter) = (cursor, filter)
        while true {
            switch read(&cursor, through: &filter) {
            case .blocks: return true
            case .gap: if case .event = rules.gaps { return true }
            case .upToDate: return false
            }
        }
    }

    /// Whether a client that reads all that there is from that place on has another id than before.
    package func replacesIdentifier(from cursor: UInt64, through filter: TypeFilter?) -> Bool {
        hasOwnIdentifiers || setsIdentifier(from: cursor, to: next, through: filter)
    }

    /// Whether a client that has read from one place to another has another id than before, as far as the blocks are still held.
    package func setsIdentifier(from start: UInt64, to end: UInt64, through filter: TypeFilter?) -> Bool {
        (!hasRepeatedIdentifier || hasOwnIdentifiers) && bringsIdentifier(from: start, to: end, through: filter)
    }

    /// Whether a client that has read from one place to another has been given an id, as far as the blocks are still held.
    package func bringsIdentifier(from start: UInt64, to end: UInt64, through filter: TypeFilter?) -> Bool {
        var filter = filter
        return (max(first, start)..<max(first, start, end)).contains { place in
            let block = store[place]
            return !block.flags.contains(.isHole) && (hasOwnIdentifiers || block.flags.contains(.setsIdentifier))
                && (filter == nil || passes(place, &filter!))
        }
    }

    /// One block, for a reader that begins with chosen ones; nil where nothing is held of it.
    package func block(_ sequence: UInt64) -> Slice? {
        guard sequence >= first, sequence < next, !store[sequence].flags.contains(.isHole) else { return nil }
        return store.run(from: sequence, to: sequence + 1)?.slice
    }

    /// The bytes of the last event of each type that the filter wants, oldest first: what a late reader of states begins with.
    package func latestEvents(through filter: TypeFilter?) -> [UInt8] {
        var filter = filter
        return lastOfEachType.flatMap { filter == nil || passes($0, &filter!) ? Array(store.bytes(of: $0)) : [] }
    }

    /// The last event of each type, oldest first.
    package var lastOfEachType: [UInt64] {
        var found: [UInt64] = []
        var seen: UInt64 = 0
        var seenNames: Set<[UInt8]> = []
        for sequence in (first..<next).reversed() where store[sequence].flags.contains(.hasData) {
            let block = store[sequence]
            if block.typeSlot == TypeTable.unlisted {
                guard seenNames.insert(type(of: sequence)).inserted else { continue }
            } else {
                guard seen >> UInt64(block.typeSlot) & 1 == 0 else { continue }
                seen |= 1 << UInt64(block.typeSlot)
            }
            found.append(sequence)
        }
        return found.reversed()
    }

    /// Where a reader begins that wants the last so many events; the oldest held block if there are fewer.
    package func start(ofLastEvents count: Int) -> UInt64 {
        var left = count
        var sequence = next
        while left > 0, sequence > first {
            sequence -= 1
            if store[sequence].flags.contains(.hasData) { left -= 1 }
        }
        return sequence
    }

    private func upToDate(_ cursor: UInt64) -> Reading {
        precondition(cursor == next, "a reader ahead of its log")
        return .upToDate
    }

    /// The gap that the reader stands at, if there is one, and moves the reader behind it.
    @inline(__always)
    private func gap(at cursor: inout UInt64) -> Gap? {
        if cursor < first {
            defer { cursor = first }
            return Gap(.expired, isCertain: true, missedCount: first - cursor)
        }
        guard mayHaveStops, let stop = firstStop(from: cursor), stop.sequence == cursor else { return nil }
        cursor += 1
        return stop.gap
    }

    @inline(__always)
    private func stop(from cursor: UInt64) -> UInt64 { mayHaveStops ? firstStop(from: cursor)?.sequence ?? next : next }

    @inline(__always)
    private func run(from cursor: inout UInt64, to limit: UInt64) -> Reading {
        guard let run = store.run(from: cursor, to: limit) else { return .upToDate }
        cursor = run.end
        return .blocks(run.slice)
    }

    @inline(__always)
    private func passes(_ sequence: UInt64, _ filter: inout TypeFilter) -> Bool {
        let block = store[sequence]
        guard block.flags.contains(.hasData) else { return true }
        if let isWanted = filter.wants(block.typeSlot, of: types) { return isWanted }
        return type(of: sequence).withUnsafeBufferPointer(filter.wants)
    }

    /// The type of a block, read from its bytes.
    private func type(of sequence: UInt64) -> [UInt8] {
        let bytes = store.bytes(of: sequence)
        var type: [UInt8] = []
        var start = 0
        while let end = bytes[start...].firstIndex(of: lineFeed), end > start {
            if case .type(let value) = FieldLine.read(bytes.span, start..<end) { type = Array(bytes[value]) }
            start = end + 1
        }
        return type
    }
}

// Tells which events of one of several servers another one has said a short while ago.
//
// Servers that are fed by one topic all say the same. The first of them that says an event is the one that clients get it from, and the
// others' are dropped for a while. Invariants: what one server says twice passes twice; a bounded number of events is known, and of more
// the oldest are forgotten, so that theirs pass. Events are known by hashes of 64 bits that nobody outside of this process can foresee.

import Bytes

/// Which events of one source are those of another.
package struct DuplicateFilter {
    /// What equal events have in common.
    package enum Mark: Sendable {
        /// The server's id. Blocks that set none pass.
        case identifier
        /// The type and the data. Blocks without data, and those above the limit, pass.
        case data
    }

    private struct Known {
        var source: Int
        /// Its place among all that was ever said.
        var number: Int
    }

    private struct Entry: RingElement {
        static var filler: Entry { Entry(hash: 0, time: 0) }
        var hash: UInt64
        var time: Int64
    }

    private let mark: Mark
    private let withinMilliseconds: Int64
    private let limit: Int
    private var known: [UInt64: Known] = [:]
    /// What is known in the order in which it was said. What was said again by its source stands in it twice; its last place counts.
    private var order = Ring<Entry>()
    /// How many events were forgotten, so the number of the oldest one that is known.
    private var forgottenCount = 0

    /// A filter that knows nothing yet.
    ///
    /// - Parameters:
    ///   - mark: what equal events have in common.
    ///   - withinMilliseconds: for how long an event of another source is dropped.
    ///   - limit: how many events are known.
    package init(_ mark: Mark, withinMilliseconds: Int64, limit: Int = 10_000) {
        self.mark = mark
        self.withinMilliseconds = withinMilliseconds
        self.limit = limit
    }

    /// Whether the block that the cutter has just found in the piece is dropped. Call it once for each whole block.
    ///
    /// - Parameters:
    ///   - source: the number of the server that says it.
    ///   - now: the time in milliseconds; it never goes back.
    package mutating func drops(_ cutter: BlockCutter, of piece: Span<UInt8>, from source: Int, at now: Int64) -> Bool {
        guard let hash = hash(of: cutter, in: piece) else { return false }
        forget(before: now)
        if let known = known[hash], known.source != source { return true }
        if order.count == limit { forgetOldest() }
        known[hash] = Known(source: source, number: forgottenCount + order.count)
        order.append(Entry(hash: hash, time: now))
        return false
    }

    private mutating func forget(before now: Int64) {
        while !order.isEmpty, order[0].time <= now - withinMilliseconds { forgetOldest() }
    }

    private mutating func forgetOldest() {
        let oldest = order.removeFirst()
        if known[oldest.hash]?.number == forgottenCount { known[oldest.hash] = nil }
        forgottenCount += 1
    }

    private func hash(of cutter: BlockCutter, in piece: Span<UInt8>) -> UInt64? {
        switch mark {
        case .identifier:
            guard let identifier = cutter.identifier(in: piece), !identifier.isEmpty else { return nil }
            var hasher = Hasher()
            identifier.withUnsafeBytes { hasher.combine(bytes: $0) }
            return UInt64(truncatingIfNeeded: hasher.finalize())
        case .data:
            guard cutter.block.hasData, !cutter.block.isOversized else { return nil }
            return cutter.withBlockBytes(of: piece) { Self.hash(ofData: $0, type: $0[cutter.block.type]) }
        }
    }

    private static func hash(ofData bytes: UnsafeBufferPointer<UInt8>, type: Swift.Slice<UnsafeBufferPointer<UInt8>>) -> UInt64 {
        var hasher = Hasher()
        let isMessage = type.isEmpty || type.elementsEqual(TypeTable.message)
        hasher.combine(isMessage ? 0 : type.count)
        if !isMessage { hasher.combine(bytes: UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: type))) }
        var rest = bytes[...]
        while let end = rest.firstIndex(of: lineFeed), end > rest.startIndex {
            let line = rest.startIndex..<end
            rest = rest[(end + 1)...]
            guard FieldLine.read(bytes.span, line) == .data else { continue }
            // The value stands behind the name, a colon and a blank, where they are there.
            var start = min(line.lowerBound + 5, end)
            if start < end, bytes[start] == space { start += 1 }
            hasher.combine(end - start)
            hasher.combine(bytes: UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes[start..<end])))
        }
        return UInt64(truncatingIfNeeded: hasher.finalize())
    }
}

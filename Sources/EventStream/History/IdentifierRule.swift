// Which id a block has on its way to the clients: the server's, the proxy's, or both in one.
//
// The block is stored with the id that it goes out with, so the id is written once for all readers. Invariants: where the id is the
// proxy's, it names the block's own place in the log; where it is the server's, the block goes out as it came.

import Bytes

/// What becomes of the ids of a server.
package enum IdentifierPolicy: Sendable, Equatable {
    /// They pass as they come. A server that has sent no id so far gets the proxy's.
    case keep
    /// The place in the log is put behind them: `ORIGINAL~hw1.E.s`. `parseInt` and `split("~")[0]` still read the original.
    case suffix
    /// The proxy's ids take their place.
    case own
}

/// Decides over the ids of one log's blocks.
struct IdentifierRule {
    enum Line: Equatable {
        /// The block keeps its lines.
        case asItCame
        /// The proxy's id instead of the block's own.
        case own
        /// The server's last id, and the proxy's behind it, instead of the block's own.
        case suffixed
    }

    /// Longer ids of a server stay as they came: some servers and proxies refuse long fields.
    static let longestSuffixedByteCount = 512

    /// The server's last id as of the last whole block; before its first block the one that it was asked for. Empty if there was none or if
    /// it was emptied.
    private(set) var lastIdentifier: [UInt8] = []
    let policy: IdentifierPolicy
    /// Whether the server has set any id.
    private(set) var hasSeenIdentifier = false

    /// Whether the server has emptied its id, so that clients may have none again.
    private(set) var hasEmptiedIdentifier = false

    /// Whether the server numbers its ids and began again with lower ones, so that each may come again.
    private(set) var countsBackwards = false

    /// The rule for a server that was asked to go on behind that id; an empty one for none.
    init(_ policy: IdentifierPolicy, after identifier: [UInt8] = []) { (self.policy, lastIdentifier) = (policy, identifier) }

    /// The block sets or empties the server's id, or leaves it alone.
    @inline(__always)
    mutating func note(_ effect: Block.IdentifierEffect, _ identifier: UnsafeBufferPointer<UInt8>) {
        guard effect != .none else {
            // By the standard a new response begins with an empty id, and its first block without one makes that the last one.
            if !hasSeenIdentifier, !lastIdentifier.isEmpty { lastIdentifier = [] }
            return
        }
        if effect == .emptied { hasEmptiedIdentifier = true }
        if effect == .set {
            // What it was asked for says nothing of how it counts: many servers say all again.
            if hasSeenIdentifier, !countsBackwards { compareNumbers(identifier) }
            hasSeenIdentifier = true
        }
        guard lastIdentifier.count == identifier.count, !identifier.isEmpty else {
            lastIdentifier = Array(identifier)
            return
        }
        lastIdentifier.withUnsafeMutableBufferPointer { $0.baseAddress!.update(from: identifier.baseAddress!, count: identifier.count) }
    }

    /// Numbers are compared by their length and their digits, so of any size.
    @inline(__always)
    private mutating func compareNumbers(_ identifier: UnsafeBufferPointer<UInt8>) {
        guard lastIdentifier.count >= identifier.count, identifier.allSatisfy(isDigit), lastIdentifier.allSatisfy(isDigit) else { return }
        countsBackwards = lastIdentifier.count > identifier.count || !lastIdentifier.lexicographicallyPrecedes(identifier)
    }

    /// The line for a block whose id has been noted.
    var line: Line {
        switch policy {
        case .own: .own
        case .keep: hasSeenIdentifier ? .asItCame : .own
        case .suffix where lastIdentifier.isEmpty || !hasSeenIdentifier: .own
        case .suffix: lastIdentifier.count > Self.longestSuffixedByteCount ? .asItCame : .suffixed
        }
    }
}

// The heads with which the next responses of kept streams begin. Streams of one server mostly have the same head, so each is kept once.
// Invariant: a head is here exactly while a stream holds it.

import Bytes
import HTTP

/// The heads of one worker's kept streams, without the fields that are meant for one response only.
struct KeptHeads {
    /// How many streams have each head.
    private var counts: [[UInt8]: Int] = [:]

    /// How many different ones there are. For tests.
    var count: Int { counts.count }

    /// A stream has this head. Returns its bytes, which equal heads have in common.
    mutating func hold(_ head: ResponseHead) -> [UInt8] {
        let bytes = head.bytes(without: ResponseForwarding.onceOnly)
        guard let known = counts.index(forKey: bytes) else {
            counts[bytes] = 1
            return bytes
        }
        counts.values[known] += 1
        return counts.keys[known]
    }

    /// A stream with a head of these bytes is forgotten.
    mutating func release(_ bytes: [UInt8]) {
        guard let known = counts.index(forKey: bytes) else { return }
        counts.values[known] -= 1
        if counts.values[known] == 0 { counts.remove(at: known) }
    }

    /// The head of these bytes.
    static func head(_ bytes: [UInt8]) -> ResponseHead {
        // They are those of a head that was parsed, without some of its lines, so no line is more than before.
        let limits = HeadLimits(headBytes: bytes.count, fieldCount: bytes.count)
        guard let head = try? ResponseHead.parse(bytes.span, limits: limits) else { preconditionFailure("a kept head can be read") }
        return head
    }
}

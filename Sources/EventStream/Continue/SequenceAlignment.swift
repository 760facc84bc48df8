// Where two sequences of the same things, of which each began and ends at another time, lie over each other.
//
//     old   a b c d             old   a b c d e            old   a b
//     new     G c d e f         new     G c d              new     G c d
//               common: c d               common: c d, next: e          nothing in common
//
// Either the common part ends the old one: what the new one says behind it is new. Or it ends the new one: what the old one said behind it
// is to come. The longest one counts. Of equally long ones it is that which makes more pass and less expected. Linear in both.

/// The alignment of two sequences of hashes. `BlockMark.none` equals nothing.
struct SequenceAlignment {
    /// The common part, by its places in the new one.
    private(set) var common = 0..<0
    /// The place in the old one behind the common part.
    private(set) var next = 0

    /// Aligns the new sequence with the old one.
    init(_ new: [UInt64], with old: [UInt64]) {
        for (place, length) in Self.commonSuffixes(of: new, and: old).enumerated() where length > common.count {
            common = place + 1 - length..<place + 1
            next = old.count
        }
        var longest = common.count
        for (place, length) in Self.commonSuffixes(of: old, and: new).enumerated() where length > 0 {
            guard length > longest || length == longest && next < old.count else { continue }
            longest = length
            common = new.count - length..<new.count
            next = place + 1
        }
    }

    /// For each place of the sequence, how long the part that ends there is and equals the end of the pattern.
    private static func commonSuffixes(of sequence: [UInt64], and pattern: [UInt64]) -> [Int] {
        // The Z function of both from behind, the pattern first.
        let all = Array(pattern.reversed()) + sequence.reversed()
        var lengths = [Int](repeating: 0, count: all.count)
        var (start, end) = (0, 0)
        for place in all.indices.dropFirst() {
            var length = place < end ? min(end - place, lengths[place - start]) : 0
            while place + length < all.count, all[length] == all[place + length], all[length] != BlockMark.none { length += 1 }
            lengths[place] = length
            if place + length > end { (start, end) = (place, place + length) }
        }
        return lengths[pattern.count...].reversed().map { min($0, pattern.count) }
    }
}

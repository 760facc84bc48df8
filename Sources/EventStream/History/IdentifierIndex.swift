// Finds the block of a log that set an id, by a hash of the id.
//
// The index knows hashes and numbers only; the log compares the bytes of blocks that it holds. Of blocks that were dropped the index still
// knows the ids for a while: so a client that comes too late is told how much it missed, and an id that comes a second time is noticed.
// An id that is used twice makes the index useless, since the log then has to look for the first of several blocks: from there on the log
// searches its blocks one by one, and the index is dropped. So only streams with good ids pay for it. Open addressing with linear probing;
// at most half of the places are taken.

import Bytes

/// A hash table from ids to block numbers.
struct IdentifierIndex {
    /// How many blocks a log may hold, so that a number is known by its lower 24 bits, also after the block was dropped.
    static let mostBlocks = 1 << 22

    private static let numberMask: UInt64 = 0xFF_FFFF

    /// The upper 40 bits of the hash above, the number's lower 24 bits below. Zero is a free place, so the hash is never zero.
    private var places: [UInt64] = []
    private var count: UInt32 = 0

    var memoryByteCount: Int { places.count * MemoryLayout<UInt64>.stride }

    /// A hash that nobody outside of this process can foresee, in the upper 40 bits.
    @inline(__always)
    static func hash(_ identifier: UnsafeBufferPointer<UInt8>) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(bytes: UnsafeRawBufferPointer(identifier))
        return UInt64(truncatingIfNeeded: hasher.finalize()) & ~numberMask | (1 << 24)
    }

    /// The number of a block whose id has this hash, and for which the caller says yes. It lies before `next`.
    @inline(__always)
    func find(_ hash: UInt64, before next: UInt64, where isSame: (UInt64) -> Bool) -> UInt64? {
        guard count > 0 else { return nil }
        let mask = places.count &- 1
        var place = Self.home(hash, mask)
        while places[place] != 0 {
            if places[place] & ~Self.numberMask == hash {
                let number = Self.number(places[place], before: next)
                if isSame(number) { return number }
            }
            place = (place &+ 1) & mask
        }
        return nil
    }

    /// Enters a new id. Where the table is full, the ids of blocks before `oldest` are forgotten.
    @inline(__always)
    mutating func insert(_ hash: UInt64, _ number: UInt64, forgettingBefore oldest: UInt64) {
        if 2 &* (count &+ 1) > places.count { rebuild(before: number, from: oldest) }
        place(hash | number & Self.numberMask)
        count &+= 1
    }

    @inline(__always)
    private static func home(_ entry: UInt64, _ mask: Int) -> Int { Int(truncatingIfNeeded: entry >> 28) & mask }

    @inline(__always)
    private static func number(_ entry: UInt64, before next: UInt64) -> UInt64 { next &- ((next &- entry) & numberMask) }

    private mutating func place(_ entry: UInt64) {
        let mask = places.count &- 1
        var place = Self.home(entry, mask)
        while places[place] != 0 { place = (place &+ 1) & mask }
        places[place] = entry
    }

    private mutating func rebuild(before next: UInt64, from oldest: UInt64) {
        let kept = places.filter { $0 != 0 && Self.number($0, before: next) >= oldest }
        var size = 16
        // Room for as many again, so that a rebuild comes after many insertions.
        while size < 4 * kept.count { size *= 2 }
        places = Array(repeating: 0, count: size)
        for entry in kept { place(entry) }
        count = UInt32(kept.count)
    }
}

/// An id as a client brings it back: the value of a field has no blanks at its ends (RFC 9110, section 5.5), so `5 ` comes back as `5`.
@inline(__always)
func asBroughtBack(_ identifier: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8> {
    guard let first = identifier.first, let last = identifier.last, isBlank(first) || isBlank(last) else { return identifier }
    guard let start = identifier.firstIndex(where: { !isBlank($0) }), let end = identifier.lastIndex(where: { !isBlank($0) }) else {
        return UnsafeBufferPointer(rebasing: identifier[..<0])
    }
    return UnsafeBufferPointer(rebasing: identifier[start...end])
}

// Finds the first block of a log that set an id, by a hash of the id.
//
// The index knows hashes and numbers only; the log compares the bytes. An id that is used twice makes the index useless, since the log then
// has to look for the first of several blocks: from there on the log searches its blocks one by one, and the index is dropped. So only
// streams with good ids pay for it. Open addressing with linear probing; at most half of the places are taken.

/// A hash table from ids to block numbers.
struct IdentifierIndex {
    /// The hash above, the number's lower half plus one below: zero is a free place.
    private var places: [UInt64] = []
    private var count = 0

    var memoryByteCount: Int { places.count * MemoryLayout<UInt64>.stride }

    /// A hash that nobody outside of this process can foresee.
    @inline(__always)
    static func hash(_ identifier: UnsafeBufferPointer<UInt8>) -> UInt32 {
        var hasher = Hasher()
        hasher.combine(bytes: UnsafeRawBufferPointer(identifier))
        return UInt32(truncatingIfNeeded: hasher.finalize())
    }

    /// The numbers of blocks whose id has this hash, one after the other: the first for which the caller says yes. Numbers are their lower
    /// 32 bits.
    @inline(__always)
    func find(_ hash: UInt32, where isSame: (UInt32) -> Bool) -> UInt32? {
        guard count > 0 else { return nil }
        let mask = places.count &- 1
        var place = Int(hash) & mask
        while places[place] != 0 {
            if UInt32(truncatingIfNeeded: places[place] >> 32) == hash {
                let number = UInt32(truncatingIfNeeded: places[place]) &- 1
                if isSame(number) { return number }
            }
            place = (place &+ 1) & mask
        }
        return nil
    }

    @inline(__always)
    mutating func insert(_ hash: UInt32, _ number: UInt32) {
        if 2 &* (count &+ 1) > places.count { grow() }
        place(UInt64(hash) << 32 | UInt64(number &+ 1))
        count &+= 1
    }

    private mutating func place(_ entry: UInt64) {
        let mask = places.count &- 1
        var place = Int(entry >> 32) & mask
        while places[place] != 0 { place = (place &+ 1) & mask }
        places[place] = entry
    }

    private mutating func grow() {
        let old = places
        places = Array(repeating: 0, count: max(16, 2 * old.count))
        for entry in old where entry != 0 { place(entry) }
    }

    mutating func remove(_ hash: UInt32, _ number: UInt32) {
        guard count > 0 else { return }
        let mask = places.count - 1
        var hole = Int(hash) & mask
        let entry = UInt64(hash) << 32 | UInt64(number &+ 1)
        while places[hole] != entry {
            if places[hole] == 0 { return }
            hole = (hole + 1) & mask
        }
        count -= 1
        if count == 0 {
            places = []
            return
        }
        // What stands behind, and would have stood here, moves up.
        var next = (hole + 1) & mask
        while places[next] != 0 {
            let home = Int(places[next] >> 32) & mask
            if (next - home) & mask >= (next - hole) & mask {
                places[hole] = places[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        places[hole] = 0
    }
}

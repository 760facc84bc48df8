// Numbers for texts that come again and again: a hash of 64 bits stands for the text. Two different texts with one hash would be taken for
// one client or one route, once in a billion logs. Strangers choose paths, so the hash of each reader begins at random: nobody can choose
// texts that have the same one.

import Bytes

/// Where the hashes of one reader begin.
struct HashSeed {
    /// For texts of our own, and for tests.
    static let fixed = HashSeed(0x2D35_8DCC_AA6C_78A5)

    fileprivate let start: UInt64
    fileprivate let multiplier: UInt64

    init(_ number: UInt64) {
        start = number
        // The multiplier differs too, but is never a poor one: its bits are those of the golden ratio, with a quarter of them changed.
        multiplier = 0x9E37_79B9_7F4A_7C15 ^ (number &* 0xD6E8_FEB8_6659_FD93 & 0x2492_4924_9249_2492)
    }
}

/// A hash of a text in a line.
struct TextHash {
    private(set) var bits: UInt64
    private let multiplier: UInt64

    @inline(__always)
    init(_ seed: HashSeed) {
        bits = seed.start
        multiplier = seed.multiplier
    }

    /// Adds the bytes of a range. Behind the range eight bytes can be loaded.
    @inline(__always)
    mutating func add(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        var at = range.lowerBound
        while range.upperBound &- at >= 8 {
            add(ByteWord.load(bytes, at: at))
            at &+= 8
        }
        let left = range.upperBound &- at
        let tail = ByteWord.load(bytes, at: at) & ((1 as UInt64) &<< UInt64(left &* 8) &- 1)
        add(tail ^ UInt64(truncatingIfNeeded: left &+ 1) &<< 56)
    }

    /// Adds a word, for example that a text is missing.
    @inline(__always)
    mutating func add(_ word: UInt64) {
        let product = (bits ^ word).multipliedFullWidth(by: multiplier)
        bits = product.high ^ product.low ^ 0xA076_1D64_78BD_642F
    }
}

/// Numbers by hash: open addressing, at most half full.
struct NumberTable {
    private var keys: [UInt64] = Array(repeating: 0, count: 64)
    /// One more than the number; 0 for an empty slot.
    private var values: [UInt32] = Array(repeating: 0, count: 64)
    private(set) var count = 0

    @inline(__always)
    private func home(_ key: UInt64) -> Int {
        Int(truncatingIfNeeded: (key &* 0xD6E8_FEB8_6659_FD93) &>> 32) & (keys.count &- 1)
    }

    /// The slot of the key, or the empty one where it belongs.
    @inline(__always)
    private func slot(_ key: UInt64) -> Int {
        var slot = home(key)
        while values[slot] != 0, keys[slot] != key { slot = (slot &+ 1) & (keys.count &- 1) }
        return slot
    }

    /// The number of a key.
    @inline(__always)
    subscript(key: UInt64) -> UInt32? {
        let value = values[slot(key)]
        return value == 0 ? nil : value &- 1
    }

    /// Sets the number of a key.
    mutating func set(_ key: UInt64, _ number: UInt32) {
        if (count + 1) * 2 > keys.count { grow() }
        let slot = slot(key)
        if values[slot] == 0 { count += 1 }
        keys[slot] = key
        values[slot] = number + 1
    }

    /// Removes a key; what lies behind it moves up.
    mutating func remove(_ key: UInt64) {
        var hole = slot(key)
        guard values[hole] != 0 else { return }
        count -= 1
        let mask = keys.count - 1
        var next = (hole + 1) & mask
        while values[next] != 0 {
            let distance = (next &- home(keys[next])) & mask
            if distance >= (next &- hole) & mask {
                keys[hole] = keys[next]
                values[hole] = values[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        values[hole] = 0
    }

    /// All keys with their numbers, in no order.
    func forEach(_ body: (UInt64, UInt32) -> Void) {
        for slot in keys.indices where values[slot] != 0 { body(keys[slot], values[slot] - 1) }
    }

    private mutating func grow() {
        let (oldKeys, oldValues) = (keys, values)
        keys = Array(repeating: 0, count: oldKeys.count * 2)
        values = Array(repeating: 0, count: oldKeys.count * 2)
        for old in oldKeys.indices where oldValues[old] != 0 {
            let slot = slot(oldKeys[old])
            keys[slot] = oldKeys[old]
            values[slot] = oldValues[old]
        }
    }
}

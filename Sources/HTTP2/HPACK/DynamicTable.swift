// The dynamic table of a decoder (RFC 7541 section 2.3.2): the last fields that the peer has put into it, the newest at index 0.
//
// The names and values of all entries lie in one ring of bytes:
//
//     ring: │ newest │ ····free···· │ oldest │ … │ newest, its beginning │
//
// Invariant: the sum of all entries, each its name, its value and 32 (section 4.1), is at most `maximumBytes`. A table without entries
// owns no memory.

/// Entries, the newest first, with eviction of the oldest.
struct DynamicTable {
    /// What an entry costs beside its name and value (RFC 7541 section 4.1).
    static let entryOverheadBytes = 32
    private static let firstRingBytes = 512

    private struct Entry {
        let start: UInt32
        let nameCount: UInt32
        let valueCount: UInt32

        var count: Int { Int(nameCount) + Int(valueCount) }
    }

    private var ring: [UInt8] = []
    /// Those that are alive begin at `oldest`; the newest is last.
    private var entries: [Entry] = []
    private var oldest = 0
    /// How many bytes of the ring are taken.
    private var takenBytes = 0
    /// The size by the standard's count: names, values, and 32 for each entry.
    private(set) var bytes = 0
    /// The most that `bytes` may be. The peer may set it to anything up to what was announced.
    private(set) var maximumBytes: Int

    /// An empty table.
    init(maximumBytes: Int) { self.maximumBytes = maximumBytes }

    /// How many entries there are.
    var count: Int { entries.count - oldest }

    /// How long name and value of an entry are. The newest has index 0.
    func counts(at index: Int) -> (name: Int, value: Int) {
        let entry = entry(at: index)
        return (Int(entry.nameCount), Int(entry.valueCount))
    }

    /// Appends the name of an entry to these bytes.
    func appendName(at index: Int, to output: inout [UInt8]) {
        let entry = entry(at: index)
        append(from: Int(entry.start), count: Int(entry.nameCount), to: &output)
    }

    /// Appends the name and the value of an entry, one behind the other.
    func appendNameAndValue(at index: Int, to output: inout [UInt8]) {
        let entry = entry(at: index)
        append(from: Int(entry.start), count: entry.count, to: &output)
    }

    /// Changes the size (section 4.3).
    mutating func resize(to maximumBytes: Int) {
        self.maximumBytes = maximumBytes
        evict(toAtMost: maximumBytes)
    }

    /// Puts a field in as the newest entry (section 4.4). A field larger than the table leaves it empty. Name and value are given in one
    /// piece of bytes.
    mutating func insert(_ field: Span<UInt8>, nameCount: Int) {
        let size = field.count + Self.entryOverheadBytes
        evict(toAtMost: maximumBytes - size)
        guard size <= maximumBytes else { return }
        if takenBytes + field.count > ring.count { grow(for: field.count) }
        let start = entries.last.map { place(Int($0.start) + $0.count) } ?? 0
        let untilEnd = min(field.count, ring.count - start)
        ring.withUnsafeMutableBytes { ring in
            field.withUnsafeBytes { field in
                UnsafeMutableRawBufferPointer(rebasing: ring[start..<(start + untilEnd)]).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: field[..<untilEnd]))
                ring.copyMemory(from: UnsafeRawBufferPointer(rebasing: field[untilEnd...]))
            }
        }
        entries.append(
            Entry(start: UInt32(start), nameCount: UInt32(nameCount), valueCount: UInt32(field.count - nameCount)))
        takenBytes += field.count
        bytes += size
    }

    // MARK: The ring

    private func entry(at index: Int) -> Entry {
        precondition(index >= 0 && index < count, "the decoder has checked the index")
        return entries[entries.count - 1 - index]
    }

    /// The offset in the ring, the one behind its end taken for its beginning.
    private func place(_ offset: Int) -> Int { offset >= ring.count ? offset - ring.count : offset }

    private func append(from start: Int, count: Int, to output: inout [UInt8]) {
        let untilEnd = min(count, ring.count - start)
        ring.withUnsafeBufferPointer { ring in
            output.append(contentsOf: UnsafeBufferPointer(rebasing: ring[start..<(start + untilEnd)]))
            output.append(contentsOf: UnsafeBufferPointer(rebasing: ring[..<(count - untilEnd)]))
        }
    }

    private mutating func evict(toAtMost limit: Int) {
        while oldest < entries.count, bytes > limit {
            let count = entries[oldest].count
            bytes -= count + Self.entryOverheadBytes
            takenBytes -= count
            oldest += 1
        }
        if oldest == entries.count {
            (ring, entries, oldest) = ([], [], 0)
        } else if oldest >= 16, oldest > count {
            // Moved seldom enough that each entry is moved once on average.
            entries.removeFirst(oldest)
            oldest = 0
        }
    }

    /// Makes the ring larger, at least by so many bytes, and moves what is in it to its beginning.
    private mutating func grow(for added: Int) {
        let most = max(maximumBytes, takenBytes + added)
        var larger: [UInt8] = []
        let capacity = min(max(2 * ring.count, takenBytes + added, Self.firstRingBytes), most)
        larger.reserveCapacity(capacity)
        if oldest < entries.count { append(from: Int(entries[oldest].start), count: takenBytes, to: &larger) }
        larger.append(contentsOf: repeatElement(0, count: capacity - larger.count))
        ring = larger
        var start = 0
        for index in oldest..<entries.count {
            let entry = entries[index]
            entries[index] = Entry(start: UInt32(start), nameCount: entry.nameCount, valueCount: entry.valueCount)
            start += entry.count
        }
    }
}

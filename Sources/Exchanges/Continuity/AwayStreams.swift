// The streams of one worker that nobody reads, in the order in which their readers left.
// Invariant: a stream that has a reader again is not here. Leaving and coming back cost the same however many there are.

/// Streams without a reader.
struct AwayStreams {
    private struct Place {
        /// Nil once the stream has left the place: it may be forgotten, with all that it holds.
        var stream: KeptStream?
        let number: UInt64
    }

    /// The longest away first, from `first` on, in the order of their numbers.
    private var places: [Place] = []
    private var first = 0
    /// The place from which on streams may hold blocks.
    private var firstHolding = 0
    private var numbers: [ObjectIdentifier: UInt64] = [:]
    /// Of each client.
    private var counts: [Int: Int] = [:]
    private var lastNumber: UInt64 = 0

    /// How many there are.
    var count: Int { numbers.count }

    /// The stream's reader has left.
    mutating func add(_ stream: KeptStream) {
        remove(stream)
        lastNumber += 1
        places.append(Place(stream: stream, number: lastNumber))
        numbers[ObjectIdentifier(stream)] = lastNumber
        if let client = stream.client { counts[client, default: 0] += 1 }
    }

    /// The stream has a reader again, or is forgotten.
    mutating func remove(_ stream: KeptStream) {
        guard let number = numbers.removeValue(forKey: ObjectIdentifier(stream)) else { return }
        places[place(of: number)].stream = nil
        if let client = stream.client {
            counts[client, default: 1] -= 1
            if counts[client] == 0 { counts[client] = nil }
        }
        // Empty places go when they are half of all.
        if places.count > 16, numbers.count < places.count / 2 { compact() }
    }

    private mutating func compact() {
        places.removeAll { $0.stream == nil }
        first = 0
        firstHolding = 0
    }

    /// The first place with that number or a higher one.
    private func place(of number: UInt64) -> Int {
        var (low, high) = (0, places.count)
        while low < high {
            let middle = (low + high) / 2
            if places[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The stream that is longest away, where there are more than so many.
    mutating func oldest(above limit: Int) -> KeptStream? {
        guard numbers.count > limit else { return nil }
        while first < places.count {
            if let stream = places[first].stream { return stream }
            first += 1
        }
        return nil
    }

    /// The same among those of one client.
    func oldest(of client: Int, above limit: Int) -> KeptStream? {
        guard let count = counts[client], count > limit else { return nil }
        return places[first...].first { $0.stream?.client == client }?.stream
    }

    /// The longest away of those that hold blocks.
    mutating func oldestWithBlocks() -> KeptStream? {
        firstHolding = max(firstHolding, first)
        while firstHolding < places.count {
            if let stream = places[firstHolding].stream, stream.holdsBlocks { return stream }
            firstHolding += 1
        }
        return nil
    }

    /// A stream holds more than before, if it is here.
    mutating func grew(_ stream: KeptStream) {
        guard let number = numbers[ObjectIdentifier(stream)] else { return }
        firstHolding = min(firstHolding, place(of: number))
    }
}

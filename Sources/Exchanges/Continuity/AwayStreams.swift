// The streams of one worker that nobody reads, in the order in which their readers left.
// Invariant: a stream that has a reader again is not here. Leaving and coming back cost the same however many there are.

/// Streams without a reader.
struct AwayStreams {
    private struct Place {
        let stream: KeptStream
        let number: UInt64
    }

    /// The longest away first, from `first` on. A place counts only while its stream has the same number in `numbers`.
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
        guard numbers.removeValue(forKey: ObjectIdentifier(stream)) != nil else { return }
        if let client = stream.client {
            counts[client, default: 1] -= 1
            if counts[client] == 0 { counts[client] = nil }
        }
        // Places of streams that have come back go when they are half of all.
        if places.count - first > 16, numbers.count < (places.count - first) / 2 { compact() }
    }

    private mutating func compact() {
        places = places[first...].filter(isValid)
        first = 0
        firstHolding = 0
    }

    private func isValid(_ place: Place) -> Bool { numbers[ObjectIdentifier(place.stream)] == place.number }

    /// The stream that is longest away, where there are more than so many.
    mutating func oldest(above limit: Int) -> KeptStream? {
        guard numbers.count > limit else { return nil }
        while first < places.count {
            if isValid(places[first]) { return places[first].stream }
            first += 1
        }
        return nil
    }

    /// The same among those of one client.
    func oldest(of client: Int, above limit: Int) -> KeptStream? {
        guard let count = counts[client], count > limit else { return nil }
        return places[first...].first { $0.stream.client == client && isValid($0) }?.stream
    }

    /// The longest away of those that hold blocks.
    mutating func oldestWithBlocks() -> KeptStream? {
        firstHolding = max(firstHolding, first)
        while firstHolding < places.count {
            if isValid(places[firstHolding]), places[firstHolding].stream.holdsBlocks { return places[firstHolding].stream }
            firstHolding += 1
        }
        return nil
    }

    /// A stream holds more than before, if it is here.
    mutating func grew(_ stream: KeptStream) {
        guard let number = numbers[ObjectIdentifier(stream)] else { return }
        // Places stand in the order of their numbers.
        var (low, high) = (first, min(firstHolding, places.count))
        while low < high {
            let middle = (low + high) / 2
            if places[middle].number < number { low = middle + 1 } else { high = middle }
        }
        firstHolding = low
    }
}

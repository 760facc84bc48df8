// The streams of one worker that nobody reads, in the order in which their readers left.
// Invariant: a stream that has a reader again is not here. Leaving and coming back cost the same however many there are.

import Reactor

/// Streams without a reader.
struct AwayStreams {
    private struct Place {
        let stream: KeptStream
        let number: UInt64
    }

    /// The longest away first, from `first` on. A place counts only while its stream has the same number in `numbers`.
    private var places: [Place] = []
    private var first = 0
    private var numbers: [ObjectIdentifier: UInt64] = [:]
    private var counts: [[UInt8]: Int] = [:]
    private var lastNumber: UInt64 = 0

    /// How many there are.
    var count: Int { numbers.count }

    /// The stream's reader has left.
    mutating func add(_ stream: KeptStream) {
        remove(stream)
        lastNumber += 1
        places.append(Place(stream: stream, number: lastNumber))
        numbers[ObjectIdentifier(stream)] = lastNumber
        counts[stream.client, default: 0] += 1
    }

    /// The stream has a reader again, or is forgotten.
    mutating func remove(_ stream: KeptStream) {
        guard numbers.removeValue(forKey: ObjectIdentifier(stream)) != nil else { return }
        counts[stream.client, default: 1] -= 1
        if counts[stream.client] == 0 { counts[stream.client] = nil }
        // Places of streams that have come back go when they are half of all.
        if places.count - first > 16, numbers.count < (places.count - first) / 2 { compact() }
    }

    private mutating func compact() {
        places = places[first...].filter(isValid)
        first = 0
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
    func oldest(of client: [UInt8], above limit: Int) -> KeptStream? {
        guard let count = counts[client], count > limit else { return nil }
        return places[first...].first { $0.stream.client == client && isValid($0) }?.stream
    }
}

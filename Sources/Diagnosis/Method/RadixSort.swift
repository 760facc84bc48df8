// Numbers in order. The method sorts a million of them a dozen times; by their digits that takes a tenth of what comparing takes.

extension [UInt64] {
    private static var digitBits: Int { 11 }

    /// Sorts by the 32 bits from `bit` on. Elements that are equal there keep their order.
    mutating func sortByDigits(from bit: Int = 0) {
        guard count > 1 else { return }
        var source = self
        var target = self
        for shift in stride(from: bit, to: bit + 32, by: Self.digitBits) {
            let mask = UInt64(1) << UInt64(Swift.min(Self.digitBits, bit + 32 - shift)) - 1
            var places = [Int](repeating: 0, count: 1 << Self.digitBits)
            for number in source { places[Int(number >> UInt64(shift) & mask)] += 1 }
            // All have the same digit: durations above an hour and a quarter are rare.
            guard places.max() != count else { continue }
            var next = 0
            for digit in places.indices {
                let first = next
                next += places[digit]
                places[digit] = first
            }
            for number in source {
                let digit = Int(number >> UInt64(shift) & mask)
                target[places[digit]] = number
                places[digit] += 1
            }
            swap(&source, &target)
        }
        self = source
    }
}

extension [UInt32] {
    /// In order.
    mutating func sortByDigits() {
        var wide = map(UInt64.init)
        wide.sortByDigits()
        for position in indices { self[position] = UInt32(truncatingIfNeeded: wide[position]) }
    }
}

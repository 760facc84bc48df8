// The search for line ends against a plain loop.

import TestSupport
import Testing

@testable import EventStream

@Suite struct ByteSearchTests {
    @Test("the first line end is found at every offset, from every start, among bytes that resemble it")
    func findsFirst() {
        let neighbours: [UInt8] = [0x00, 0x09, 0x0B, 0x0C, 0x0E, 0x8A, 0x8D, 0xFF, 0x61]
        for neighbour in neighbours {
            for length in Array(0...20) + [31, 32, 33, 40, 41, 63, 64, 65, 73, 128, 137] {
                for place in 0...length {
                    for end: UInt8 in [10, 13] {
                        var bytes = [UInt8](repeating: neighbour, count: length)
                        if place < length {
                            bytes[place] = end
                            // What follows a match must not matter.
                            for later in (place + 1)..<max(place + 1, length) { bytes[later] = end ^ UInt8(later & 7) }
                        }
                        for start in Set([0, 1, 3, 8, place / 2, place]) where start <= place {
                            let expected = bytes[start...].firstIndex { $0 == 10 || $0 == 13 } ?? length
                            let found = ByteSearch.firstLineEnd(in: bytes.span, from: start)
                            if found != expected {
                                Issue.record("\(bytes) from \(start): \(found), not \(expected)")
                                return
                            }
                        }
                    }
                }
            }
        }
    }

    /// Tabs and other small bytes lead into the exact test and out of it again.
    @Test("small bytes that end no line are skipped, wherever they stand")
    func smallBytes() {
        let seed = SeededGenerator.seed(of: "byte search")
        var random = SeededGenerator(seed: seed)
        for _ in 0..<5_000 {
            let count = Int.random(in: 0...400, using: &random)
            let small: [UInt8] = [0x09, 0x00, 0x0B, 0x0C, 0x0D, 0x0A, 0x0E, 0x80, 0xFF]
            let share = Int.random(in: 1...40, using: &random)
            let bytes = (0..<count).map { _ in
                Int.random(in: 0...share, using: &random) == 0 ? small.randomElement(using: &random)! : 0x61
            }
            let start = Int.random(in: 0...count, using: &random)
            let expected = bytes[start...].firstIndex { $0 == 0x0A || $0 == 0x0D } ?? count
            #expect(ByteSearch.firstLineEnd(in: bytes.span, from: start) == expected, "HEARTWIRE_SEED=\(seed)")
        }
    }
}

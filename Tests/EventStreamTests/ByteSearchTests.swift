// The search for line ends against a plain loop.

import Testing

@testable import EventStream

@Suite struct ByteSearchTests {
    @Test("the first line end is found at every offset, from every start, among bytes that resemble it")
    func findsFirst() {
        let neighbours: [UInt8] = [0x00, 0x09, 0x0B, 0x0C, 0x0E, 0x8A, 0x8D, 0xFF, 0x61]
        for neighbour in neighbours {
            for length in Array(0...20) + [31, 32, 33, 40, 41, 65, 73] {
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
}

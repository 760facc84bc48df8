// The search for control bytes against a plain loop.

import Testing

@testable import HTTP

@Suite("The search for control bytes")
struct ControlBytesTests {
    @Test("finds the first one at every offset, from every start, up to every end, among bytes that resemble it")
    func findsFirst() {
        let resembling: [UInt8] = [0x20, 0x7E, 0x80, 0x81, 0x9F, 0xA0, 0xFF, 0x61]
        let control: [UInt8] = [0x00, 0x01, 0x09, 0x0A, 0x0D, 0x1F, 0x7F]
        for neighbour in resembling {
            for length in Array(0...26) {
                for place in 0...length {
                    for sought in control {
                        var bytes = [UInt8](repeating: neighbour, count: length)
                        if place < length { bytes[place] = sought }
                        // What follows a match must not matter.
                        for later in (place + 1)..<max(place + 1, length) where later.isMultiple(of: 2) { bytes[later] = sought ^ 1 }
                        for (start, end) in [(0, length), (place, length), (place / 2, (place + length) / 2)] {
                            let expected = bytes[start..<end].firstIndex { $0 < 0x20 || $0 == 0x7F } ?? end
                            let found = firstControlByte(bytes.span, from: start, to: end)
                            if found != expected {
                                Issue.record("\(bytes) from \(start) to \(end): \(found), not \(expected)")
                                return
                            }
                        }
                    }
                }
            }
        }
    }
}

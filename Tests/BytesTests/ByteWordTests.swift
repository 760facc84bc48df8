// What looks at words of eight bytes, against plain loops.

import Bytes
import Testing

@Suite("Words of eight bytes")
struct ByteWordTests {
    @Test(
        "the search for control bytes finds the first one at every offset, from every start, up to every end, among bytes that resemble it")
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

    @Test("the search for one byte finds the first one in any range, whatever stands around it")
    func findsFirstOfValue() {
        for value: UInt8 in [0x3A, 0x00, 0x80, 0xFF] {
            for neighbour in [value ^ 1, value ^ 0x80, value &+ 1, value &- 1, 0x20] {
                for length in 0...20 {
                    for place in 0...length {
                        var bytes = [UInt8](repeating: neighbour, count: length)
                        for later in place..<length where later == place || later.isMultiple(of: 3) { bytes[later] = value }
                        for range in [0..<length, place / 2..<length, 0..<place, min(place + 1, length)..<length] {
                            let expected = bytes[range].firstIndex(of: value) ?? range.upperBound
                            if firstByte(value, in: bytes.span, range) != expected {
                                Issue.record("\(value) in \(bytes), \(range)")
                                return
                            }
                        }
                    }
                }
            }
        }
    }

    @Test("a name is compared without regard to case, and one different byte is found at every place", arguments: 0..<texts.count)
    func compares(_ number: Int) {
        let expected = texts[number]
        let text = expected.description
        let spellings = [text, text.uppercased()].map { Array($0.utf8) }
        for spelling in spellings {
            for (before, behind) in [(0, 0), (3, 5), (8, 1)] {
                let bytes = [UInt8](repeating: 0x41, count: before) + spelling + [UInt8](repeating: 0x7A, count: behind)
                let range = before..<(before + spelling.count)
                let isEqual = equalsIgnoringCase(bytes.span, range, expected)
                let isPrefix = hasPrefixIgnoringCase(bytes.span, before..<bytes.count, expected)
                #expect(isEqual && isPrefix)
                let isShorterEqual = !range.isEmpty && equalsIgnoringCase(bytes.span, range.dropLast(), expected)
                #expect(!isShorterEqual)
                for place in range {
                    for wrong in UInt8.min...UInt8.max {
                        var bytes = bytes
                        bytes[place] = wrong
                        let isEqual = Array(bytes[range]).elementsEqual(Array(text.utf8)) { lowercased($0) == $1 }
                        if equalsIgnoringCase(bytes.span, range, expected) != isEqual {
                            Issue.record("\(bytes[range]) and \(text)")
                            return
                        }
                    }
                }
            }
        }
    }
}

/// Texts of every length that is compared in another way.
private let texts: [StaticString] = [
    "", "te", "age", "abcdefg", "http://a", "keep-alive", "abcdefghijklmno", "x-forwarded-host", "proxy-authentication-info",
    "az[]`{@-_09~ az",
]

// What the tests of this target share: splits and random streams.

import EventStream
import TestSupport

/// The bytes whole, one by one, and in two parts at every place.
func splits(of bytes: [UInt8]) -> [[[UInt8]]] {
    var result = [[bytes], bytes.map { [$0] }]
    for cut in 0...bytes.count {
        result.append([Array(bytes[..<cut]), Array(bytes[cut...])])
    }
    return result
}

func randomSplit(of bytes: [UInt8], using random: inout SeededGenerator) -> [[UInt8]] {
    var parts: [[UInt8]] = []
    var start = 0
    let longest = random.pick([1, 2, 3, 8, 40, 400, 10_000])
    while start < bytes.count {
        let end = min(bytes.count, start + 1 + random.below(longest))
        parts.append(Array(bytes[start..<end]))
        start = end
        if random.oneIn(20) {
            parts.append([])
        }
    }
    return parts
}

/// A random stream with many hard cases: mixed line ends, marks, NULs, ids, retries, long lines, any ending.
func randomStream(using random: inout SeededGenerator) -> [UInt8] {
    let pieces = [
        "data", "data:", "data: ", "data:x", "data: hello", "data:  two", "dat", "datax: no", "Data: no", " data: no",
        "id", "id:", "id: 7", "id:eight", "id: ni\0ne", "id:\0", "idx: 1", "i", "retry", "retry:", "retry: ", "retry: 250", "retry:9",
        "retry: 1a", "retry:  5", "retry: 99999999999999999999999", "retry: 00000000000000000000012", "retry: 1 ",
        "event", "event:", "event: add", "event:remove", "event: heartbeat2", ":", ": comment", ":data: no", "unknown: x",
        "data: a:b", "::", "data\0: no", "\0", "data: \0",
    ]
    let oddities: [[UInt8]] = [
        [0xEF, 0xBB, 0xBF], [0xEF], [0xEF, 0xBB], [0xBB, 0xBF], [0xC3], [0xFF, 0xFE], [0xE2, 0x82], [0x0A ^ 0x80], [0x8D],
    ]
    let lineEnds: [[UInt8]] = random.pick([
        [[10]], [[13]], [[13, 10]], [[10], [13], [13, 10]], [[13], [13, 10]], [[10], [10, 10], [13, 13], [13, 10, 13, 10]],
    ])
    var bytes: [UInt8] = []
    if random.oneIn(3) {
        bytes += random.pick([[0xEF, 0xBB, 0xBF], [0xEF, 0xBB], [0xEF], [0xEF, 0xBB, 0xBF, 0xEF, 0xBB, 0xBF], [0xEF, 0xBB, 13]])
    }
    for _ in 0..<random.below(random.pick([2, 6, 24])) {
        if !random.oneIn(5) {
            bytes += Array(random.pick(pieces).utf8)
        }
        if random.oneIn(8) {
            bytes += random.pick(oddities)
        }
        if random.oneIn(150) {
            bytes += Array(random.pick(["data: ", "id: ", "", ": ", "event: "]).utf8)
            bytes += [UInt8](repeating: random.oneIn(2) ? 0x61 : 0xE9, count: random.pick([250, 255, 256, 257, 1_000, 9_000]))
        }
        if !random.oneIn(12) {
            bytes += random.pick(lineEnds)
        }
        if random.oneIn(3) {
            bytes += random.pick(lineEnds)
        }
    }
    return bytes
}

extension Heartbeat {
    /// What to send now into the bytes that a weaver follows.
    func bytes(in weaver: Weaver) -> [UInt8] {
        var weaver = weaver
        return weaver.weave(self) ?? []
    }
}

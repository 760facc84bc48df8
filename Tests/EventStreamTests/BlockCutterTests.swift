// Cutting a stream into blocks: for every split the same ones, and an EventSource reads from them what it reads from the stream.

import EventStream
import ReferenceEventSource
import TestSupport
import Testing

/// All blocks of the pieces, and the parts of those above the limit.
private struct Cutting {
    var cutter: BlockCutter
    var blocks: [NaiveBlock] = []
    /// Blocks above the limit: the same, without their id lines and their blank line.
    var oversized: [NaiveBlock] = []
    /// In which piece each block was found.
    var places: [Int] = []
    private var parts: [UInt8] = []

    init(_ pieces: [[UInt8]], limit: Int = 1 << 20) {
        cutter = BlockCutter(limit: limit)
        for (place, piece) in pieces.enumerated() {
            var offset = 0
            cutting: while true {
                switch cutter.next(in: piece.span, from: &offset) {
                case .more: break cutting
                case .part: parts += cutter.part
                case .block: take(piece.span, place)
                }
            }
            #expect(offset == piece.count)
        }
    }

    private mutating func take(_ piece: Span<UInt8>, _ place: Int) {
        let block = cutter.block
        let found = NaiveBlock(
            bytes: block.isOversized ? parts : cutter.bytes(in: piece), hasData: block.hasData, identifier: cutter.identifier(in: piece),
            type: cutter.type(in: piece), retryMilliseconds: block.retryMilliseconds)
        #expect(block.byteCount == (block.isOversized ? 0 : found.bytes.count))
        #expect(!cutter.isInsideBlock)
        if block.isOversized { oversized.append(found) } else { blocks.append(found) }
        places.append(place)
        parts = []
    }
}

@Suite("Cutting a stream into blocks")
struct BlockCutterTests {
    private static let vectors: [(stream: String, blocks: [String])] = [
        ("data: a\n\n", ["data: a\n\n"]),
        ("id: 7\nevent: tick\ndata: a\n\ndata: b\n\n", ["id: 7\nevent: tick\ndata: a\n\n", "data: b\n\n"]),
        ("event: tick\r\ndata: a\r\n\r\ndata: b\r\n\r\n", ["event: tick\ndata: a\n\n", "data: b\n\n"]),
        ("data: a\r\rdata: b\r\r\n", ["data: a\n\n", "data: b\n\n"]),
        ("\n\n\r\n: ping\n\n: ping\n\r\ndata: a\n\n", ["data: a\n\n"]),
        (": before\ndata: a\n: inside\r\ndata: b\n:\n\n", ["data: a\ndata: b\n\n"]),
        // A mark in the middle would lose its line its meaning, and at the start of a client's response give it one.
        ("\u{FEFF}data: a\n\n\u{FEFF}data: b\n\n\u{FEFF}data: c\ndata: d\n\n", ["data: a\n\n", "data: d\n\n"]),
        ("\u{FEFF}\n\u{FEFF}\nid: 1\n\n", ["id: 1\n\n"]),
        ("\u{FEFF}\u{FEFF}data: a\n\n", []),
        ("retry: 10\n\nid\n\nid: 5\n\n", ["retry: 10\n\n", "id\n\n", "id: 5\n\n"]),
        // Fields that no browser knows stay.
        ("data: a\nmercure: x\n\nunknown\n\n", ["data: a\nmercure: x\n\n", "unknown\n\n"]),
        ("data: cut\n", []), ("data: cut", []), ("", []), ("\n\n", []), (":", []), ("\u{FEFF}", []),
    ]

    @Test("finds whole, normalised blocks, whatever the split", arguments: vectors)
    func finds(stream: String, blocks: [String]) {
        for pieces in splits(of: Array(stream.utf8)) {
            #expect(Cutting(pieces).blocks.map { String(decoding: $0.bytes, as: UTF8.self) } == blocks, "\(pieces)")
        }
    }

    private static let facts: [(block: String, expected: NaiveBlock)] = [
        ("data\n", NaiveBlock(hasData: true)),
        ("data:\n", NaiveBlock(hasData: true)),
        ("datax: a\n", NaiveBlock()),
        ("Data: a\n", NaiveBlock()),
        (" data: a\n", NaiveBlock()),
        ("id: 7\n", NaiveBlock(identifier: Array("7".utf8))),
        ("id:  7\n", NaiveBlock(identifier: Array(" 7".utf8))),
        ("id\n", NaiveBlock(identifier: [])),
        ("id:\n", NaiveBlock(identifier: [])),
        ("id: \n", NaiveBlock(identifier: [])),
        ("id: 1\nid: 2\n", NaiveBlock(identifier: Array("2".utf8))),
        ("id: 1\nid\n", NaiveBlock(identifier: [])),
        ("id: 1\nid: 2\03\n", NaiveBlock(identifier: Array("1".utf8))),
        ("id: \0\n", NaiveBlock()),
        ("event: a\nevent: b\n", NaiveBlock(type: Array("b".utf8))),
        ("event: a\nevent\n", NaiveBlock()),
        ("events: a\nEvent: b\n", NaiveBlock()),
        ("retry: 250\n", NaiveBlock(retryMilliseconds: 250)),
        ("retry: 1\nretry: x\n", NaiveBlock(retryMilliseconds: 1)),
        ("retry:\nretry\nretry: -1\nretry:  1\n", NaiveBlock()),
        ("retry: 99999999999999999999999\n", NaiveBlock(retryMilliseconds: UInt64(UInt32.max))),
    ]

    @Test("says of each block what a browser takes from it", arguments: facts)
    func says(block: String, expected: NaiveBlock) {
        for pieces in splits(of: Array("\(block)\n".utf8)) {
            var found = Cutting(pieces).blocks
            #expect(found.count == 1)
            found[0].bytes = []
            #expect(found[0] == expected, "\(pieces)")
        }
    }

    @Test("finds a block in the piece that ends it, without waiting for an LF behind its CR")
    func whereItEnds() {
        let pieces = ["data: a", "\n", "\nda", "ta: b\r\n\r", "\ndata: c\r\n\r\n"].map { Array($0.utf8) }
        #expect(Cutting(pieces).places == [2, 3, 4])
    }

    @Test("knows whether a block is open")
    func open() {
        for (stream, isOpen) in [
            ("", false), ("data: a\n\n", false), ("data: a\n\n: ping", false), ("data: a\n\n: ping\n", false), ("data: a\n\nd", true),
            ("data: a\n", true), ("data: a\n: in", true), ("\u{FEFF}", false), ("\u{FEFF}i", true), ("data: a\n\n\u{FEFF}i", false),
        ] {
            for pieces in splits(of: Array(stream.utf8)) {
                let cutter = Cutting(pieces).cutter
                #expect(cutter.isInsideBlock == isOpen && !cutter.isInsideOversized, "\(pieces)")
            }
        }
    }

    @Test("holds nothing of a comment, however long it is")
    func longComment() {
        var cutter = BlockCutter(limit: 16)
        let piece = Array(repeating: UInt8(ascii: "x"), count: 1_000)
        for bytes in [Array("data: a\n:".utf8), piece, piece, Array("\ndata: b\n".utf8)] {
            var offset = 0
            #expect(cutter.next(in: bytes.span, from: &offset) == (bytes.last == 10 ? .part : .more))
        }
        // The second line, not the comment, is what the block has too much.
        #expect(cutter.part == Array("data: a\ndata: b\n".utf8))
    }

    @Test("hands on a block above the limit in parts, and the next one whole")
    func oversized() {
        let long = String(repeating: "x", count: 100)
        let stream = Array("event: tick\nid: 5\ndata: \(long)\nid: 6\n: no\nretry: 3\ndata: b\n\ndata: c\n\n".utf8)
        for pieces in splits(of: stream) {
            let cutting = Cutting(pieces, limit: 40)
            #expect(cutting.blocks.map(\.bytes) == [Array("data: c\n\n".utf8)])
            #expect(
                cutting.oversized == [
                    NaiveBlock(
                        bytes: Array("event: tick\ndata: \(long)\nretry: 3\ndata: b\n".utf8), hasData: true,
                        identifier: Array("6".utf8), type: Array("tick".utf8), retryMilliseconds: 3)
                ])
        }
    }

    @Test("does not hold what it has handed on of a block above the limit")
    func oversizedMemory() {
        var cutter = BlockCutter(limit: 64)
        var handedOn = 0
        let piece = Array(repeating: UInt8(ascii: "x"), count: 1_000)
        for bytes in [Array("data: ".utf8)] + Array(repeating: piece, count: 100) {
            var offset = 0
            while cutter.next(in: bytes.span, from: &offset) == .part {
                #expect(cutter.part.count <= 1_006 && cutter.isInsideOversized)
                handedOn += cutter.part.count
            }
        }
        #expect(handedOn == 100_006)
    }

    @Test("drops an id above the limit, of a block above the limit")
    func oversizedIdentifier() {
        let long = String(repeating: "7", count: 200)
        for pieces in splits(of: Array("id: \(long)\ndata: a\n\n".utf8)) {
            let cutting = Cutting(pieces, limit: 100)
            #expect(cutting.oversized == [NaiveBlock(bytes: Array("data: a\n".utf8), hasData: true)], "\(pieces)")
        }
    }

    @Test("finds in random streams what the simple way finds, and what an EventSource reads, whatever the split and the limit")
    func random() {
        let seed = SeededGenerator.seed(of: "block cutter")
        var (blockCount, oversizedCount) = (0, 0)
        for index in 0..<20_000 as Range<UInt64> {
            var random = SeededGenerator(seed: seed &+ index)
            let stream = randomStream(using: &random)
            let limit = random.pick([1 << 20, 1 << 20, 64, 12, 1])
            let expected = naiveBlocks(of: stream)
            let cutting = Cutting(randomSplit(of: stream, using: &random), limit: limit)
            let isSame =
                cutting.blocks == expected.filter { $0.bytes.count <= limit }
                && Self.areSame(cutting.oversized, expected.filter { $0.bytes.count > limit }, limit: limit)
            let direct = ReferenceEventSource(reading: stream)
            let read = ReferenceEventSource(reading: cutting.blocks.flatMap(\.bytes))
            let isRead =
                !cutting.oversized.isEmpty
                || read.events == direct.events && read.lastEventID == direct.lastEventID
                    && read.reconnectionTimeMilliseconds == direct.reconnectionTimeMilliseconds
                // An open `retry` line at the end has taken effect already.
                || direct.isEventOpen && read.events == direct.events
            if !isSame || !isRead {
                let found = "\(cutting.blocks) and \(cutting.oversized)"
                Issue.record("HEARTWIRE_SEED=\(seed &+ index): limit \(limit), \(found), not \(expected), in \(stream)")
                return
            }
            blockCount += cutting.blocks.count
            oversizedCount += cutting.oversized.count
        }
        #expect(blockCount > 20_000 && oversizedCount > 2_000, "the cases must have met what they are there for")
    }

    /// Blocks above the limit lose their `id` lines, an id above the limit as a whole, and a type of more than 57 bytes.
    private static func areSame(_ found: [NaiveBlock], _ expected: [NaiveBlock], limit: Int) -> Bool {
        found.count == expected.count
            && zip(found, expected).allSatisfy { found, expected in
                let hasLongLines = expected.bytes.split(separator: 10).contains { $0.count >= 64 || $0.count > limit }
                return withoutIdentifiers(found.bytes) == withoutIdentifiers(expected.bytes) && found.hasData == expected.hasData
                    && (hasLongLines
                        || found.identifier == expected.identifier && found.type == expected.type
                            && found.retryMilliseconds == expected.retryMilliseconds)
            }
    }
}

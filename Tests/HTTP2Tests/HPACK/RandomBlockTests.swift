// The decoder against an encoder of the tests, at random: after every block both have the same fields and the same table.

import TestSupport
import Testing

@testable import HTTP2

@Suite("Blocks of an encoder that does everything by chance")
struct RandomBlockTests {
    private static let names = [
        ":method", ":path", ":authority", ":scheme", "accept", "cookie", "cookie", "user-agent", "x", "x-long-name-of-a-field", "te", "",
        "content-length", "www-authenticate",
    ]

    private func bytes(_ most: Int, by chance: inout SeededGenerator) -> [UInt8] {
        let isText = chance.oneIn(2)
        return (0..<chance.below(most + 1)).map { _ in isText ? UInt8(chance.number(0x20...0x7E)) : UInt8(chance.below(256)) }
    }

    @Test("fields and table are the same after every block, for tables of every size", arguments: [0, 31, 32, 100, 500, 4_096, 20_000])
    func same(tableBytes: Int) throws {
        var chance = SeededGenerator("random field blocks")
        for _ in 0..<6 {
            var encoder = ReferenceEncoder()
            var decoder = HPACKDecoder(tableBytes: tableBytes, limits: DecodedFieldLimits(maximumBytes: 1 << 20))
            var fields = DecodedFields()
            var known: [RawField] = []
            var block = encoder.resize(to: tableBytes)
            for _ in 0..<40 {
                if chance.oneIn(6) {
                    block += encoder.resize(to: chance.number(0...tableBytes))
                    if chance.oneIn(2) { block += encoder.resize(to: chance.number(0...tableBytes)) }
                }
                var expected: [RawField] = []
                for _ in 0..<chance.below(12) {
                    var field = RawField(Array(chance.pick(Self.names).utf8), bytes(chance.pick([3, 40, 600]), by: &chance))
                    if chance.oneIn(8) { field.name = bytes(50, by: &chance) }
                    if !known.isEmpty, chance.oneIn(2) { field = chance.pick(known) }
                    known.append(field)
                    let encoded = encoder.encode(field, by: &chance)
                    block += encoded.block
                    expected.append(encoded.field)
                }
                try decoder.decode(block.span, into: &fields)
                try #require(fields.raw == expected)
                try #require(decoder.tableBytes == encoder.tableBytes)
                try #require(decoder.tableContents.map { RawField($0.name, $0.value) } == encoder.table)
                block = []
            }
        }
    }

    @Test("any bytes are decoded or refused, and a table never exceeds its size")
    func anyBytes() {
        var chance = SeededGenerator("random bytes as field blocks")
        var refused: Set<HPACKError> = []
        for round in 0..<3_000 {
            var decoder = HPACKDecoder(tableBytes: chance.pick([0, 100, 4_096]))
            var fields = DecodedFields()
            for _ in 0..<4 {
                var block = (0..<chance.below(60)).map { _ in UInt8(chance.below(256)) }
                if round % 2 == 0, !block.isEmpty { block[0] = UInt8(chance.pick([0x40, 0x82, 0x00, 0x3F, 0x51, 0xBE])) }
                do throws(HPACKError) {
                    try decoder.decode(block.span, into: &fields)
                } catch {
                    refused.insert(error)
                    break
                }
                #expect(decoder.tableBytes <= 4_096)
            }
        }
        #expect(refused == Set(HPACKError.allCases).subtracting([.tooManyFields]))
    }

    @Test("a block cut anywhere is refused, or is whole by chance: nothing is read behind its end")
    func cuts() throws {
        var chance = SeededGenerator("cut field blocks")
        for _ in 0..<40 {
            var encoder = ReferenceEncoder()
            let first = encoder.encode(RawField("accept", "text/event-stream"), by: &chance)
            let second = encoder.encode(RawField("x-some-name", "some value, somewhat longer"), by: &chance)
            let block = first.block + second.block
            for count in 0..<block.count {
                var decoder = HPACKDecoder()
                var fields = DecodedFields()
                let cut = Array(block[..<count])
                if count == 0 || count == first.block.count {
                    try decoder.decode(cut.span, into: &fields)
                    #expect(fields.raw == (count == 0 ? [] : [first.field]))
                } else {
                    #expect(throws: HPACKError.self) { try decoder.decode(cut.span, into: &fields) }
                }
            }
        }
    }
}

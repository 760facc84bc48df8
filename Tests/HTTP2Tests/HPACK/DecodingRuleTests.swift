// What RFC 7541 calls a decoding error, and what looks like one and is none: a test for each.

import Testing

@testable import HTTP2

@Suite("Field blocks are refused for what the standard names, and for nothing else")
struct DecodingRuleTests {
    private func error(_ hexadecimal: String, tableBytes: Int = 4_096) -> HPACKError? {
        var decoding = Decoding(tableBytes: tableBytes)
        return decoding.error(of: octets(hexadecimal))
    }

    @Test("index 0 is refused")
    func indexZero() { #expect(error("80") == .invalidIndex) }

    @Test("an index beyond both tables is refused, as a field and as a name, and the last of each is taken")
    func indexBeyond() throws {
        #expect(error("be") == .invalidIndex)
        #expect(error("7e 01 61") == .invalidIndex && error("0f2f 01 61") == .invalidIndex && error("1f2f 01 61") == .invalidIndex)
        #expect(error("ff80808008") == .invalidIndex)
        var decoding = Decoding()
        #expect(try decoding.decode(octets("bd")) == [PlainField("www-authenticate", "")])
        #expect(try decoding.decode(octets("40 01 61 01 62  be")) == [PlainField("a", "b"), PlainField("a", "b")])
        #expect(try decoding.decode(octets("7e 01 63")) == [PlainField("a", "c")])
        #expect(try decoding.decode(octets("bf be")) == [PlainField("a", "b"), PlainField("a", "c")])
        #expect(decoding.error(of: octets("c0")) == .invalidIndex)
    }

    @Test("a table size above the announced one is refused, and the announced one is taken")
    func oversizedUpdate() {
        #expect(error("3fe21f") == .tableTooLarge && error("3fe11f") == nil)
        #expect(error("21", tableBytes: 0) == .tableTooLarge && error("20", tableBytes: 0) == nil)
    }

    @Test("a table size that is not at the beginning of a block is refused")
    func misplacedUpdate() { #expect(error("82 20") == .misplacedTableSize && error("20 82 20") == .misplacedTableSize) }

    @Test("two table sizes at the beginning of a block are taken, the last one counts, and the first one has evicted")
    func twoUpdates() throws {
        var decoding = Decoding()
        _ = try decoding.decode(octets("40 01 61 01 62"))
        #expect(try decoding.decode(octets("20 3fe11f 82")) == [PlainField(":method", "GET")])
        #expect(decoding.table.isEmpty)
        #expect(try decoding.decode(octets("40 01 61 01 62 be")).count == 2 && decoding.table.count == 1)
    }

    @Test("a block may hold table sizes and no field, or nothing")
    func noFields() throws {
        var decoding = Decoding()
        #expect(try decoding.decode(octets("20")).isEmpty && decoding.decode([]).isEmpty)
    }

    @Test("Huffman text that holds EOS is refused")
    func endOfString() {
        // EOS is thirty ones. The first text is EOS and two bits of padding, the second has a letter in front.
        #expect(error("00 01 61 84 ffffffff") == .invalidHuffmanText)
        #expect(error("00 01 61 85 1fffffffff") == .invalidHuffmanText)
        #expect(error("00 84 ffffffff 01 61") == .invalidHuffmanText)
    }

    @Test("Huffman text with more than 7 bits of padding is refused")
    func longPadding() {
        // `a` is 00011.
        #expect(error("00 01 61 81 1f") == nil)
        #expect(error("00 01 61 82 1fff") == .invalidHuffmanText)
        #expect(error("00 01 61 81 ff") == .invalidHuffmanText)
    }

    @Test("Huffman text with padding that is not ones is refused, however long the padding")
    func zeroPadding() {
        for symbols in [[0x61], [0x30, 0x3A], [0x62], [0x00], [0x5E], [0x7F], [0x40, 0x40, 0x40]] {
            for (padding, expected) in [(true, nil), (false, HPACKError.invalidHuffmanText)] {
                let text = HuffmanCode.encode(symbols, padding: padding)
                var decoding = Decoding()
                #expect(decoding.error(of: octets("00 01 61") + [0x80 | UInt8(text.count)] + text) == expected, "\(symbols)")
            }
        }
        // One of seven bits of the padding is no one: `&` fills an octet, `a` leaves three bits.
        #expect(error("00 01 61 81 f8") == nil && error("00 01 61 82 f81e") == .invalidHuffmanText)
        #expect(error("00 01 61 81 1d") == .invalidHuffmanText && error("00 01 61 81 1b") == .invalidHuffmanText)
    }

    @Test("each octet has its code, and all of them together are read back")
    func everyOctet() throws {
        for symbols in (0..<256).map({ [$0] }) + [Array(0..<256), Array((0..<256).reversed())] {
            let text = HuffmanCode.encode(symbols)
            var output: [UInt8] = []
            try HuffmanCode.decode(text.span, 0..<text.count, to: &output)
            #expect(output == symbols.map(UInt8.init))
        }
        // Appendix B, at both ends and in the middle.
        #expect(HuffmanCode.codes[0] == (0x1FF8, 13) && HuffmanCode.codes[255] == (0x3FF_FFEE, 26))
        #expect(HuffmanCode.codes[256] == (0x3FFF_FFFF, 30) && HuffmanCode.codes[0x7B] == (0x7FFE, 15))
    }

    @Test("an empty Huffman text is an empty string")
    func emptyHuffman() throws {
        var decoding = Decoding()
        #expect(try decoding.decode(octets("00 80 80")) == [PlainField("", "")])
    }

    @Test("integers that overflow or never end are refused, wherever they stand")
    func integers() {
        for beginning in ["ff", "7f", "3f", "0f", "1f", "00 7f", "00 ff", "00 01 61 7f", "00 01 61 ff"] {
            #expect(error(beginning + "ffffffff7f") == .integerTooLarge, "\(beginning)")
            #expect(error(beginning + "ffffffffffffffffffffffffffffffff0f") == .integerTooLarge, "\(beginning)")
            #expect(error(beginning + "80808080808000") == .integerTooLarge, "\(beginning)")
            #expect(error(beginning + "8080") == .truncated && error(beginning) == .truncated, "\(beginning)")
        }
    }

    @Test("integers with superfluous zeros are taken, up to five octets")
    func superfluousZeros() {
        let text = String(repeating: "61", count: 127)
        for zeros in ["00", "8000", "808000", "80808000", "8080808000"] { #expect(error("00 7f" + zeros + text + "00") == nil) }
        #expect(error("00 7f 808080808000" + text + "00") == .integerTooLarge)
        #expect(error("00 7f 8280808000" + String(repeating: "61", count: 129) + "00") == nil)
    }

    @Test("strings longer than the block are refused")
    func longStrings() {
        #expect(error("00 02 61") == .truncated && error("00 01 61 02 62") == .truncated && error("00 01 61") == .truncated)
        #expect(error("00 82 1f") == .truncated && error("00 01 61 7fffffff07") == .truncated && error("00") == .truncated)
        #expect(error("04") == .truncated && error("0f") == .truncated)
    }

    @Test("an entry larger than the table empties it and is no error")
    func largeEntry() throws {
        var decoding = Decoding(tableBytes: 40)
        _ = try decoding.decode(octets("40 01 61 01 62"))
        #expect(decoding.table.count == 1)
        let large = octets("40 04 61616161 05 6262626262")
        #expect(try decoding.decode(large) == [PlainField("aaaa", "bbbbb")])
        #expect(decoding.table.isEmpty && decoding.decoder.tableBytes == 0)
        #expect(try decoding.decode(octets("40 04 61616161 04 62626262")).count == 1 && decoding.table.count == 1)
        #expect(decoding.decoder.tableBytes == 40)
    }

    @Test("the same field twice makes two entries")
    func duplicates() throws {
        var decoding = Decoding()
        _ = try decoding.decode(octets("40 01 61 01 62 40 01 61 01 62"))
        #expect(decoding.table == [PlainField("a", "b"), PlainField("a", "b")] && decoding.decoder.tableBytes == 68)
    }

    @Test("evicted entries are out of reach at once")
    func evicted() throws {
        // Two entries of 34 bytes do not fit into 67.
        var decoding = Decoding(tableBytes: 67)
        #expect(try decoding.decode(octets("40 01 61 01 62 be")).count == 2)
        #expect(decoding.error(of: octets("40 01 63 01 64 bf")) == .invalidIndex)
        var shrunk = Decoding()
        _ = try shrunk.decode(octets("40 01 61 01 62"))
        #expect(shrunk.error(of: octets("3f02 be")) == .invalidIndex)
    }

    @Test("an entry may take the name of the entry that it evicts")
    func nameOfEvicted() throws {
        var decoding = Decoding(tableBytes: 40)
        _ = try decoding.decode(octets("40 03 616263 01 64"))
        #expect(try decoding.decode(octets("7e 05 6465666768")) == [PlainField("abc", "defgh")])
        #expect(decoding.table == [PlainField("abc", "defgh")])
        #expect(try decoding.decode(octets("7e 06 646566676869")) == [PlainField("abc", "defghi")] && decoding.table.isEmpty)
    }

    @Test("names and values may hold any octet here, and empty ones; the rules of messages come later")
    func anyOctet() throws {
        var decoding = Decoding()
        #expect(try decoding.decode(octets("40 00 00 be")) == [PlainField("", ""), PlainField("", "")])
        #expect(try decoding.decode(octets("00 02 0d0a 01 00")) == [PlainField("\r\n", "\0")])
    }
}

// Bounds of decoded fields: what a small block may not become.

import HTTP2
import Testing

@Suite("The bounds of decoded fields")
struct FieldLimitTests {
    private let limits = DecodedFieldLimits(maximumFields: 3, maximumBytes: 150, hardMaximumFields: 5)

    @Test("fields up to the limit are stored; one more makes the block too large, and nothing more is stored")
    func count() throws {
        var decoding = Decoding(limits: limits)
        #expect(try decoding.decode(octets("828282")).count == 3 && !decoding.fields.isTooLarge)
        #expect(try decoding.decode(octets("82828282")).count == 3 && decoding.fields.isTooLarge)
        #expect(try decoding.decode(octets("82")).count == 1 && !decoding.fields.isTooLarge)
    }

    @Test("a field counts as name, value and 32 bytes; the limit may be reached and not exceeded")
    func size() throws {
        let two = "00 01 61 24" + String(repeating: "62", count: 36)
        var decoding = Decoding(limits: limits)
        #expect(try decoding.decode(octets(two + "82 00 00 07" + String(repeating: "63", count: 7))).count == 3)
        #expect(decoding.fields.isTooLarge == false)
        #expect(try decoding.decode(octets(two + "82 00 00 08" + String(repeating: "63", count: 8))).count == 2)
        #expect(decoding.fields.isTooLarge)
    }

    @Test("a block that is too large is decoded to its end: the table has its entries, and errors are found")
    func tableStaysRight() throws {
        var decoding = Decoding(limits: limits)
        #expect(try decoding.decode(octets("828282 40 01 61 01 62")).count == 3 && decoding.fields.isTooLarge)
        #expect(decoding.table == [PlainField("a", "b")])
        #expect(try decoding.decode(octets("be")) == [PlainField("a", "b")])
        #expect(decoding.error(of: octets("828282 82 ff")) == .truncated)
    }

    @Test("one field over the hard limit ends the connection")
    func hardLimit() throws {
        var decoding = Decoding(limits: limits)
        #expect(try decoding.decode(octets("8282828282")).count == 3)
        #expect(decoding.error(of: octets("828282828282")) == .tooManyFields)
    }

    @Test("thousands of indices of a large entry store no more than the limit (the HPACK bomb)")
    func bomb() throws {
        var decoding = Decoding()
        let name = String(repeating: "61", count: 4_000)
        _ = try decoding.decode(octets("40 01 61 7fa11e" + name))
        #expect(decoding.decoder.tableBytes == 4_033)
        _ = try decoding.decode(Array(repeating: 0xBE, count: 1_000))
        #expect(decoding.fields.isTooLarge && decoding.fields.fields.count == 16 && decoding.fields.bytes.count == 16 * 4_001)
        #expect(decoding.error(of: Array(repeating: 0xBE, count: 1_001)) == .tooManyFields)
    }

    @Test("memory is kept for the next block if it is little, and given back if it is much")
    func memory() throws {
        var decoding = Decoding()
        _ = try decoding.decode(octets("82 84 86"))
        decoding.fields.removeAll()
        #expect(decoding.fields.bytes.capacity > 0 && decoding.fields.fields.capacity > 0)
        _ = try decoding.decode(octets("00 01 61 7fa9c601") + [UInt8](repeating: 0x61, count: 25_512))
        #expect(decoding.fields.bytes.count == 25_513)
        decoding.fields.removeAll()
        #expect(decoding.fields.bytes.capacity == 0 && decoding.fields.fields.isEmpty)
    }
}

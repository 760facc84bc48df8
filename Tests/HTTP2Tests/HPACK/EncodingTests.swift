// The encoder without a state: its blocks are what the standard says, byte by byte, and every decoder reads the fields back.

import HTTP2
import TestSupport
import Testing

@Suite("The encoder")
struct EncodingTests {
    private func field(_ name: String, _ value: String) -> [UInt8] {
        var block: [UInt8] = []
        HPACKEncoder.appendField(lowercasing: Array(name.utf8).span, value: Array(value.utf8).span, to: &block)
        return block
    }

    @Test("each status is read back as its three digits, the seven of the static table from one octet")
    func statuses() throws {
        var short: [Int] = []
        for status in 100...999 {
            var block: [UInt8] = []
            HPACKEncoder.appendStatus(status, to: &block)
            var decoding = Decoding()
            #expect(try decoding.decode(block) == [PlainField(":status", "\(status)")] && decoding.table.isEmpty)
            if block.count == 1 { short.append(status) }
        }
        #expect(short == [200, 204, 206, 304, 400, 404, 500])
        var block: [UInt8] = []
        HPACKEncoder.appendStatus(200, to: &block)
        #expect(block == [0x88])
    }

    @Test("names are written in lower case, by the static table's first index where it has them, and no table grows")
    func names() throws {
        #expect(field("Content-Type", "text/event-stream") == octets("0f10 11") + Array("text/event-stream".utf8))
        #expect(field("X-Ä", "1") == octets("00 04 782dc384 01 31"))
        #expect(field("accept-encoding", "") == octets("0f01 00") && field("cache-control", "a") == octets("0f09 01 61"))
        #expect(field("age", "1") == octets("0f06 01 31") && field("via", "1") == octets("0f2d 01 31"))
        var known = 0
        for name in StaticNames.all {
            var decoding = Decoding()
            let block = field(name.uppercased(), "Some Value")
            #expect(try decoding.decode(block).map(\.name) == [name] && decoding.fields.plain[0].value == "Some Value")
            #expect(decoding.table.isEmpty)
            if block.count < 14 { known += 1 }
        }
        #expect(known == StaticNames.all.count && known == 47)
        for strange in ["contxnt-type", "viaa", "v", "", ":status", ":path", "content-typ"] {
            #expect(field(strange, "1").first == 0, "\(strange)")
        }
    }

    @Test("cookies are never indexed, by any hop, and other fields may be")
    func cookies() throws {
        #expect(field("Set-Cookie", "a=b") == octets("1f28 03 613d62"))
        var decoding = Decoding()
        #expect(try decoding.decode(field("Set-Cookie", "a=b") + field("Server", "x")).map(\.isNeverIndexed) == [true, false])
    }

    @Test("long values and names are read back")
    func long() throws {
        for count in [126, 127, 128, 254, 255, 5_000] {
            let text = String(repeating: "v", count: count)
            var decoding = Decoding()
            #expect(try decoding.decode(field("x" + text, text)) == [PlainField("x" + text, text)])
        }
    }

    @Test("the first octet of a connection's first block leaves the peer's table empty")
    func emptyTable() throws {
        var decoding = Decoding()
        _ = try decoding.decode(octets("40 01 61 01 62"))
        #expect(try decoding.decode([HPACKEncoder.emptyTableUpdate, 0x88]) == [PlainField(":status", "200")])
        #expect(decoding.table.isEmpty)
        #expect(try decoding.decode(octets("40 01 61 01 62")).count == 1 && decoding.table.isEmpty)
    }
}

/// The names of regular fields in the static table, as a decoder shows them.
enum StaticNames {
    static let all: [String] = {
        var decoding = Decoding()
        let fields = (try? decoding.decode((1...61).map { 0x80 | $0 })) ?? []
        var names: [String] = []
        for field in fields where !field.name.hasPrefix(":") && !names.contains(field.name) { names.append(field.name) }
        return names
    }()
}

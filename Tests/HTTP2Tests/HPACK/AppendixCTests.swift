// The examples of RFC 7541 appendix C: each block decoded, and the table that it leaves.

@testable import HTTP2
import Testing

@Suite("The examples of RFC 7541 appendix C are decoded as they say")
struct AppendixCTests {
    private let authority = PlainField(":authority", "www.example.com")
    private let noCache = PlainField("cache-control", "no-cache")
    private let custom = PlainField("custom-key", "custom-value")

    @Test("C.1: integers")
    func integers() throws {
        #expect(try Self.integer("0a", prefixBits: 5) == 10)
        #expect(try Self.integer("1f9a0a", prefixBits: 5) == 1337)
        #expect(try Self.integer("2a", prefixBits: 8) == 42)
        #expect(Self.written(10, prefixBits: 5) == octets("0a"))
        #expect(Self.written(1337, prefixBits: 5) == octets("1f9a0a"))
        #expect(Self.written(42, prefixBits: 8) == octets("2a"))
    }

    private static func integer(_ digits: String, prefixBits: Int) throws -> Int {
        let block = octets(digits)
        var offset = 0
        let value = try HPACKInteger.read(block.span, at: &offset, prefixBits: prefixBits)
        #expect(offset == block.count)
        return value
    }

    private static func written(_ value: Int, prefixBits: Int) -> [UInt8] {
        var block: [UInt8] = []
        HPACKInteger.append(value, pattern: 0, prefixBits: prefixBits, to: &block)
        return block
    }

    @Test("C.2: each kind of a field")
    func kinds() throws {
        var indexing = Decoding()
        let first = PlainField("custom-key", "custom-header")
        #expect(try indexing.decode(octets("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572")) == [first])
        #expect(indexing.table == [first] && indexing.decoder.tableBytes == 55)

        var others = Decoding()
        #expect(try others.decode(octets("040c 2f73 616d 706c 652f 7061 7468")) == [PlainField(":path", "/sample/path")])
        #expect(
            try others.decode(octets("1008 7061 7373 776f 7264 0673 6563 7265 74")) == [
                PlainField("password", "secret", isNeverIndexed: true)
            ])
        #expect(try others.decode(octets("82")) == [PlainField(":method", "GET")])
        #expect(others.table.isEmpty && others.decoder.tableBytes == 0)
    }

    @Test(
        "C.3 and C.4: three requests, plain and in the Huffman code",
        arguments: [
            [
                "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
                "8286 84be 5808 6e6f 2d63 6163 6865",
                "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
            ],
            [
                "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
                "8286 84be 5886 a8eb 1064 9cbf",
                "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
            ],
        ])
    func requests(_ blocks: [String]) throws {
        var decoding = Decoding()
        let beginning = [PlainField(":method", "GET"), PlainField(":scheme", "http"), PlainField(":path", "/")]
        #expect(try decoding.decode(octets(blocks[0])) == beginning + [authority])
        #expect(decoding.table == [authority] && decoding.decoder.tableBytes == 57)
        #expect(try decoding.decode(octets(blocks[1])) == beginning + [authority, noCache])
        #expect(decoding.table == [noCache, authority] && decoding.decoder.tableBytes == 110)
        #expect(
            try decoding.decode(octets(blocks[2])) == [
                PlainField(":method", "GET"), PlainField(":scheme", "https"), PlainField(":path", "/index.html"), authority, custom,
            ])
        #expect(decoding.table == [custom, noCache, authority] && decoding.decoder.tableBytes == 164)
    }

    @Test(
        "C.5 and C.6: three responses with evictions from a table of 256 bytes, plain and in the Huffman code",
        arguments: [
            [
                """
                4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768
                7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d
                """,
                "4803 3330 37c1 c0bf",
                """
                88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153
                444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
                3d31
                """,
            ],
            [
                """
                4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8
                e9ae 82ae 43d3
                """,
                "4883 640e ffc1 c0bf",
                """
                88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b
                3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07
                """,
            ],
        ])
    func responses(_ blocks: [String]) throws {
        let found = PlainField(":status", "302")
        let moved = PlainField(":status", "307")
        let isPrivate = PlainField("cache-control", "private")
        let date = PlainField("date", "Mon, 21 Oct 2013 20:13:21 GMT")
        let later = PlainField("date", "Mon, 21 Oct 2013 20:13:22 GMT")
        let location = PlainField("location", "https://www.example.com")
        let encoding = PlainField("content-encoding", "gzip")
        let cookie = PlainField("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1")

        var decoding = Decoding(tableBytes: 256)
        #expect(try decoding.decode(octets(blocks[0])) == [found, isPrivate, date, location])
        #expect(decoding.table == [location, date, isPrivate, found] && decoding.decoder.tableBytes == 222)
        #expect(try decoding.decode(octets(blocks[1])) == [moved, isPrivate, date, location])
        #expect(decoding.table == [moved, location, date, isPrivate] && decoding.decoder.tableBytes == 222)
        #expect(
            try decoding.decode(octets(blocks[2])) == [
                PlainField(":status", "200"), isPrivate, later, location, encoding, cookie,
            ])
        #expect(decoding.table == [cookie, encoding, later] && decoding.decoder.tableBytes == 215)
    }
}

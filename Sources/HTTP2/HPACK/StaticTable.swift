// The static table (RFC 7541 appendix A): 61 fields that both sides know from the start.
//
// Invariant: positions count from 1, as in the standard, and a name is found at its first position.

import Bytes

/// The static table.
enum StaticTable {
    /// How many entries there are: the dynamic table begins behind them.
    static let count = 61

    /// The entry at an index from 1 to 61.
    static func entry(at index: Int) -> (name: StaticString, value: StaticString) { entries[index - 1] }

    private static let entries: [(name: StaticString, value: StaticString)] = [
        (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"), (":scheme", "http"),
        (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"), (":status", "304"), (":status", "400"),
        (":status", "404"), (":status", "500"), ("accept-charset", ""), ("accept-encoding", "gzip, deflate"),
        ("accept-language", ""), ("accept-ranges", ""), ("accept", ""), ("access-control-allow-origin", ""), ("age", ""),
        ("allow", ""), ("authorization", ""), ("cache-control", ""), ("content-disposition", ""), ("content-encoding", ""),
        ("content-language", ""), ("content-length", ""), ("content-location", ""), ("content-range", ""), ("content-type", ""),
        ("cookie", ""), ("date", ""), ("etag", ""), ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""),
        ("if-modified-since", ""), ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""), ("last-modified", ""),
        ("link", ""), ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""),
        ("range", ""), ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""),
        ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""),
        ("www-authenticate", ""),
    ]

    /// The first index of that regular field name in any case of letters; nil if the table does not hold it.
    static func index(ofName name: Span<UInt8>) -> Int? {
        guard name.count >= 2 else { return nil }
        let candidate = Int(candidates[place(count: name.count, first: name[0], lastButOne: name[name.count - 2])])
        guard candidate > 0, equalsIgnoringCase(name, 0..<name.count, entries[candidate - 1].name) else { return nil }
        return candidate
    }

    /// The place of a name among the candidates. A search found factors for which no two names of the table share a place.
    @inline(__always)
    private static func place(count: Int, first: UInt8, lastButOne: UInt8) -> Int {
        (count &+ 2 &* Int(lowercased(first)) &+ 70 &* Int(lowercased(lastButOne))) & 255
    }

    /// The index of the only name that can be at that place; 0 for none. Pseudo-fields are left out.
    private static let candidates: InlineArray<256, UInt8> = {
        var candidates = InlineArray<256, UInt8>(repeating: 0)
        for index in (1...count).reversed() {
            let name = entries[index - 1].name
            let length = name.utf8CodeUnitCount
            guard name.utf8Start[0] != 0x3A else { continue }
            candidates[place(count: length, first: name.utf8Start[0], lastButOne: name.utf8Start[length - 2])] = UInt8(index)
        }
        return candidates
    }()
}

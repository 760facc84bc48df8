// Integers with a prefix (RFC 7541 section 5.1).

/// Integers of field blocks.
enum HPACKInteger {
    /// Reads an integer whose prefix are the lowest bits of the octet at `offset`, which moves behind it. Superfluous octets are legal
    /// up to the bound: five behind the prefix.
    @inline(__always)
    static func read(_ block: Span<UInt8>, at offset: inout Int, prefixBits: Int) throws(HPACKError) -> Int {
        let mask = 1 << prefixBits - 1
        let prefix = Int(block[offset]) & mask
        offset += 1
        return prefix < mask ? prefix : try readRest(block, at: &offset, prefix: prefix)
    }

    private static func readRest(_ block: Span<UInt8>, at offset: inout Int, prefix: Int) throws(HPACKError) -> Int {
        var value = prefix
        for shift in stride(from: 0, through: 28, by: 7) {
            guard offset < block.count else { throw .truncated }
            let octet = Int(block[offset])
            offset += 1
            value += (octet & 0x7F) << shift
            guard octet & 0x80 == 0 else { continue }
            guard value <= Int(Int32.max) else { break }
            return value
        }
        throw .integerTooLarge
    }

    /// Appends an integer behind the pattern of its first octet.
    static func append(_ value: Int, pattern: UInt8, prefixBits: Int, to block: inout [UInt8]) {
        precondition(value >= 0)
        let mask = 1 << prefixBits - 1
        guard value >= mask else { return block.append(pattern | UInt8(value)) }
        block.append(pattern | UInt8(mask))
        var rest = value - mask
        while rest >= 0x80 {
            block.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        block.append(UInt8(rest))
    }
}

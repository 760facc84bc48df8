// The Huffman code of strings (RFC 7541 appendix B). The code is canonical: the lengths alone give all codes.
//
// Invariant: an accepted text has exactly one reading, and its padding is the beginning of EOS, shorter than an octet.

/// The code of appendix B.
enum HuffmanCode {
    /// How many bits each symbol's code has; the last one is EOS.
    static let lengths: [UInt8] = [
        13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
        6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
        13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
        15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
        20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
        22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
        26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
        20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
        30,
    ]

    /// The symbol that ends no text; a text that holds it is wrong.
    private static let endOfString = 256
    private static let longestCode = 30

    /// For each octet: the symbol whose code of at most 8 bits it begins with, and the code's length above it; 0 where the code is longer.
    private static let shortCodes: InlineArray<256, UInt16> = {
        var table = InlineArray<256, UInt16>(repeating: 0)
        for length in 5...8 {
            for (place, symbol) in symbols[length].enumerated() {
                let first = Int(firstCodes[length] >> 24) + place << (8 - length)
                for octet in first..<first + 1 << (8 - length) { table[octet] = UInt16(length) << 8 | UInt16(symbol) }
            }
        }
        return table
    }()

    /// The symbols of each length, in the order of their codes.
    private static let symbols: [[Int]] = (0...longestCode).map { length in lengths.indices.filter { lengths[$0] == length } }

    /// The first code of each length, at the upper end of 32 bits.
    private static let firstCodes: [UInt32] = {
        var next: UInt32 = 0
        return symbols.enumerated().map { length, symbols in
            // The last code ends where the numbers do.
            defer { next &+= UInt32(symbols.count) << UInt32(32 - length) }
            return next
        }
    }()

    /// Decodes the text in the range of the block, and appends it. What was appended before an error is to be dropped.
    static func decode(_ block: Span<UInt8>, _ range: Range<Int>, to output: inout [UInt8]) throws(HPACKError) {
        // The shortest code has five bits.
        output.reserveCapacity(output.count + range.count * 8 / 5)
        var index = range.lowerBound
        // The bits that are not decoded yet, at the upper end; zeros behind them.
        var bits: UInt64 = 0
        var count = 0
        while true {
            while count <= 56, index < range.upperBound {
                bits |= UInt64(block[index]) << UInt64(56 - count)
                count += 8
                index += 1
            }
            let short = shortCodes[Int(bits >> 56)]
            var length = Int(short >> 8)
            var symbol = Int(short & 0xFF)
            if short == 0 { (symbol, length) = longCode(UInt32(bits >> 32)) }
            guard length <= count else { break }
            guard symbol != endOfString else { throw .invalidHuffmanText }
            output.append(UInt8(symbol))
            bits <<= UInt64(length)
            count -= length
        }
        // No code consists of at most seven ones, so the padding is never taken for a symbol.
        guard count < 8, bits == ~(UInt64.max >> UInt64(count)) else { throw .invalidHuffmanText }
    }

    /// The symbol whose code of more than 8 bits these bits begin with, and the code's length.
    private static func longCode(_ bits: UInt32) -> (symbol: Int, length: Int) {
        var length = 10
        while length < longestCode, bits >= firstCodes[length + 1] { length += 1 }
        return (symbols[length][Int((bits - firstCodes[length]) >> UInt32(32 - length))], length)
    }
}

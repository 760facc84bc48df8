// An encoder that uses everything that RFC 7541 allows, by chance: both tables, all kinds of literals, the Huffman code, names by index,
// changes of the table's size. It keeps a table of its own, as simply as possible.

import TestSupport

@testable import HTTP2

/// A field as bytes.
struct RawField: Equatable {
    var name: [UInt8]
    var value: [UInt8]
    var isNeverIndexed = false

    init(_ name: [UInt8], _ value: [UInt8], isNeverIndexed: Bool = false) {
        self.name = name
        self.value = value
        self.isNeverIndexed = isNeverIndexed
    }

    init(_ name: String, _ value: String) { self.init(Array(name.utf8), Array(value.utf8)) }

    var size: Int { name.count + value.count + 32 }
}

extension DecodedFields {
    var raw: [RawField] { fields.map { RawField(Array(bytes[$0.name]), Array(bytes[$0.value]), isNeverIndexed: $0.isNeverIndexed) } }
}

extension HuffmanCode {
    /// The code of each symbol, made from the lengths as appendix B describes it: in the order of length, then of symbol.
    static let codes: [(bits: UInt32, length: Int)] = {
        var codes = [(bits: UInt32, length: Int)](repeating: (0, 0), count: lengths.count)
        var next: UInt32 = 0
        var lengthBefore = 0
        for symbol in lengths.indices.sorted(by: { (lengths[$0], $0) < (lengths[$1], $1) }) {
            let length = Int(lengths[symbol])
            next <<= UInt32(length - lengthBefore)
            codes[symbol] = (next, length)
            next += 1
            lengthBefore = length
        }
        return codes
    }()

    /// The text of these symbols, with the rest of the last octet filled with this bit.
    static func encode(_ symbols: [Int], padding: Bool = true) -> [UInt8] {
        var bits: [Bool] = []
        for symbol in symbols {
            let (code, length) = codes[symbol]
            for bit in (0..<length).reversed() { bits.append(code >> UInt32(bit) & 1 == 1) }
        }
        while bits.count % 8 != 0 { bits.append(padding) }
        return stride(from: 0, to: bits.count, by: 8).map { start in
            bits[start..<start + 8].reduce(0) { $0 << 1 | ($1 ? 1 : 0) }
        }
    }
}

/// The encoder.
struct ReferenceEncoder {
    private(set) var table: [RawField] = []
    private(set) var maximumBytes = 4_096
    private static let staticTable = (1...StaticTable.count).map { index in
        let entry = StaticTable.entry(at: index)
        return RawField(entry.name.description, entry.value.description)
    }

    private(set) var tableBytes = 0

    static func string(_ text: [UInt8], isHuffman: Bool) -> [UInt8] {
        let content = isHuffman ? HuffmanCode.encode(text.map(Int.init)) : text
        var block: [UInt8] = []
        HPACKInteger.append(content.count, pattern: isHuffman ? 0x80 : 0, prefixBits: 7, to: &block)
        return block + content
    }

    mutating func resize(to bytes: Int) -> [UInt8] {
        maximumBytes = bytes
        evict()
        var block: [UInt8] = []
        HPACKInteger.append(bytes, pattern: 0x20, prefixBits: 5, to: &block)
        return block
    }

    private mutating func evict() {
        while tableBytes > maximumBytes { tableBytes -= table.removeLast().size }
    }

    /// One field in one of the forms that are possible for it. The field comes back as the decoder has to see it.
    mutating func encode(_ field: RawField, by chance: inout SeededGenerator) -> (block: [UInt8], field: RawField) {
        var block: [UInt8] = []
        let all = Self.staticTable + table
        var field = field
        field.isNeverIndexed = false
        let same = all.indices.filter { all[$0] == field }
        if !same.isEmpty, !chance.oneIn(4) {
            HPACKInteger.append(chance.pick(same) + 1, pattern: 0x80, prefixBits: 7, to: &block)
            return (block, field)
        }
        let names = all.indices.filter { all[$0].name == field.name }
        let index = names.isEmpty || chance.oneIn(3) ? 0 : chance.pick(names) + 1
        let kind = chance.below(4)
        switch kind {
        case 0: HPACKInteger.append(index, pattern: 0, prefixBits: 4, to: &block)
        case 1: HPACKInteger.append(index, pattern: 0x10, prefixBits: 4, to: &block)
        default: HPACKInteger.append(index, pattern: 0x40, prefixBits: 6, to: &block)
        }
        if index == 0 { block += Self.string(field.name, isHuffman: chance.oneIn(2)) }
        block += Self.string(field.value, isHuffman: chance.oneIn(2))
        if kind >= 2 {
            table.insert(field, at: 0)
            tableBytes += field.size
            evict()
        }
        field.isNeverIndexed = kind == 1
        return (block, field)
    }
}

// Field blocks decoded (RFC 7541 section 6). Whether the fields make a message is not looked at here.
//
// Invariant: after a block that is too large, and after one of a stream that was refused, the table is the same as the peer's. After an
// error it is not, and the connection has to end.

/// The decoder of one connection, with the table that all its blocks share.
package struct HPACKDecoder: ~Copyable {
    private var table: DynamicTable
    private let announcedBytes: Int
    private let limits: DecodedFieldLimits

    /// A decoder with an empty table, which owns no memory. `tableBytes` is what our SETTINGS announce as HEADER_TABLE_SIZE. Clients
    /// assume 4,096 until they have read them, so a smaller number would refuse blocks that are correct.
    package init(tableBytes: Int = 4_096, limits: DecodedFieldLimits = DecodedFieldLimits()) {
        precondition(tableBytes >= 0 && tableBytes <= 1 << 20)
        table = DynamicTable(maximumBytes: tableBytes)
        announcedBytes = tableBytes
        self.limits = limits
    }

    /// The names and values in the table, the newest first. For tests.
    package var tableContents: [(name: [UInt8], value: [UInt8])] {
        (0..<table.count).map { index in
            var bytes: [UInt8] = []
            table.appendNameAndValue(at: index, to: &bytes)
            let nameCount = table.counts(at: index).name
            return (Array(bytes[..<nameCount]), Array(bytes[nameCount...]))
        }
    }

    /// The table's size as the standard counts it (section 4.1). For tests.
    package var tableBytes: Int { table.bytes }

    /// Decodes one whole block into the fields, which are emptied first.
    /// - Throws: what is wrong with the block; the connection has to end.
    package mutating func decode(_ block: Span<UInt8>, into fields: inout DecodedFields) throws(HPACKError) {
        fields.removeAll()
        var offset = 0
        var mayResize = true
        while offset < block.count {
            let octet = block[offset]
            if octet & 0x80 != 0 {
                try addEntry(at: HPACKInteger.read(block, at: &offset, prefixBits: 7), to: &fields)
            } else if octet & 0x40 != 0 {
                try addLiteral(block, at: &offset, indexBits: 6, isIndexed: true, isNeverIndexed: false, to: &fields)
            } else if octet & 0x20 == 0 {
                try addLiteral(block, at: &offset, indexBits: 4, isIndexed: false, isNeverIndexed: octet & 0x10 != 0, to: &fields)
            } else {
                guard mayResize else { throw .misplacedTableSize }
                let bytes = try HPACKInteger.read(block, at: &offset, prefixBits: 5)
                guard bytes <= announcedBytes else { throw .tableTooLarge }
                table.resize(to: bytes)
                continue
            }
            mayResize = false
        }
    }

    /// Indexed field (section 6.1).
    private func addEntry(at index: Int, to fields: inout DecodedFields) throws(HPACKError) {
        let counts = try counts(at: index)
        guard try fields.admit(nameCount: counts.name, valueCount: counts.value, limits) else { return }
        let start = fields.bytes.count
        if index > StaticTable.count {
            table.appendNameAndValue(at: index - StaticTable.count - 1, to: &fields.bytes)
        } else {
            let entry = StaticTable.entry(at: index)
            append(entry.name, to: &fields.bytes)
            append(entry.value, to: &fields.bytes)
        }
        fields.add(DecodedField(start: start, nameCount: counts.name, valueCount: counts.value, isNeverIndexed: false))
    }

    /// Literals with an indexed or a new name (section 6.2).
    private mutating func addLiteral(
        _ block: Span<UInt8>, at offset: inout Int, indexBits: Int, isIndexed: Bool, isNeverIndexed: Bool, to fields: inout DecodedFields
    ) throws(HPACKError) {
        let start = fields.bytes.count
        let index = try HPACKInteger.read(block, at: &offset, prefixBits: indexBits)
        if index == 0 {
            try appendString(block, at: &offset, to: &fields.bytes)
        } else {
            try appendName(at: index, to: &fields.bytes)
        }
        let nameCount = fields.bytes.count - start
        try appendString(block, at: &offset, to: &fields.bytes)
        // Only then, because the new entry may evict the one that gave the name (section 4.4).
        if isIndexed { table.insert(fields.bytes.span.extracting(start...), nameCount: nameCount) }
        try fields.addAppended(from: start, nameCount: nameCount, isNeverIndexed: isNeverIndexed, limits)
    }

    private func counts(at index: Int) throws(HPACKError) -> (name: Int, value: Int) {
        guard index > 0, index <= StaticTable.count + table.count else { throw .invalidIndex }
        if index > StaticTable.count { return table.counts(at: index - StaticTable.count - 1) }
        let entry = StaticTable.entry(at: index)
        return (entry.name.utf8CodeUnitCount, entry.value.utf8CodeUnitCount)
    }

    private func appendName(at index: Int, to bytes: inout [UInt8]) throws(HPACKError) {
        _ = try counts(at: index)
        if index > StaticTable.count {
            table.appendName(at: index - StaticTable.count - 1, to: &bytes)
        } else {
            append(StaticTable.entry(at: index).name, to: &bytes)
        }
    }

    private func append(_ text: StaticString, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// A string, plain or in the Huffman code (section 5.2).
    private func appendString(_ block: Span<UInt8>, at offset: inout Int, to bytes: inout [UInt8]) throws(HPACKError) {
        guard offset < block.count else { throw .truncated }
        let isHuffman = block[offset] & 0x80 != 0
        let count = try HPACKInteger.read(block, at: &offset, prefixBits: 7)
        guard count <= block.count - offset else { throw .truncated }
        let text = offset..<(offset + count)
        offset += count
        if isHuffman {
            try HuffmanCode.decode(block, text, to: &bytes)
        } else {
            block.extracting(text).withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
        }
    }
}

// Field blocks encoded without a state (RFC 7541): static table and literals, no dynamic table, no Huffman code. A connection sends few
// response heads, and they live long, so a table for each connection would cost more than it spares.
//
// Invariant: what is written never changes the peer's dynamic table, except that it is told once that the table stays empty.

import Bytes

/// The encoder.
package enum HPACKEncoder {
    /// A block that begins with this octet says that the dynamic table has no room from now on (section 6.3). The first block of a
    /// connection begins with it. Then no later HEADER_TABLE_SIZE of the peer's asks for another update (section 4.2).
    package static let emptyTableUpdate: UInt8 = 0x20

    /// Appends `:status`: one octet for the seven codes of the static table.
    package static func appendStatus(_ status: Int, to block: inout [UInt8]) {
        precondition(status >= 100 && status <= 999, "a status has three digits")
        switch status {
        case 200: block.append(0x88)
        case 204: block.append(0x89)
        case 206: block.append(0x8A)
        case 304: block.append(0x8B)
        case 400: block.append(0x8C)
        case 404: block.append(0x8D)
        case 500: block.append(0x8E)
        default:
            block += [0x08, 0x03] + [status / 100, status / 10 % 10, status % 10].map { UInt8(0x30 + $0) }
        }
    }

    /// Appends a field as a literal that no table takes in. Letters of the name are written in lower case. Cookies and credentials are
    /// marked as never to be indexed by any hop (section 7.1.3).
    package static func appendField(lowercasing name: Span<UInt8>, value: Span<UInt8>, to block: inout [UInt8]) {
        let index = StaticTable.index(ofName: name)
        let pattern: UInt8 = index.map(isSecret) == true ? 0x10 : 0
        HPACKInteger.append(index ?? 0, pattern: pattern, prefixBits: 4, to: &block)
        if index == nil {
            HPACKInteger.append(name.count, pattern: 0, prefixBits: 7, to: &block)
            for position in name.indices { block.append(lowercased(name[position])) }
        }
        HPACKInteger.append(value.count, pattern: 0, prefixBits: 7, to: &block)
        value.withUnsafeBufferPointer { block.append(contentsOf: $0) }
    }

    /// Whether the name at that index of the static table is `authorization`, `cookie`, `proxy-authorization` or `set-cookie`.
    private static func isSecret(_ index: Int) -> Bool { index == 55 || index == 32 || index == 23 || index == 49 }

    /// Appends the pseudo-fields of a GET (RFC 9113 section 8.3.1). The path is a valid one.
    static func appendGet(isSecured: Bool, authority: Span<UInt8>, path: Span<UInt8>, to block: inout [UInt8]) {
        block += [0x82, isSecured ? 0x87 : 0x86]
        appendValue(authority, ofIndex: 1, to: &block)
        appendValue(path, ofIndex: 4, to: &block)
    }

    private static func appendValue(_ value: Span<UInt8>, ofIndex index: UInt8, to block: inout [UInt8]) {
        block.append(index)
        HPACKInteger.append(value.count, pattern: 0, prefixBits: 7, to: &block)
        value.withUnsafeBufferPointer { block.append(contentsOf: $0) }
    }
}

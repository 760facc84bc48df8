// What can be wrong with a field block. No case holds a byte of the peer.

/// A field block that cannot be decoded (RFC 7541 section 2.3.3 and others). Decoder and encoder disagree about the table from then on, so
/// each case ends the connection: with COMPRESSION_ERROR, and `tooManyFields` with ENHANCE_YOUR_CALM.
package enum HPACKError: UInt8, Error, Equatable, Sendable, CaseIterable {
    /// Index 0, or an index beyond both tables (section 2.3.3).
    case invalidIndex
    /// An integer of more than five octets behind its prefix, or above 2^31-1 (section 5.1).
    case integerTooLarge
    /// An integer or a string that the block's end cuts (sections 5.1 and 5.2).
    case truncated
    /// A Huffman text that holds EOS, whose padding has more than 7 bits, or whose padding is not all ones (section 5.2).
    case invalidHuffmanText
    /// A table size above the announced one (section 6.3).
    case tableTooLarge
    /// A table size update behind the first field (section 4.2).
    case misplacedTableSize
    /// More fields in one block than `DecodedFieldLimits.hardMaximumFields`.
    case tooManyFields

    /// A short phrase for logs.
    package var reason: StaticString {
        switch self {
        case .invalidIndex: "HPACK index beyond the tables"
        case .integerTooLarge: "HPACK integer too large"
        case .truncated: "field block ended early"
        case .invalidHuffmanText: "invalid Huffman text"
        case .tableTooLarge: "HPACK table size above the announced one"
        case .misplacedTableSize: "HPACK table size behind a field"
        case .tooManyFields: "far too many fields"
        }
    }
}

// What the tests of field blocks share: blocks written as hexadecimal digits, and decoded fields as texts.

import HTTP2
import Testing

/// A field as texts.
struct PlainField: Equatable, CustomStringConvertible {
    let name: String
    let value: String
    var isNeverIndexed = false

    init(_ name: String, _ value: String, isNeverIndexed: Bool = false) {
        self.name = name
        self.value = value
        self.isNeverIndexed = isNeverIndexed
    }

    var description: String { "\(name): \(value)\(isNeverIndexed ? " (never indexed)" : "")" }
}

/// The octets of hexadecimal digits; blanks are skipped.
func octets(_ hexadecimal: String) -> [UInt8] {
    let digits = hexadecimal.filter { !$0.isWhitespace }.map { UInt8($0.hexDigitValue!) }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

func text(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

extension DecodedFields {
    var plain: [PlainField] {
        fields.map { PlainField(text(bytes[$0.name]), text(bytes[$0.value]), isNeverIndexed: $0.isNeverIndexed) }
    }
}

/// A decoder and the fields of its last block.
struct Decoding: ~Copyable {
    var decoder: HPACKDecoder
    var fields = DecodedFields()

    init(tableBytes: Int = 4_096, limits: DecodedFieldLimits = DecodedFieldLimits()) {
        decoder = HPACKDecoder(tableBytes: tableBytes, limits: limits)
    }

    /// The fields of that block.
    mutating func decode(_ block: [UInt8]) throws(HPACKError) -> [PlainField] {
        try decoder.decode(block.span, into: &fields)
        return fields.plain
    }

    /// The error of that block, or nil.
    mutating func error(of block: [UInt8]) -> HPACKError? {
        do throws(HPACKError) {
            _ = try decode(block)
            return nil
        } catch {
            return error
        }
    }

    var table: [PlainField] { decoder.tableContents.map { PlainField(text($0.name), text($0.value)) } }
}

// Any bytes as the inside of a JSON string. UTF-8 is checked here, because the bytes need not be UTF-8 and no `String` is made.
// Invariant: the output is valid UTF-8, without `"`, without a lone `\`, without control or line-separating characters, and without
// characters that reorder text on a screen.

import Bytes

/// Appends text, escaped for a JSON string. Each maximal invalid part becomes one U+FFFD (Unicode 3.9, as in WHATWG).
func appendEscaped(_ text: Span<UInt8>, to bytes: inout some LineBytes) {
    var index = 0
    while index < text.count {
        let plainEnd = endOfPlainText(text, from: index)
        if plainEnd > index {
            text.extracting(index..<plainEnd).withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
            index = plainEnd
            continue
        }
        let byte = text[index]
        if byte < 0x80 {
            appendEscapedASCII(byte, to: &bytes)
            index += 1
            continue
        }
        let (length, scalar) = decodeScalar(text, at: index)
        if let scalar {
            if isUnsafeToShow(scalar) {
                appendUnicodeEscape(scalar, to: &bytes)
            } else {
                for offset in 0..<length { bytes.append(text[index + offset]) }
            }
        } else {
            bytes.append(0xEF)
            bytes.append(0xBF)
            bytes.append(0xBD)
        }
        index += length
    }
}

/// Appends text, escaped for a JSON string.
package func appendEscaped(_ text: String, to bytes: inout [UInt8]) {
    var text = text
    text.withUTF8 { appendEscaped($0.span, to: &bytes) }
}

/// Where the text that begins there ends to be letters that stand for themselves. Most texts have no others.
private func endOfPlainText(_ text: Span<UInt8>, from start: Int) -> Int {
    var end = start
    while text.count &- end >= 8 {
        let word = ByteWord.load(text, at: end)
        let others =
            (((word &- ByteWord.repeated(0x20)) & ~word) | word) & ByteWord.highestBits
            | ByteWord.zeroBytes(word ^ ByteWord.repeated(0x7F)) | ByteWord.zeroBytes(word ^ ByteWord.repeated(UInt8(ascii: "\"")))
            | ByteWord.zeroBytes(word ^ ByteWord.repeated(UInt8(ascii: "\\")))
        if others != 0 { return end &+ (others.trailingZeroBitCount >> 3) }
        end &+= 8
    }
    while end < text.count {
        let byte = text[end]
        guard byte >= 0x20, byte < 0x7F, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") else { break }
        end += 1
    }
    return end
}

private func appendEscapedASCII(_ byte: UInt8, to bytes: inout some LineBytes) {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(byte)
    case UInt8(ascii: "\n"):
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(UInt8(ascii: "n"))
    case UInt8(ascii: "\r"):
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(UInt8(ascii: "r"))
    case UInt8(ascii: "\t"):
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(UInt8(ascii: "t"))
    case 0..<0x20, 0x7F:
        appendUnicodeEscape(UInt32(byte), to: &bytes)
    default:
        bytes.append(byte)
    }
}

/// All of these lie in the Basic Multilingual Plane, so one escape is enough.
private func appendUnicodeEscape(_ scalar: UInt32, to bytes: inout some LineBytes) {
    bytes.append(UInt8(ascii: "\\"))
    bytes.append(UInt8(ascii: "u"))
    appendHexadecimal(UInt64(scalar), digits: 4, to: &bytes)
}

/// C1 controls (U+009B begins a terminal sequence), line and paragraph separators, and marks that reorder text.
func isUnsafeToShow(_ scalar: UInt32) -> Bool {
    switch scalar {
    case 0x80...0x9F, 0x061C, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: true
    default: false
    }
}

/// The scalar value at `index` and its length in bytes; nil with the length of the maximal invalid part otherwise.
/// The bounds of the second byte are those of table 3-7 of the Unicode Standard.
func decodeScalar(_ text: Span<UInt8>, at index: Int) -> (length: Int, scalar: UInt32?) {
    let lead = text[index]
    let count: Int
    var lowest: UInt8 = 0x80
    var highest: UInt8 = 0xBF
    var scalar: UInt32
    switch lead {
    case 0xC2...0xDF:
        count = 2
        scalar = UInt32(lead & 0x1F)
    case 0xE0...0xEF:
        count = 3
        scalar = UInt32(lead & 0x0F)
        if lead == 0xE0 { lowest = 0xA0 }
        if lead == 0xED { highest = 0x9F }
    case 0xF0...0xF4:
        count = 4
        scalar = UInt32(lead & 0x07)
        if lead == 0xF0 { lowest = 0x90 }
        if lead == 0xF4 { highest = 0x8F }
    default:
        return (1, nil)
    }
    for offset in 1..<count {
        guard index + offset < text.count else { return (offset, nil) }
        let byte = text[index + offset]
        guard byte >= lowest, byte <= highest else { return (offset, nil) }
        scalar = scalar << 6 | UInt32(byte & 0x3F)
        lowest = 0x80
        highest = 0xBF
    }
    return (count, scalar)
}

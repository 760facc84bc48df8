// What may not stand in a field that tells a server who somebody is, although a field could hold it.

/// Finds control characters.
package enum ControlCharacters {
    /// Whether a UTF-8 text holds one: U+0000 to U+001F, U+007F, or U+0080 to U+009F, which begin with C2.
    package static func areHeld(by text: [UInt8]) -> Bool {
        text.indices.contains { index in
            let byte = text[index]
            return byte < 0x20 || byte == 0x7F || byte & 0xE0 == 0x80 && index > 0 && text[index - 1] == 0xC2
        }
    }
}

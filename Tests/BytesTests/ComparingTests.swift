// Comparing ranges with known texts, and taking blanks off.

import Bytes
import Testing

@Suite("Comparing") struct ComparingTests {
    @Test("a range equals a text only byte for byte, with the same case and length")
    func exact() {
        let bytes = Array("xGETx".utf8)
        #expect(equals(bytes.span, 1..<4, "GET") && equals(bytes.span, 1..<4, Array("GET".utf8)))
        for (range, text) in [(1..<4, "get" as StaticString), (1..<3, "GET"), (1..<5, "GET"), (0..<3, "GET"), (1..<1, "G")] {
            #expect(!equals(bytes.span, range, text) && !equals(bytes.span, range, Array(text.description.utf8)))
        }
        #expect(equals(bytes.span, 2..<2, "") && equals(bytes.span, 2..<2, []))
    }

    @Test(
        "blanks and tabs are taken off at both ends, and nothing else",
        arguments: [("", ""), (" \t ", ""), ("a", "a"), ("\ta b ", "a b"), ("\r a\u{A0}", "\r a\u{A0}"), (" \n", "\n")])
    func trims(_ text: String, _ expected: String) {
        // What stands around the range is not looked at.
        let bytes = Array("x\(text) y".utf8)
        let range = trimmingBlanks(bytes.span, 1..<(1 + text.utf8.count))
        #expect(String(decoding: bytes[range], as: UTF8.self) == expected)
    }
}

// A token that a server sends back is not in a recording, however the body is split.

import TestSupport
import Testing

@testable import Credentials

@Suite("A token in a body")
struct TokenMaskTests {
    private let token = Token(copying: Array("abcab/abcabd+1".utf8).span)

    private func masked(_ pieces: [[UInt8]]) throws -> String {
        var mask = try #require(TokenMask(of: token))
        let out = pieces.flatMap { mask.masked($0.span) } + mask.finish()
        return String(decoding: out, as: UTF8.self)
    }

    @Test(
        "is masked as a whole, in every spelling and wherever the body is split",
        arguments: [
            ("data: abcab/abcabd+1\n\n", "data: **************\n\n"),
            ("xabcababcab/abcabd+1abcab/abcabd+1", "xabcab****************************"),
            ("u=abcab%2Fabcabd%2B1&v", "u=******************&v"),
            ("u=abcab%252fabcabd%25252B1%", "u=************************%"),
            ("%61bcab/abcabd+1", "****************"),
            ("abcab/abcabd+2 %2 %25 %", "abcab/abcabd+2 %2 %25 %"),
            (#"{"token":"abcab\/abcabd+1"}"#, #"{"token":"***************"}"#),
            (#""abcab/abcabd\u002B1","\u0061bcab\u002fabcabd+1","#, #""*******************","************************","#),
            (#""{\"t\":\"abcab\\/abcabd\\u002b1\"}""#, #""{\"t\":\"**********************\"}""#),
            (#""?t=abcab%2Fabcabd\u00252B1&x""#, #""?t=***********************&x""#),
            (#"?j=%22abcab%5C%2Fabcabd%5Cu002b1%22"#, #"?j=%22**************************%22"#),
            (#"abcab\x/abcabd+1 abcab\u2f/abcabd+1 \u00 \u0061 \\ \"#, #"abcab\x/abcabd+1 abcab\u2f/abcabd+1 \u00 \u0061 \\ \"#),
            // What begins an escape does not take the token's own first bytes in.
            ("100%abcab/abcabd+1", "100%**************"), (#"\abcab/abcabd+1"#, #"\**************"#),
        ])
    func everySplit(body: String, expected: String) throws {
        let bytes = Array(body.utf8)
        for split in 0...bytes.count { #expect(try masked([Array(bytes[..<split]), Array(bytes[split...])]) == expected) }
        #expect(try masked(bytes.map { [$0] }) == expected)
    }

    @Test("is masked where the body ends within it, except a beginning that reveals nothing")
    func cut() throws {
        #expect(try masked([Array("data: abcab/a".utf8)]) == "data: *******")
        #expect(try masked([Array("data: abc".utf8)]) == "data: abc")
    }

    @Test("holds back only what may be its beginning")
    func held() throws {
        var mask = try #require(TokenMask(of: token))
        #expect(mask.masked(Array("data: x\n\n".utf8).span).count == 9 && mask.heldCount == 0)
        #expect(mask.masked(Array("data: abca".utf8).span).count == 6 && mask.heldCount == 4)
        #expect(String(decoding: mask.masked(Array("c\n".utf8).span), as: UTF8.self) == "abcac\n")
    }

    @Test("holds back little of a body that is one escape of escapes without an end")
    func endless() throws {
        var mask = try #require(TokenMask(of: token))
        let piece = Array("%".utf8) + (0..<5_000).flatMap { _ in Array("25".utf8) }
        #expect(mask.masked(piece.span).count == piece.count && mask.heldCount == 0)
    }

    @Test("holds back little of escapes of escapes without an end, and reads them in proportion to their length", .timeLimit(.minutes(1)))
    func endlessEscapes() throws {
        for part in [#"\"#, "%", #"\u005c"#, "%5C", #"\u00"#, "%2", #"\u0025"#, #"\u00%5c"#, "%%32%35"] {
            var mask = try #require(TokenMask(of: token))
            let bytes = Array(repeatElement(Array(part.utf8), count: 20_000).joined())
            var count = 0
            for start in stride(from: 0, to: bytes.count, by: 4_096) {
                count += mask.masked(Array(bytes[start..<min(start + 4_096, bytes.count)]).span).count
                #expect(mask.heldCount <= 16 * token.count + longestSpellingBytes)
            }
            #expect(count + mask.finish().count == bytes.count)
        }
    }

    @Test("is found in every spelling, alone: what stands around it is left as it is")
    func everySpelling() throws {
        var generator = SeededGenerator("token spelling")
        for _ in 0..<2_000 {
            var text = token.withBytes { bytes in bytes.indices.map { bytes[$0] } }
            for _ in 0..<generator.number(0...2) { text = generator.pick(Spelling.allCases).spelled(text, by: &generator) }
            let (before, after) = (#"{"x":""#, #"","n":1}\n"#)
            let body = Array(before.utf8) + text + Array(after.utf8)
            let split = generator.number(0...body.count)
            let wanted = before + String(repeating: "*", count: text.count) + after
            #expect(try masked([Array(body[..<split]), Array(body[split...])]) == wanted, "\(String(decoding: text, as: UTF8.self))")
        }
    }

    @Test("is not looked for if it is too short to be told from other text")
    func short() { #expect(TokenMask(of: Token(copying: Array("abcdefg".utf8).span)) == nil) }

    @Test("is never in what comes out, for any body and any pieces")
    func property() throws {
        var generator = SeededGenerator("token mask")
        let parts = [
            "abc", "ab/", "abcab", "%2F", "/abcabd+1", "%", "25", "2", "a", "+1", "abcab/abcabd+1", #"\"#, #"\/"#, #"\u002"#, "b1", "u0061",
        ].map { Array($0.utf8) }
        for _ in 0..<3_000 {
            let body = (0..<generator.number(0...12)).flatMap { _ in generator.pick(parts) }
            var mask = try #require(TokenMask(of: token))
            var out: [UInt8] = []
            var rest = body[...]
            while !rest.isEmpty {
                let count = generator.number(1...min(5, rest.count))
                out += mask.masked(Array(rest.prefix(count)).span)
                rest = rest.dropFirst(count)
            }
            out += mask.finish()
            var traces = try #require(TokenTraces(of: token))
            let isLeft = traces.isLeft(in: out.span)
            let isPlain = String(decoding: out, as: UTF8.self).contains("abcab/abcabd+1")
            #expect(out.count == body.count && !isLeft && !isPlain, "\(String(decoding: body, as: UTF8.self))")
            #expect(zip(body, out).allSatisfy { $0 == $1 || $1 == UInt8(ascii: "*") })
        }
    }
}

/// Texts as URLs and JSON write them.
private enum Spelling: CaseIterable {
    case url, json

    /// A text in this spelling. Some bytes are escaped that need not be.
    func spelled(_ text: [UInt8], by generator: inout SeededGenerator) -> [UInt8] {
        text.flatMap { byte -> [UInt8] in
            let digits = String(Int(byte) + 0x100, radix: 16).dropFirst()
            let isEscaped = generator.oneIn(4)
            switch (self, byte) {
            case (.url, UInt8(ascii: "%")), (.url, UInt8(ascii: "\\")): return Array("%\(digits)".utf8)
            case (.url, _) where isEscaped: return Array("%\(digits)".utf8)
            case (.json, _) where isEscaped: return Array("\\u00\(generator.oneIn(2) ? String(digits) : digits.uppercased())".utf8)
            case (.json, UInt8(ascii: "\\")), (.json, UInt8(ascii: "/")): return [UInt8(ascii: "\\"), byte]
            default: return [byte]
            }
        }
    }
}

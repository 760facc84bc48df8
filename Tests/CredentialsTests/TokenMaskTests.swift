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
        "is masked as a whole, in every encoding and wherever the body is split",
        arguments: [
            ("data: abcab/abcabd+1\n\n", "data: **************\n\n"),
            ("xabcababcab/abcabd+1abcab/abcabd+1", "xabcab****************************"),
            ("u=abcab%2Fabcabd%2B1&v", "u=******************&v"),
            ("u=abcab%252fabcabd%25252B1%", "u=************************%"),
            ("%61bcab/abcabd+1", "****************"),
            ("abcab/abcabd+2 %2 %25 %", "abcab/abcabd+2 %2 %25 %"),
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

    @Test("is not looked for if it is too short to be told from other text")
    func short() { #expect(TokenMask(of: Token(copying: Array("abcdefg".utf8).span)) == nil) }

    @Test("is never in what comes out, for any body and any pieces")
    func property() throws {
        var generator = SeededGenerator("token mask")
        let parts = ["abc", "ab/", "abcab", "%2F", "/abcabd+1", "%", "25", "2", "a", "+1", "abcab/abcabd+1"].map { Array($0.utf8) }
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
            #expect(out.count == body.count && !isLeft, "\(String(decoding: body, as: UTF8.self))")
            #expect(zip(body, out).allSatisfy { $0 == $1 || $1 == UInt8(ascii: "*") })
        }
    }
}

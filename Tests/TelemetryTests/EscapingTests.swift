import Foundation
import Testing

@testable import Telemetry

@Suite("Text in the log")
struct EscapingTests {
    private func escaped(_ bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        appendEscaped(bytes.span, to: &result)
        return result
    }

    private func roundTrip(_ bytes: [UInt8]) throws -> String {
        let json = Array("[\"".utf8) + escaped(bytes) + Array("\"]".utf8)
        return try #require(JSONSerialization.jsonObject(with: Data(json)) as? [String])[0]
    }

    @Test(
        "comes back as it was",
        arguments: [
            "", "plain", "a\"b\\c/d", "\r\n\t\u{0}\u{1}\u{1B}[31m\u{7F}", "\u{85}\u{9B}31m", "a\u{2028}b\u{2029}c",
            "äöü €", "😀𝄞\u{10FFFF}", "\u{202E}evil\u{2066}\u{200F}", "\u{FEFF}x", "\u{FFFD}", "\u{D7FF}\u{E000}",
        ])
    func roundTrips(text: String) throws {
        #expect(Array(try roundTrip(Array(text.utf8)).utf8) == Array(text.utf8))
    }

    @Test("has one replacement character for each maximal invalid part")
    func invalid() throws {
        let vectors: [[UInt8]] = [
            [0xFF], [0x80], [0xC0, 0xAF], [0xE0, 0x80, 0xAF], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82],
            [0xF0, 0x9F, 0x98],
            [0xE2, 0x82, 0x41], [0xF0, 0x9F, 0x22], [0xC3, 0x0A], [0xC3, 0xC3, 0xA4], [0xF5, 0x80],
            [0x61, 0xF1, 0x80, 0x80, 0xE1, 0x80, 0xC2, 0x62],
        ]
        for bytes in vectors { #expect(try roundTrip(bytes) == String(decoding: bytes, as: UTF8.self), "\(bytes)") }
    }

    @Test("escapes every byte that needs it at every place of a long plain text")
    func everyPlace() throws {
        for byte in UInt8.min...UInt8.max {
            for place in 0..<20 {
                var bytes = Array("abcdefghijklmnopqrst".utf8)
                bytes[place] = byte
                let result = escaped(bytes)
                let isPlain = byte >= 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
                #expect((result == bytes) == isPlain)
                #expect(try roundTrip(bytes) == String(decoding: bytes, as: UTF8.self))
            }
        }
    }

    @Test("has no byte that breaks a line or reaches a terminal, and reads back as the standard library decodes it")
    func randomBytes() throws {
        let seed = ProcessInfo.processInfo.environment["HEARTWIRE_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64.max)
        print("HEARTWIRE_SEED=\(seed)")
        var state = seed
        func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 33
        }
        let interesting: [UInt8] = [
            0x00, 0x0A, 0x0D, 0x1B, 0x22, 0x5C, 0x7F, 0x80, 0x9B, 0xA8, 0xBF, 0xC2, 0xC3, 0xE0, 0xE2, 0xED, 0xEF, 0xF0, 0xF4, 0xFF,
        ]
        for _ in 0..<20_000 {
            let bytes = (0..<next() % 12).map { _ in
                next() % 2 == 0 ? interesting[Int(next()) % interesting.count] : UInt8(truncatingIfNeeded: next())
            }
            let result = escaped(bytes)
            #expect(result.allSatisfy { $0 >= 0x20 && $0 != 0x7F }, "seed \(seed): \(bytes)")
            let text = try #require(String(validating: result, as: UTF8.self), "seed \(seed): \(bytes)")
            #expect(!text.unicodeScalars.contains { (0x80...0x9F).contains($0.value) || (0x2028...0x2029).contains($0.value) })
            #expect(Array(try roundTrip(bytes).utf8) == Array(String(decoding: bytes, as: UTF8.self).utf8), "seed \(seed): \(bytes)")
        }
    }
}

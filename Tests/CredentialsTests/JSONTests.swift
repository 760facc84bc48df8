import Foundation
import TestSupport
import Testing

@testable import Credentials

@Suite("JSON that decides about trust")
struct JSONTests {
    private func read(_ text: String, depth: Int = 16, members: Int = 2_000) -> JSONObject? {
        try? JSONObject(reading: Array(text.utf8), limits: JSONLimits(depth: depth, members: members))
    }

    private func error(_ text: [UInt8], depth: Int = 16, members: Int = 2_000) -> JSONError? {
        do {
            _ = try JSONObject(reading: text, limits: JSONLimits(depth: depth, members: members))
            return nil
        } catch { return error }
    }

    private func text(_ bytes: [UInt8]?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

    @Test("its values are found by name, with their escapes replaced")
    func values() throws {
        let object = try #require(
            read(#" {"a":"x\"\\\/\b\f\n\r\té\ud83d\ude00é","b":[1,"y",[],{}],"c":{"d":{"e":true}},"":null,"f":-0.5E-3} "#))
        #expect(text(object["a"]?.string) == "x\"\\/\u{8}\u{C}\n\r\té😀é")
        #expect(object["b"]?.elements?.map(\.kind) == [.number, .string, .array, .object])
        #expect(object["b"]?.strings == nil)
        #expect(object["c"]?.object?["d"]?.object?["e"]?.kind == .boolean)
        #expect(object[""]?.kind == .null)
        #expect(text(object["f"].map { Array($0.written) }) == "-0.5E-3")
        #expect(object["g"] == nil)
        #expect(object["c"]?.string == nil && object["a"]?.elements == nil && object["a"]?.object == nil)
        #expect(read(#"{"a":["x","y"]}"#)?["a"]?.strings?.map { String(decoding: $0, as: UTF8.self) } == ["x", "y"])
        #expect(read("{}") != nil)
    }

    @Test("each fault has its name")
    func errors() {
        let cases: [(String, JSONError)] = [
            ("", .syntax), ("1", .syntax), ("[]", .syntax), ("{", .syntax), ("{\"a\"}", .syntax), ("{\"a\":}", .syntax),
            ("{\"a\":1,}", .syntax),
            ("{,}", .syntax), ("{a:1}", .syntax), ("{\"a\":1 \"b\":2}", .syntax), ("{\"a\":[1,]}", .syntax), ("{\"a\":[1 2]}", .syntax),
            ("{\"a\":-}", .syntax), ("{\"a\":.5}", .syntax), ("{\"a\":1e}", .syntax), ("{\"a\":00}", .syntax), ("{\"a\":tru}", .syntax),
            ("{\"a\":\"", .syntax), ("{\"a\":\"\\", .syntax), ("{\"a\":\"\\\"}", .syntax), ("{\"a\":\"\\u12g4\"}", .syntax),
            ("{}x", .syntax),
            ("{\"a\":1,\"a\":1}", .repeatedMember), ("{\"a\":1,\"\\u0061\":1}", .repeatedMember),
            ("{\"b\":[{\"a\":1,\"a\":1}]}", .repeatedMember),
            ("{\"a\":\"\\ud800\"}", .surrogate), ("{\"\\udfff\":1}", .surrogate), ("{\"a\":\"\\ud800\\u0041\"}", .surrogate),
            ("{\"a\":[[[]]]}", .depth), ("{\"a\":1,\"b\":2,\"c\":{\"d\":1}}", .size), ("\u{FEFF}{}", .encoding),
        ]
        for (text, expected) in cases { #expect(error(Array(text.utf8), depth: 3, members: 3) == expected, "\(text)") }
        #expect(error([0x7B, 0x22, 0xC0, 0x80, 0x22, 0x3A, 0x31, 0x7D]) == .encoding)
        #expect(error(Array("{\"a\":{\"a\":{\"a\":1}}}".utf8), depth: 3, members: 3) == nil)
        for control in UInt8(0)..<0x20 { #expect(error(Array("{\"a\":\"".utf8) + [control] + Array("\"}".utf8)) == .syntax) }
    }

    @Test("a text of 64 KiB takes no time, whatever it is")
    func bounds() {
        let texts = [
            String(repeating: "[", count: 65_536), String(repeating: "{\"a\":", count: 13_000),
            "{\"a\":\"" + String(repeating: "\\u0041", count: 10_900) + "\"}",
            "{" + (0..<7_000).map { "\"\($0)\":0" }.joined(separator: ",") + "}", "{\"a\":" + String(repeating: "9", count: 65_000) + "}",
            "{\"a\":[" + String(repeating: "0,", count: 32_000) + "0]}",
        ]
        for text in texts {
            let took = processorNanoseconds { _ = error(Array(text.utf8)) }
            #expect(took < 500_000_000, "\(text.prefix(16)): \(took)")
        }
    }

    @Test("what Foundation writes is read alike, and what is read is valid JSON for Foundation too")
    func agreement() throws {
        var random = SeededGenerator("JSONTests.agreement")
        func value(_ depth: Int) -> Any {
            switch Int.random(in: 0..<(depth > 0 ? 7 : 5), using: &random) {
            case 0: Int.random(in: -1000...1000, using: &random)
            case 1: Bool.random(using: &random)
            case 2: NSNull()
            case 3: Double.random(in: -1e9...1e9, using: &random)
            case 4: ["", "a", "é", "\u{0}\n\"\\/", "😀", "\u{7F}\u{2028}"].randomElement(using: &random)!
            case 5: (0..<Int.random(in: 0...3, using: &random)).map { _ in value(depth - 1) }
            default: object(depth - 1)
            }
        }
        func object(_ depth: Int) -> [String: Any] {
            var result: [String: Any] = [:]
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                result[["a", "b", "é", "\"", "\u{1}", "😀\\"].randomElement(using: &random)!] = value(depth)
            }
            return result
        }
        for _ in 0..<500 {
            let written = Array(try JSONSerialization.data(withJSONObject: object(4)))
            #expect(error(written) == nil)
            var spoiled = written
            spoiled[Int.random(in: 0..<spoiled.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            // Foundation refuses numbers beyond those of floating point.
            let hasExponent = spoiled.indices.dropLast().contains {
                UInt8(ascii: "0")...UInt8(ascii: "9") ~= spoiled[$0] && spoiled[$0 + 1] | 0x20 == UInt8(ascii: "e")
            }
            if !hasExponent, error(spoiled) == nil {
                #expect(
                    (try? JSONSerialization.jsonObject(with: Data(spoiled))) is [String: Any], "\(String(decoding: spoiled, as: UTF8.self))"
                )
            }
        }
    }

    @Test("a date is read digit by digit, and never one that it is not")
    func dates() throws {
        func date(_ text: String) -> NumericDate? { read("{\"a\":\(text)}")?["a"].flatMap(NumericDate.init) }
        #expect(date("0") == NumericDate(seconds: 0))
        #expect(date("-0e5") == NumericDate(seconds: 0))
        #expect(date("1.7e9") == NumericDate(seconds: 1_700_000_000))
        #expect(date("1700000000.25") == NumericDate(seconds: 1_700_000_000, hasFraction: true))
        #expect(date("1700000000.000") == NumericDate(seconds: 1_700_000_000))
        #expect(date("17000000005e-1") == NumericDate(seconds: 1_700_000_000, hasFraction: true))
        #expect(date("-1.5") == NumericDate(seconds: -2, hasFraction: true))
        #expect(date("-1.5")?.roundedUp == -1)
        #expect(date("1e-300") == NumericDate(seconds: 0, hasFraction: true))
        #expect(date("0." + String(repeating: "0", count: 300) + "12e302") == NumericDate(seconds: 12))
        #expect(date("253402300799") == NumericDate(seconds: 253_402_300_799))
        for text in ["253402300799.1", "253402300800", "1e12", "1e400", "-1e400", "1e99999999999999999999", "true", "\"1\"", "[1]", "null"]
        {
            #expect(date(text) == nil, "\(text)")
        }
    }

    @Test("base64url has one spelling for each sequence of bytes")
    func base64() {
        func decoded(_ text: String) -> [UInt8]? { Base64URL.decode(Array(text.utf8).span) }
        #expect(decoded("") == [])
        #expect(decoded("AA") == [0])
        #expect(decoded("__8") == [255, 255])
        #expect(decoded("-_-_") == [0xFB, 0xFF, 0xBF])
        for text in ["A", "AAAAA", "AB", "AAB", "AA==", "AA=", "A+", "A/", "A A", " AA", "AA\n", "ÄA", "A.", "AA\0"] {
            #expect(decoded(text) == nil, "\(text)")
        }
        var random = SeededGenerator("JSONTests.base64")
        for count in 0..<100 {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            let text = Data(bytes).base64EncodedString().replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
            #expect(decoded(text.replacingOccurrences(of: "=", with: "")) == bytes)
        }
    }
}

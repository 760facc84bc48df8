// Bodies by length, by chunks and by the close, against vectors and against a naive decoder.

import HTTP
import TestSupport
import Testing

@Suite struct BodyDecoderTests {
    private func chunked(_ text: String, closes: Bool = false, sourceLocation: SourceLocation = #_sourceLocation) -> Decoded {
        decodeInEverySplit(Array(text.utf8), .chunked, closes: closes, sourceLocation: sourceLocation)
    }

    @Test("no body ends before its first byte")
    func noBody() throws {
        for framing in [BodyFraming.none, .length(0)] {
            var decoder = BodyDecoder(framing: framing)
            #expect(decoder.isEnded && decoder.remaining == 0)
            #expect(try decoder.next([UInt8]().span, from: 0) == .end(0))
            #expect(try decoder.next([1, 2, 3].span, from: 2) == .end(2))
            try decoder.finish()
        }
    }

    @Test("a body with a length has that many bytes, and what follows does not belong to it")
    func lengths() throws {
        let bytes = Array("helloGET / HTTP/1.1".utf8)
        #expect(decodeInEverySplit(bytes, .length(5)) == Decoded(data: Array("hello".utf8), end: 5, error: nil))
        #expect(
            decodeInEverySplit(Array("hell".utf8), .length(5), closes: true) == Decoded(data: Array("hell".utf8), error: .truncatedBody))
        #expect(decodeInEverySplit(Array("hello".utf8), .length(5), closes: true) == Decoded(data: Array("hello".utf8), end: 5))
        var decoder = BodyDecoder(framing: .length(UInt64.max))
        #expect(try decoder.next([1, 2, 3].span, from: 1) == .data(1..<3))
        #expect(decoder.remaining == UInt64.max - 2 && !decoder.isEnded)
        #expect(try decoder.next([1].span, from: 1) == .needMore)
    }

    @Test("a close-delimited body is everything until the end")
    func untilClose() {
        #expect(decodeInEverySplit(Array("0\r\n\r\n".utf8), .untilClose, closes: true) == Decoded(data: Array("0\r\n\r\n".utf8)))
        var decoder = BodyDecoder(framing: .untilClose)
        #expect(!decoder.isEnded && decoder.remaining == nil)
        #expect(throws: Never.self) { try decoder.finish() }
        #expect(decoder.isEnded)
    }

    @Test(
        "chunks are data without their frame, extensions and trailers",
        arguments: [
            ("0\r\n\r\n", ""), ("5\r\nhello\r\n0\r\n\r\n", "hello"), ("1\r\na\r\n2\r\nbc\r\n000\r\n\r\n", "abc"),
            ("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"),
            ("5;x=y;z=\"\\\"q\"\r\nhello\r\n0;last\r\n\r\n", "hello"), ("5 \t;x\r\nhello\r\n0\r\n\r\n", "hello"),
            ("0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", "hello"),
            ("4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"), ("1\r\na\r\n0\r\nX-Sum: 1\r\nAuthorization: evil\r\nHost:\r\n\r\n", "a"),
            ("1;é\r\na\r\n0\r\nX: é\ty \r\n\r\n", "a"),
        ])
    func validBodies(_ text: String, _ data: String) {
        let count = text.utf8.count
        #expect(chunked(text) == Decoded(data: Array(data.utf8), end: count))
        #expect(chunked(text + "GET / HTTP/1.1\r\n\r\n") == Decoded(data: Array(data.utf8), end: count))
        #expect(chunked(text, closes: true) == Decoded(data: Array(data.utf8), end: count))
        for prefix in 0..<count {
            let cut = decode(Array(text.utf8.prefix(prefix)), .chunked, cuts: [], closes: true)
            #expect(cut.error == .truncatedBody && cut.end == nil)
        }
    }

    @Test(
        "a size that is not plain hexadecimal digits below 2^63 is refused",
        arguments: [
            "", "+5", "-5", "0x5", " 5", "\t5", "5_0", "_5", "g", "5g", "5 ", "5\t", "5 5", "5,", "5.", "\u{00}5", "5\u{00}", "５",
            "FFFFFFFFFFFFFFFFF", "00000000000000005",
            "8000000000000000", "FFFFFFFFFFFFFFFF", "10000000000000000", "\n5", "5\n", "5\r5", "\r5", "5 \n", ";x", "5;\u{00}", "5;a\nb",
            "5;a\rb", "5;a\u{7F}", "5;a\u{01}",
        ])
    func badSizes(_ size: String) {
        let result = chunked("\(size)\r\nhello\r\n0\r\n\r\n")
        #expect(result == Decoded(error: .invalidChunk))
        let later = chunked("1\r\na\r\n\(size)\r\nhello\r\n0\r\n\r\n")
        #expect(later == Decoded(data: [0x61], error: .invalidChunk))
    }

    @Test("the largest size is taken without a trap")
    func largestSize() throws {
        var decoder = BodyDecoder(framing: .chunked)
        let bytes = Array("7FFFFFFFFFFFFFFF\r\nabc".utf8)
        #expect(try decoder.next(bytes.span, from: 0) == .data(18..<21))
        #expect(try decoder.next([1, 2].span, from: 0) == .data(0..<2))
        #expect(throws: HTTPError.truncatedBody) { try decoder.finish() }
    }

    @Test(
        "data that no CRLF follows is refused",
        arguments: [
            "5\r\nhello0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello\r0\r\n\r\n", "5\r\nhello!\r\n0\r\n\r\n", "5\r\nhello\n\r0\r\n\r\n",
            "5\r\nhello \r\n0\r\n\r\n",
        ])
    func badChunkEnds(_ text: String) {
        #expect(chunked(text) == Decoded(data: Array("hello".utf8), error: .invalidChunk))
    }

    @Test("a size line may have exactly as many bytes as its limit")
    func chunkLineLimit() {
        let fits = "1;" + String(repeating: "x", count: BodyDecoder.maximumChunkLineBytes - 4) + "\r\n"
        #expect(decode(Array((fits + "a\r\n0\r\n\r\n").utf8), .chunked, cuts: []).end != nil)
        let tooLong = "1;" + String(repeating: "x", count: BodyDecoder.maximumChunkLineBytes - 1)
        #expect(decode(Array(tooLong.utf8), .chunked, cuts: []).error == .chunkLineTooLong)
        #expect(decode(Array(tooLong.utf8), .chunked, cuts: Array(0..<tooLong.utf8.count)).error == .chunkLineTooLong)
        #expect(decode(Array("5\r\nhello\r\n\(tooLong)".utf8), .chunked, cuts: [7]).error == .chunkLineTooLong)
    }

    @Test("trailers may have exactly as many bytes as their limit in all")
    func trailerLimit() {
        let line = "X: " + String(repeating: "y", count: 95) + "\r\n"
        let limit = BodyDecoder.maximumTrailerBytes
        var trailers = String(repeating: line, count: (limit - 2) / 100)
        trailers += "Z:" + String(repeating: "z", count: limit - 2 - trailers.utf8.count - 4) + "\r\n"
        let fits = Array(("0\r\n" + trailers + "\r\n").utf8)
        #expect(fits.count == limit + 3)
        #expect(decode(fits, .chunked, cuts: []).end == fits.count)
        let tooLong = Array(("0\r\nA" + trailers + "\r\n").utf8)
        #expect(decode(tooLong, .chunked, cuts: []).error == .trailersTooLarge)
        #expect(decode(tooLong, .chunked, cuts: Array(0..<tooLong.count)).error == .trailersTooLarge)
    }

    @Test(
        "a trailer that is no field line is refused",
        arguments: [
            "X", "X y: z", ": x", " X: y", "X : y", "X: y\r\n z", "X: \u{00}", "X: y\rz", "X: y\nZ: z", "é: x", "X\n", "\n", "\r5",
            "X: \u{7F}", "GET / HTTP/1.1",
        ])
    func badTrailers(_ line: String) {
        #expect(chunked("1\r\na\r\n0\r\n\(line)\r\n\r\n") == Decoded(data: [0x61], error: .invalidTrailer))
    }

    @Test("after an error there is only that error, and after the end only the end")
    func finalStates() throws {
        var failed = BodyDecoder(framing: .chunked)
        #expect(throws: HTTPError.invalidChunk) { try failed.next(Array("x".utf8).span, from: 0) }
        #expect(throws: HTTPError.invalidChunk) { try failed.next(Array("0\r\n\r\n".utf8).span, from: 0) }
        #expect(throws: HTTPError.invalidChunk) { try failed.finish() }
        #expect(!failed.isEnded)
        var ended = BodyDecoder(framing: .chunked)
        #expect(try ended.next(Array("0\r\n\r\n5".utf8).span, from: 0) == .end(5))
        #expect(ended.isEnded)
        #expect(try ended.next(Array("x".utf8).span, from: 0) == .end(0))
        try ended.finish()
        var cut = BodyDecoder(framing: .length(1))
        #expect(throws: HTTPError.truncatedBody) { try cut.finish() }
        #expect(throws: HTTPError.truncatedBody) { try cut.next([1].span, from: 0) }
    }

    @Test("random bodies come out as a naive decoder reads them, in random pieces")
    func againstNaiveDecoder() {
        var random = SeededGenerator("random chunked bodies")
        var endings = 0
        var errors = 0
        for _ in 0..<6000 {
            var bytes = randomBody(&random)
            if Int.random(in: 0..<2, using: &random) == 0, !bytes.isEmpty {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[index] = Array("\r\n0a;: \u{00}G".utf8).randomElement(using: &random)!
                case 1: bytes.remove(at: index)
                default: bytes.insert(Array("\r\n01f;: \t".utf8).randomElement(using: &random)!, at: index)
                }
            }
            let expected = naivelyDecode(bytes)
            let cuts = (0..<Int.random(in: 0..<6, using: &random)).map { _ in Int.random(in: 0...bytes.count, using: &random) }.sorted()
            let result = decode(bytes, .chunked, cuts: cuts, closes: true)
            #expect(result == expected, "\(bytes)")
            if result.end != nil { endings += 1 }
            if result.error == .invalidChunk { errors += 1 }
        }
        #expect(endings > 500 && errors > 500)
    }

    private func randomBody(_ random: inout SeededGenerator) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 0..<4, using: &random) {
            let data = (0..<Int.random(in: 1..<40, using: &random)).map { _ in Array("\r\n0a:x".utf8).randomElement(using: &random)! }
            let size = String(data.count, radix: 16, uppercase: Bool.random(using: &random))
            let extensions = ["", ";a", ";a=b;c", " ;a=\"b c\""].randomElement(using: &random)!
            bytes += Array("\(size)\(extensions)\r\n".utf8) + data + Array("\r\n".utf8)
        }
        bytes += Array(["0\r\n", "00;x\r\n"].randomElement(using: &random)!.utf8)
        for _ in 0..<Int.random(in: 0..<3, using: &random) { bytes += Array("T-a: b\r\n".utf8) }
        bytes += Array("\r\n".utf8)
        if Bool.random(using: &random) { bytes += Array("GET".utf8) }
        return bytes
    }

    /// Reads line by line with the whole body available, as the grammar says, and has no states.
    private func naivelyDecode(_ bytes: [UInt8]) -> Decoded {
        var result = Decoded()
        var rest = bytes[...]
        let hexadecimal = Array("0123456789abcdefABCDEF".utf8)
        let token = Array("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
        func isValue(_ byte: UInt8) -> Bool { byte == 9 || (byte >= 32 && byte != 127) }
        /// The text up to the CRLF, or nil with the error for the first byte that is wrong.
        func takeLine(_ error: HTTPError, _ fits: (ArraySlice<UInt8>) -> Bool) -> ArraySlice<UInt8>? {
            var end = rest.startIndex
            while end < rest.endIndex, rest[end] != 13 {
                // A prefix must be the beginning of something valid.
                if !fits(rest[rest.startIndex...end]) { result.error = error; return nil }
                end += 1
            }
            if end >= rest.endIndex { result.error = .truncatedBody; return nil }
            let line = rest[rest.startIndex..<end]
            if end + 1 < rest.endIndex, rest[end + 1] != 10 { result.error = error; return nil }
            if end + 1 >= rest.endIndex { result.error = .truncatedBody; return line }
            rest = rest[(end + 2)...]
            return line
        }
        while true {
            let line = takeLine(.invalidChunk) { prefix in
                let digits = prefix.prefix { hexadecimal.contains($0) }
                let after = prefix.dropFirst(digits.count)
                let blanks = after.prefix { $0 == 32 || $0 == 9 }
                let more = after.dropFirst(blanks.count)
                return !digits.isEmpty && digits.count <= 16 && (more.isEmpty || (more.first == 0x3B && more.allSatisfy(isValue)))
            }
            guard let line else { return result }
            let digits = line.prefix { hexadecimal.contains($0) }
            let after = line.dropFirst(digits.count)
            // After blanks or before any digit the carriage return itself is wrong.
            if digits.isEmpty || (!after.isEmpty && !after.contains(0x3B)) { result.error = .invalidChunk; return result }
            if result.error != nil { return result }
            let size = Int(String(decoding: digits, as: UTF8.self), radix: 16)!
            if size == 0 { break }
            result.data += rest.prefix(size)
            rest = rest.dropFirst(size)
            for expected: UInt8 in [13, 10] {
                guard let byte = rest.first else { result.error = .truncatedBody; return result }
                if byte != expected { result.error = .invalidChunk; return result }
                rest = rest.dropFirst()
            }
        }
        while true {
            let line = takeLine(.invalidTrailer) { prefix in
                let name = prefix.prefix { token.contains($0) }
                let after = prefix.dropFirst(name.count)
                return !name.isEmpty && (after.isEmpty || (after.first == 0x3A && after.allSatisfy(isValue)))
            }
            guard let line else { return result }
            if !line.isEmpty, !line.contains(0x3A) { result.error = .invalidTrailer; return result }
            if result.error != nil { return result }
            if line.isEmpty { break }
        }
        result.end = bytes.count - rest.count
        return result
    }
}

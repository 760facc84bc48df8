// Bodies through the scratch buffer: the framing taken off in place, another one put around the payload, in every split.

import HTTP
import TestSupport
import Testing

/// A stretch of memory as a link hands it over: the received bytes, room in front and behind, and beyond the room a
/// fence that nobody may touch.
private final class Scratch {
    private static let fence = 64
    private static let paint: UInt8 = 0xA5
    private let block: UnsafeMutableRawBufferPointer
    let received: UnsafeMutableRawBufferPointer

    init(_ bytes: ArraySlice<UInt8>) {
        let margin = Scratch.fence + OutgoingFraming.roomBytes
        block = .allocate(byteCount: bytes.count + 2 * margin, alignment: 64)
        block.initializeMemory(as: UInt8.self, repeating: Scratch.paint)
        received = UnsafeMutableRawBufferPointer(rebasing: block[margin..<(margin + bytes.count)])
        received.copyBytes(from: bytes)
    }

    deinit { block.deallocate() }

    /// Whether no byte in front of the received ones, and none behind, was changed.
    var isRoomUntouched: Bool {
        let margin = Scratch.fence + OutgoingFraming.roomBytes
        return block.prefix(margin).allSatisfy { $0 == Scratch.paint } && block.suffix(margin).allSatisfy { $0 == Scratch.paint }
    }

    /// Whether the fences stand.
    var isFenceUntouched: Bool {
        block.prefix(Scratch.fence).allSatisfy { $0 == Scratch.paint } && block.suffix(Scratch.fence).allSatisfy { $0 == Scratch.paint }
    }

    /// Whether a range of bytes lies inside of what a link may write.
    func allows(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let start = bytes.baseAddress, let room = block.baseAddress else { return bytes.isEmpty }
        return start >= room + Scratch.fence && start + bytes.count <= room + block.count - Scratch.fence
    }
}

/// What came out of a relay.
private struct Relayed: Equatable {
    var written: [UInt8] = []
    var payload: [UInt8] = []
    /// Where in the whole input the body ended.
    var end: Int?
    var endings = 0
    var error: HTTPError?
}

/// Sends an input through a relay in pieces that end at these offsets, and frames what comes.
private func relay(
    _ input: [UInt8], _ framing: BodyFraming, as outgoing: OutgoingFraming, cuts: [Int], offset: Int = 0,
    sourceLocation: SourceLocation = #_sourceLocation
) -> Relayed {
    var body = BodyRelay(framing: framing)
    var result = Relayed()
    var start = 0
    for end in cuts + [input.count] where result.end == nil {
        // In front of the first piece may stand bytes of the head, which the relay is told to skip.
        let skipped = start == 0 ? offset : 0
        let head = [UInt8](repeating: 0x48, count: skipped)
        let scratch = Scratch((head + input[start..<end])[...])
        do {
            let piece = body.take(scratch.received, from: skipped)
            #expect(scratch.isRoomUntouched, "unframing stays inside the bytes", sourceLocation: sourceLocation)
            #expect(scratch.received.prefix(skipped).elementsEqual(head), "the head is left alone", sourceLocation: sourceLocation)
            let consumed = piece.consumed - skipped
            #expect(
                scratch.received[piece.consumed...].elementsEqual(input[(start + consumed)..<end]),
                "what follows the body is left alone until the framing", sourceLocation: sourceLocation)
            #expect(piece.isLast == body.isEnded, sourceLocation: sourceLocation)
            result.payload += piece.payload
            if let error = piece.error {
                result.error = error
                return result
            }
            if piece.isLast {
                result.endings += 1
                result.end = start + consumed
            } else {
                #expect(piece.consumed == scratch.received.count, sourceLocation: sourceLocation)
            }
            if !piece.payload.isEmpty || piece.isLast {
                let framed = outgoing.frame(piece.payload, isLast: piece.isLast)
                #expect(scratch.allows(framed) && scratch.isFenceUntouched, "framing stays in the room", sourceLocation: sourceLocation)
                result.written += framed
            }
        }
        start = end
    }
    return result
}

/// Reads the chunked coding by the letter of RFC 9112 section 7.1, as a sender may write it: no extensions, no trailers.
private func unchunk(_ bytes: [UInt8]) -> (data: [UInt8], isWhole: Bool, isLegal: Bool) {
    var data: [UInt8] = []
    var index = 0
    while index < bytes.count {
        var digits = ""
        while index < bytes.count, bytes[index] != 0x0D {
            digits.unicodeScalars.append(Unicode.Scalar(bytes[index]))
            index += 1
        }
        guard let size = Int(digits, radix: 16), digits.first != "+", digits.first != "-", index + 1 < bytes.count, bytes[index + 1] == 0x0A
        else { return (data, false, false) }
        index += 2
        guard index + size + 2 <= bytes.count, bytes[index + size] == 0x0D, bytes[index + size + 1] == 0x0A else {
            return (data, false, false)
        }
        data += bytes[index..<(index + size)]
        index += size + 2
        if size == 0 { return (data, true, index == bytes.count) }
    }
    return (data, false, true)
}

/// A body in chunks of these sizes, as an unfriendly sender writes it.
private func chunked(_ sizes: [Int], seasoned: Bool = false) -> (wire: [UInt8], data: [UInt8]) {
    var wire: [UInt8] = []
    var data: [UInt8] = []
    for (number, size) in sizes.enumerated() {
        // Bytes that look like framing, so that a slip shows.
        let pattern = Array("\r\n0\r\n\r\n5\r\n".utf8)
        let chunk = (0..<size).map { pattern[($0 + number) % pattern.count] }
        let digits = String(size, radix: 16, uppercase: number % 2 == 0)
        wire += Array((seasoned ? "00\(digits) ;a=\"b\"" : digits).utf8) + [0x0D, 0x0A] + chunk + [0x0D, 0x0A]
        data += chunk
    }
    wire += Array((seasoned ? "000;last\r\nX-Trailer: 1\r\nY: 2\r\n\r\n" : "0\r\n\r\n").utf8)
    return (wire, data)
}

@Suite("Bodies on their way")
struct BodyRelayTests {
    private static let next = Array("GET /next HTTP/1.1\r\n".utf8)

    @Test(
        "a chunked body comes out whole, framed legally and ended once, at every split and behind any head",
        arguments: [
            [], [1], [5], [1, 1, 1], [15, 16, 17], [3, 255, 256], [9, 1, 40],
        ])
    func chunkedSplits(_ sizes: [Int]) {
        for seasoned in [false, true] {
            let body = chunked(sizes, seasoned: seasoned)
            let input = body.wire + BodyRelayTests.next
            func check(_ cuts: [Int], offset: Int = 0) {
                let toChunks = relay(input, .chunked, as: .chunked, cuts: cuts, offset: offset)
                #expect(toChunks.error == nil && toChunks.endings == 1 && toChunks.end == body.wire.count, "cuts \(cuts)")
                let read = unchunk(toChunks.written)
                #expect(read.data == body.data && read.isWhole && read.isLegal, "cuts \(cuts)")
                let toPlain = relay(input, .chunked, as: .plain, cuts: cuts, offset: offset)
                #expect(toPlain.written == body.data && toPlain.end == body.wire.count, "cuts \(cuts)")
                #expect(relay(input, .chunked, as: .none, cuts: cuts).written.isEmpty, "a body that is thrown away writes nothing")
            }
            for cut in 0...input.count { check([cut]) }
            check(Array(1..<input.count))
            check([], offset: 37)
        }
    }

    @Test("a random body in random pieces comes out whole")
    func randomSplits() {
        var random = SeededGenerator("randomSplits")
        for _ in 0..<200 {
            let sizes = (0..<Int.random(in: 0...6, using: &random)).map { _ in Int.random(in: 1...5000, using: &random) }
            let body = chunked(sizes, seasoned: Bool.random(using: &random))
            let input = body.wire + BodyRelayTests.next
            let cuts = (0..<Int.random(in: 0...8, using: &random)).map { _ in Int.random(in: 0...input.count, using: &random) }.sorted()
            let result = relay(input, .chunked, as: .chunked, cuts: cuts)
            let read = unchunk(result.written)
            #expect(read.data == body.data && read.isWhole && read.isLegal && result.end == body.wire.count)
        }
    }

    @Test("a body of a length ends there, in either framing, and what follows is not its own")
    func lengths() {
        let data = (0..<40).map { UInt8($0) }
        let input = data + BodyRelayTests.next
        for cut in 0...input.count {
            let plain = relay(input, .length(40), as: .plain, cuts: [cut])
            #expect(plain.written == data && plain.endings == 1, "cut \(cut)")
            let framed = relay(input, .length(40), as: .chunked, cuts: [cut])
            let read = unchunk(framed.written)
            #expect(read.data == data && read.isWhole && read.isLegal && framed.end == 40, "cut \(cut)")
        }
        #expect(relay(input, .length(0), as: .chunked, cuts: []).written == Array("0\r\n\r\n".utf8))
        #expect(relay(input, .none, as: .none, cuts: []) == Relayed(end: 0, endings: 1))
    }

    @Test("a body until the close has no end of its own, and its chunks are left open")
    func untilClose() throws {
        let data = Array("data: 1\n\ndata: 2\n\n".utf8)
        for cut in 0...data.count {
            let result = relay(data, .untilClose, as: .chunked, cuts: [cut])
            let read = unchunk(result.written)
            #expect(read.data == data && !read.isWhole && read.isLegal && result.endings == 0)
        }
        var body = BodyRelay(framing: .untilClose)
        try body.finish()
        #expect(body.isEnded)
    }

    @Test("a body that is cut short is an error, however far it came")
    func truncation() {
        let body = chunked([4, 9])
        for length in 0..<body.wire.count {
            var relayed = BodyRelay(framing: .chunked)
            let scratch = Scratch(body.wire[..<length])
            #expect(throws: HTTPError.truncatedBody, "after \(length) bytes") {
                let piece = relayed.take(scratch.received)
                #expect(!piece.isLast)
                try relayed.finish()
            }
        }
        var short = BodyRelay(framing: .length(5))
        #expect(throws: HTTPError.truncatedBody) { try short.finish() }
    }

    @Test(
        "a malformed chunk is the same error at every split",
        arguments: [
            "5\r\nhello\r\nx\r\n", "5\r\nhelloX\r\n", "5\nhello\r\n", "-1\r\n", "0x5\r\nhello\r\n", "5 5\r\nhello\r\n", "\r\n",
            "8000000000000000\r\n", "5\r\nhello\r\n0\r\nBad Trailer: 1\r\n\r\n",
        ])
    func malformed(_ text: String) throws {
        let input = Array(text.utf8)
        let error = try #require(relay(input, .chunked, as: .chunked, cuts: []).error)
        let payload = relay(input, .chunked, as: .chunked, cuts: []).payload
        for cut in 0...input.count {
            let split = relay(input, .chunked, as: .chunked, cuts: [cut])
            #expect(split.error == error && split.payload == payload, "cut \(cut)")
        }
    }

    @Test("a large read is framed as one chunk within the room around it")
    func largeRead() {
        let data = [UInt8](repeating: 0x0A, count: 65_536)
        let result = relay(data, .length(UInt64(data.count)), as: .chunked, cuts: [])
        let read = unchunk(result.written)
        #expect(read.data == data && read.isWhole && read.isLegal)
    }
}

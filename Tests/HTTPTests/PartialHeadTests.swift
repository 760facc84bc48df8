// Heads that come in pieces: the same head, the same refusal, wherever they are cut.

import HTTP
import Testing

/// A head that the pieces came to.
private struct Received: Equatable {
    var head: [UInt8]
    /// Where in the whole input the head ended.
    var end: Int
}

/// Feeds the input in pieces that end at these offsets until a head is whole.
private func receive(
    _ input: [UInt8], kind: HeadKind = .request, limits: HeadLimits = HeadLimits(), cuts: [Int]
) throws(HTTPError) -> Received? {
    var partial: PartialHead?
    var start = 0
    for end in cuts + [input.count] {
        let piece = Array(input[start..<end])
        let whole = try piece.span.bytes.withUnsafeBytes { bytes throws(HTTPError) in
            switch kind {
            case .request: try partial.receiveRequest(bytes, limits: limits).map { Received(head: $0.head.bytes, end: start + $0.consumed) }
            case .response:
                try partial.receiveResponse(bytes, limits: limits).map { Received(head: $0.head.bytes, end: start + $0.consumed) }
            }
        }
        if let whole {
            #expect(partial == nil, "nothing is held once the head is whole")
            return whole
        }
        start = end
    }
    #expect(partial != nil)
    return nil
}

@Suite("Heads in pieces")
struct PartialHeadTests {
    private static let request = Array("\r\nPOST /a?b=c HTTP/1.1\r\nHost: h\r\nX:\tvalue \r\nContent-Length: 3\r\n\r\n".utf8)
    private static let response = Array("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n".utf8)

    @Test("a head is the same at every split, and what follows it is not taken")
    func splits() throws {
        for (head, kind) in [(PartialHeadTests.request, HeadKind.request), (PartialHeadTests.response, .response)] {
            let input = head + Array("abcGET / HTTP/1.1\r\n".utf8)
            let expected = Received(head: head, end: head.count)
            for cut in 0...input.count {
                #expect(try receive(input, kind: kind, cuts: [cut]) == expected, "cut \(cut)")
                for second in stride(from: cut, through: input.count, by: 5) {
                    #expect(try receive(input, kind: kind, cuts: [cut, second]) == expected, "cuts \(cut), \(second)")
                }
            }
            #expect(try receive(input, kind: kind, cuts: Array(1..<input.count)) == expected)
        }
    }

    @Test("a head that is not whole is no head")
    func incomplete() throws {
        for length in 0..<PartialHeadTests.request.count {
            #expect(try receive(Array(PartialHeadTests.request[..<length]), cuts: [length / 2]) == nil)
        }
    }

    @Test("empty lines begin no request")
    func emptyLines() throws {
        var partial: PartialHead?
        func feed(_ text: String) throws(HTTPError) -> Bool {
            let bytes = Array(text.utf8)
            return try bytes.span.bytes.withUnsafeBytes { buffer throws(HTTPError) in
                try partial.receiveRequest(buffer, limits: HeadLimits())
            } != nil
        }
        #expect(try !feed("\r\n\r"))
        #expect(partial?.hasBegun == false)
        #expect(try !feed("\n"))
        #expect(partial?.hasBegun == false)
        #expect(try !feed("G"))
        #expect(partial?.hasBegun == true)
        #expect(try feed("ET / HTTP/1.0\r\n\r\n"))
    }

    @Test(
        "a limit is the same error at every split",
        arguments: [
            (HeadLimits(headBytes: 40), HTTPError.headTooLarge), (HeadLimits(fieldCount: 2), .tooManyFields),
            (HeadLimits(targetBytes: 5), .targetTooLong),
        ])
    func limits(_ limits: HeadLimits, _ error: HTTPError) {
        for cut in 0...PartialHeadTests.request.count {
            #expect(throws: error, "cut \(cut)") { _ = try receive(PartialHeadTests.request, limits: limits, cuts: [cut]) }
        }
    }

    @Test(
        "a head that breaks the rules is the same error at every split",
        arguments: [
            "GET / HTTP/1.1\nHost: h\n\n", "GET / HTTP/1.1\r\nHost : h\r\n\r\n", "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "\u{16}\u{3}\u{1}",
            "GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        ])
    func violations(_ text: String) throws {
        let input = Array(text.utf8)
        let error = try #require(throws: HTTPError.self) { _ = try receive(input, cuts: []) }
        for cut in 0...input.count { #expect(throws: error, "cut \(cut)") { _ = try receive(input, cuts: [cut]) } }
    }
}

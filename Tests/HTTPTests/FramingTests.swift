// Content-Length and Transfer-Encoding in requests and responses.

import HTTP
import Testing

@Suite struct FramingTests {
    private func framing(_ fields: String, version: String = "1.1", method: String = "POST") throws(HTTPError) -> BodyFraming {
        try request("\(method) / HTTP/\(version)\r\nHost: a\r\n\(fields)\r\n").framing
    }

    private func refusal(_ fields: String, version: String = "1.1") -> HTTPError? {
        HTTPTests.refusal("POST / HTTP/\(version)\r\nHost: a\r\n\(fields)\r\n")
    }

    @Test("a body of any method is a body by its framing")
    func bodiesOfAnyMethod() throws {
        for method in ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "TRACE", "FOO"] {
            #expect(try framing("Content-Length: 5\r\n", method: method) == .length(5))
            #expect(try framing("Transfer-Encoding: chunked\r\n", method: method) == .chunked)
            #expect(try framing("", method: method) == .none)
        }
        #expect(try framing("Content-Length: 0\r\n") == .length(0))
        #expect(try framing("content-LENGTH:\t007 \r\n") == .length(7))
        #expect(try framing("Content-Length: 9223372036854775807\r\n", version: "1.0") == .length(9_223_372_036_854_775_807))
        #expect(try framing("transfer-encoding:CHUNKED\r\n") == .chunked)
    }

    @Test(
        "a Content-Length that is no plain number below 2^63 is refused",
        arguments: [
            "+5", "-5", "0x5", "5 5", "5,6", "5, 5", "5,", ",5", "", "5a", "a", "1e3", "5.0", "９", "9223372036854775808",
            "18446744073709551616",
            "99999999999999999999999999999999999999", "5;a", "\"5\"", "5\u{A0}", "_5", "5_0",
        ])
    func badLengths(_ value: String) {
        #expect(refusal("Content-Length: \(value)\r\n") == .invalidContentLength)
        #expect(refusal("Content-Length: \(value)\r\n", version: "1.0") == .invalidContentLength)
    }

    @Test("Content-Length twice is refused, equal or not")
    func repeatedLengths() {
        #expect(refusal("Content-Length: 5\r\nContent-Length: 6\r\n") == .invalidContentLength)
        #expect(refusal("Content-Length: 5\r\ncontent-length: 5\r\n") == .invalidContentLength)
        #expect(refusal("Content-Length: 5\r\nContent-Length: \r\n") == .invalidContentLength)
    }

    @Test(
        "any Transfer-Encoding but exactly one chunked is refused",
        arguments: [
            ("gzip", 501), ("gzip, chunked", 501), ("identity", 501), ("xchunked", 501), ("chunkedx", 501), ("chunked, gzip", 501),
            ("chunked, identity", 501), ("chunked, chunked", 400), ("chunked,", 400), (",chunked", 400), ("", 400), ("chunked;a=b", 400),
            ("chunked ; q", 400), ("\"chunked\"", 400), ("chun ked", 400), ("'chunked'", 501), (",", 400), ("chunked\u{A0}", 400),
            ("[chunked]", 400),
        ])
    func badCodings(_ value: String, _ status: Int) throws {
        #expect(try #require(refusal("Transfer-Encoding: \(value)\r\n")).status == status)
        #expect(refusal("Transfer-Encoding: \(value)\r\n", version: "1.0") == .misplacedTransferEncoding)
    }

    @Test("Transfer-Encoding in several fields, in HTTP/1.0 and with Content-Length is refused")
    func misplacedCodings() {
        #expect(refusal("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") == .invalidTransferEncoding)
        #expect(refusal("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n") == .unknownTransferCoding)
        #expect(refusal("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n") == .unknownTransferCoding)
        #expect(refusal("Transfer-Encoding: chunked\r\n", version: "1.0") == .misplacedTransferEncoding)
        #expect(refusal("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") == .conflictingLengths)
        #expect(refusal("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n") == .conflictingLengths)
        #expect(refusal("Content-Length: 5\r\nTransfer-Encoding: x\r\n") == .conflictingLengths)
        #expect(refusal("Transfer-Encoding : chunked\r\n") == .invalidFieldName)
        #expect(refusal("Transfer-Encoding:\u{0B}chunked\r\n") == .controlCharacter)
        #expect(refusal("Transfer-Encoding:\r\n chunked\r\n") == .obsoleteFolding)
    }

    @Test("a name that only looks like a framing field frames nothing and passes")
    func aliases() throws {
        let head = try request(
            "POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\nTransfer_Encoding: chunked\r\nContent.Length: 7\r\n\r\n")
        #expect(head.framing == .none)
        #expect(head.forwardedNames == ["Content_Length", "Transfer_Encoding", "Content.Length"])
    }

    // MARK: Responses

    private func framing(ofResponse head: String, to method: Method = .get) throws(HTTPError) -> BodyFraming {
        try response(head + "\r\n").framing(requestMethod: method)
    }

    @Test("a response's body is framed by chunks, by length or by the close, in that order")
    func responseFraming() throws {
        #expect(try framing(ofResponse: "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n") == .chunked)
        #expect(try framing(ofResponse: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n") == .length(3))
        #expect(try framing(ofResponse: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n") == .length(0))
        #expect(try framing(ofResponse: "HTTP/1.1 200 OK\r\n") == .untilClose)
        #expect(try framing(ofResponse: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n") == .untilClose)
        #expect(try framing(ofResponse: "HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n") == .length(0))
    }

    @Test("an answer to HEAD, 1xx, 204 and 304 have no body, whatever they announce")
    func bodilessResponses() throws {
        for fields in ["", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
            #expect(try framing(ofResponse: "HTTP/1.1 200 OK\r\n\(fields)", to: .head) == .none)
            for status in [100, 101, 103, 199, 204, 304] {
                #expect(try framing(ofResponse: "HTTP/1.1 \(status) X\r\n\(fields)") == .none)
            }
        }
        let head = try response("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n")
        #expect(head.contentLength == 5 && head.keepsAlive)
        #expect(try !response("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n").keepsAlive)
        #expect(try !response("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n").keepsAlive)
        #expect(try response("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n").keepsAlive)
        #expect(throws: HTTPError.connectNotSupported) { try response("HTTP/1.1 200 OK\r\n\r\n").framing(requestMethod: .connect) }
    }

    @Test(
        "a response whose lengths are invalid, contradictory or both kinds is refused",
        arguments: [
            ("Content-Length: 5\r\nContent-Length: 6\r\n", HTTPError.invalidContentLength),
            ("Content-Length: 5, 6\r\n", .invalidContentLength),
            ("Content-Length: \r\n", .invalidContentLength), ("Content-Length: -1\r\n", .invalidContentLength),
            ("Content-Length: ,\r\n", .invalidContentLength),
            ("Content-Length: 9223372036854775808\r\n", .invalidContentLength), ("Content-Length: 5 5\r\n", .invalidContentLength),
            ("Content-Length: 5\r\nContent-Length: x\r\n", .invalidContentLength),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", .conflictingLengths),
            ("Transfer-Encoding: gzip\r\n", .unknownTransferCoding),
            ("Transfer-Encoding: gzip, chunked\r\n", .unknownTransferCoding),
            ("Transfer-Encoding: identity, chunked\r\n", .unknownTransferCoding),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", .unknownTransferCoding),
            ("Transfer-Encoding: identity\r\nContent-Length: 5\r\n", .conflictingLengths),
            ("Transfer-Encoding: identity;q=1\r\n", .unknownTransferCoding),
            ("Transfer-Encoding: chunked, chunked\r\nContent-Length: 5\r\n", .conflictingLengths),
            ("Transfer-Encoding: chunked,,chunked\r\n", .invalidTransferEncoding),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: \r\n", .invalidTransferEncoding),
            ("Transfer-Encoding: chunked, chunked;a\r\n", .invalidTransferEncoding),
            ("Transfer-Encoding: \r\n", .invalidTransferEncoding),
        ])
    func badResponseLengths(_ fields: String, _ error: HTTPError) {
        #expect(responseRefusal("HTTP/1.1 200 OK\r\n\(fields)\r\n") == error)
    }

    @Test(
        "a response may say chunked more than once, and identity, which is closed at its end",
        arguments: [
            ("Transfer-Encoding: chunked, chunked\r\n", BodyFraming.chunked),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: Chunked\r\n", .chunked),
            ("Transfer-Encoding: chunked ,\tchunked\r\n", .chunked), ("Transfer-Encoding: identity\r\n", .untilClose),
            ("transfer-encoding: Identity\r\nTransfer-Encoding: identity\r\n", .untilClose),
        ])
    func lenientCodings(_ fields: String, _ expected: BodyFraming) throws {
        #expect(try framing(ofResponse: "HTTP/1.1 200 OK\r\n\(fields)") == expected)
        #expect(try response("HTTP/1.1 200 OK\r\n\(fields)\r\n").forwardedNames.isEmpty)
        #expect(refusal(fields) != nil, "in a request each of these stays refused")
        #expect(try !response("HTTP/1.1 204 No Content\r\n\(fields)\r\n").keepsAlive)
        if expected == .untilClose {
            #expect(try framing(ofResponse: "HTTP/1.0 200 OK\r\n\(fields)") == .untilClose)
        } else {
            #expect(responseRefusal("HTTP/1.0 200 OK\r\n\(fields)\r\n") == .misplacedTransferEncoding)
        }
    }

    @Test("a response may repeat one Content-Length, which is then written once")
    func repeatedResponseLength() throws {
        #expect(try framing(ofResponse: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n") == .length(5))
        #expect(try framing(ofResponse: "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n") == .length(5))
        #expect(responseRefusal("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") == .misplacedTransferEncoding)
    }
}

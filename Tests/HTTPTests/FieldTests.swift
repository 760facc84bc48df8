// Field lines and Host: what is refused, what passes byte for byte, which names are recognised.

import HTTP
import Testing

@Suite struct FieldTests {
    private func refusal(ofFields fields: String) -> HTTPError? {
        HTTPTests.refusal("GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\n")
    }

    @Test(
        "a field line that is no field line is refused",
        arguments: [
            ("NoColon", HTTPError.missingColon), ("a b: c", .invalidFieldName), ("a : c", .invalidFieldName),
            ("a\t: c", .invalidFieldName), (": c", .invalidFieldName), (":", .invalidFieldName), (" a: c", .obsoleteFolding),
            ("\ta: c", .obsoleteFolding), ("a: b\r\n c", .obsoleteFolding), ("a: b\r\n\tc", .obsoleteFolding),
            ("a: b\r\n \r\nX: y", .obsoleteFolding), ("a(b): c", .invalidFieldName), ("é: c", .invalidFieldName),
            ("a/b: c", .invalidFieldName), ("\"a\": c", .invalidFieldName), ("a@: c", .invalidFieldName), ("a\u{00}: c", .controlCharacter),
            ("{}: c", .invalidFieldName), ("a\u{0B}: c", .controlCharacter),
        ])
    func malformedLines(_ line: String, _ error: HTTPError) {
        #expect(refusal(ofFields: line) == error)
    }

    @Test("a first field line that begins with a blank is refused", arguments: [" Host: a", "\tHost: a", " \r\nHost: a", " "])
    func blankBeforeFirstField(_ line: String) {
        #expect(HTTPTests.refusal("GET / HTTP/1.1\r\n\(line)\r\n\r\n") == .obsoleteFolding)
    }

    @Test("CR, LF, NUL and other control characters inside a value are refused, a tab is not")
    func controlCharacters() throws {
        for byte: UInt8 in 0..<0x20 where byte != 0x09 {
            let expected: HTTPError = byte == 0x0A ? .bareLineFeed : byte == 0x0D ? .bareCarriageReturn : .controlCharacter
            #expect(refusal(ofFields: "X: a\(Character(Unicode.Scalar(byte)))b") == expected)
        }
        #expect(refusal(ofFields: "X: a\u{7F}") == .controlCharacter)
        let head = try request("GET / HTTP/1.1\r\nHost: a\r\nX: \t a\tb \t\r\n\r\n")
        #expect(head.text(head.fields[1].value) == "a\tb")
    }

    @Test(
        "lines that a bare LF ends are refused wherever they stand",
        arguments: [
            "GET / HTTP/1.1\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "GET / HTTP/1.1\n\n", "GET /\n", "\n", "GET / HTTP/1.1\r\nHost: a\r\nX: y\nContent-Length: 5\r\n\r\n",
        ])
    func bareLineFeeds(_ text: String) {
        #expect(HTTPTests.refusal(text) == .bareLineFeed)
    }

    @Test(
        "a CR without LF is refused wherever it stands",
        arguments: [
            "GET / HTTP/1.1\r\rHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n",
        ])
    func bareCarriageReturns(_ text: String) {
        #expect(HTTPTests.refusal(text) == .bareCarriageReturn)
    }

    @Test("bytes from 0x80 on pass byte for byte in a value")
    func obsoleteText() throws {
        let value: [UInt8] = [0xC3, 0xA9, 0x80, 0xFF, 0xFE]
        let head = try request(Array("GET / HTTP/1.1\r\nHost: a\r\nLast-Event-ID: ".utf8) + value + Array("\r\n\r\n".utf8))
        #expect(Array(head.bytes[try #require(head.firstValue(of: .lastEventID))]) == value)
    }

    @Test("every known name is recognised in any case of letters, and no alias of it is")
    func knownNames() throws {
        for known in FieldName.allCases where known != .other {
            let name = known.lowercasedName.description
            for spelling in [name, name.uppercased(), name.prefix(1).uppercased() + name.dropFirst()] {
                // Parsed as a response, where only the framing names have a meaning for the parser.
                let value = known == .transferEncoding ? "chunked" : "1"
                let head = try response("HTTP/1.1 200 OK\r\n\(spelling): \(value)\r\n\r\n")
                #expect(head.fields[0].known == known)
                #expect(head.contains(known) && head.count(of: known) == 1)
                #expect(head.text(head.fields[0].name) == spelling)
            }
            for alias in [name + "_", "x" + name, String(name.dropLast()), name.replacing("-", with: "_"), name.replacing("-", with: ".")]
            where alias != name {
                let head = try response("HTTP/1.1 200 OK\r\n\(alias.isEmpty ? "q" : alias): 1\r\n\r\n")
                #expect(head.fields[0].known != known)
            }
        }
    }

    @Test("an empty value, no blank after the colon and colons in the value are fine")
    func values() throws {
        let head = try request("GET / HTTP/1.1\r\nHost:a\r\nA:\r\nB: \r\nC:d:e\r\n\r\n")
        #expect(head.fields.map { head.text($0.value) } == ["a", "", "", "d:e"])
        #expect(head.fields.map { head.text($0.name) } == ["Host", "A", "B", "C"])
    }

    @Test(
        "a valid host and port passes",
        arguments: [
            "a", "example.com", "example.com.", "a_b.example", "xn--bcher-kva.example", "EXAMPLE.com:0", "a:65535", "127.0.0.1:8080",
            "[::1]", "[::]:80",
            "[2001:db8::1]", "[1:2:3:4:5:6:7:8]", "[::ffff:1.2.3.4]", "[1::]", "[1:2:3:4:5:6:1.2.3.4]", "a~b!$&'()*+;=-", "999.999.999.999",
        ])
    func validHosts(_ host: String) throws {
        let head = try request("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n")
        #expect(head.text(head.authority) == host)
    }

    @Test("a port may be empty, and its colon is not passed on", arguments: ["a", "example.com", "127.0.0.1", "[::1]"])
    func emptyPort(_ host: String) throws {
        let head = try request("GET /p HTTP/1.1\r\nHost: \(host):\r\n\r\n")
        #expect(head.text(head.authority) == host)
        for (target, forwarded) in [("/p?q", "/p?q"), ("", "/"), ("?q", "/?q")] {
            let absolute = try request("GET http://\(host):\(target) HTTP/1.1\r\nHost: x:\r\n\r\n")
            #expect(absolute.text(absolute.authority) == host && absolute.text(absolute.target) == forwarded)
        }
        let server = try request("OPTIONS http://\(host): HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(server.text(server.authority) == host && server.text(server.target) == "*")
    }

    @Test(
        "anything else in Host is refused",
        arguments: [
            "", "a b", "a,b", "a, b", "a/b", "a@b", "a:b", ":", "a::", "a:65536", "a:-1", "a:1:2", "a:000080", ":80", "[::1", "::1", "[]",
            "[:]", "[:::]", "[1::2::3]",
            "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]", "[1:2:3:4:5:6:7::8:9]", "[12345::]", "[g::]", "[::1]a", "[::1]80", "[fe80::1%25eth0]",
            "[v1.a]", "[1.2.3.4]",
            "[::1.2.3]", "[::1.2.3.4.5]", "[::256.1.1.1]", "[::01.1.1.1]", "[::1.2.3.4:1]", "[1:]", "[:1]", "a#", "a?b", "a\\b", "http://a",
            "a%41", "é", "a\tb", "\"a\"", "<a>",
        ])
    func invalidHosts(_ host: String) {
        #expect(HTTPTests.refusal("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n") == .invalidHost)
        #expect(HTTPTests.refusal("GET / HTTP/1.0\r\nHost: \(host)\r\n\r\n") == .invalidHost)
    }

    @Test("exactly one Host is required, and in HTTP/1.0 it may be missing")
    func hostCount() throws {
        #expect(HTTPTests.refusal("GET / HTTP/1.1\r\n\r\n") == .missingHost)
        #expect(HTTPTests.refusal("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n") == .doubledHost)
        #expect(HTTPTests.refusal("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhOST: b\r\n\r\n") == .doubledHost)
        #expect(HTTPTests.refusal("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n") == .doubledHost)
        #expect(HTTPTests.refusal("GET / HTTP/1.1\r\nHost_: a\r\n\r\n") == .missingHost)
        #expect(try request("GET / HTTP/1.0\r\n\r\n").authority.isEmpty)
    }

    @Test(
        "a Last-Event-ID that no field may hold is dropped, and the request stays",
        arguments: ["\u{01}", "a\u{7F}", "\u{0B}b\u{1F}", "a\t\u{08}c"])
    func unfitEventID(_ id: String) throws {
        let text = "GET / HTTP/1.1\r\nHost: a\r\nlast-event-ID: \(id)\r\nAccept: b\r\n\r\n"
        let head = try request(text)
        #expect(head.hasUnfitLastEventID && head.contains(.lastEventID), "its client has an id all the same")
        #expect(head.forwardedNames == ["Accept"])
        #expect(scanInEverySplit(Array(text.utf8), .request) == .accepted(text.utf8.count))
        #expect(try !request("GET / HTTP/1.1\r\nHost: a\r\nLast-Event-ID: fit\r\n\r\n").hasUnfitLastEventID)
    }

    @Test(
        "NUL and lone line ends stay refused in a Last-Event-ID, and control characters in everything else",
        arguments: [
            ("Last-Event-ID: a\u{00}", HTTPError.controlCharacter), ("Last-Event-ID: \u{01}\n", .bareLineFeed),
            ("Last-Event-ID: \u{01}\rX: y", .bareCarriageReturn),
            ("Last-Event-ID\u{01}: a", .controlCharacter), ("Last-Event-ID-X: \u{01}", .controlCharacter),
            ("Last-Event-I: \u{01}", .controlCharacter),
            ("Cookie: \u{01}", .controlCharacter), ("X-Last-Event-ID: \u{01}", .controlCharacter),
            ("Last-Event-ID : \u{01}", .controlCharacter),
        ])
    func controlCharactersElsewhere(_ line: String, _ error: HTTPError) {
        let text = "GET / HTTP/1.1\r\nHost: a\r\n\(line)\r\n\r\n"
        #expect(HTTPTests.refusal(text) == error)
        #expect(scanInEverySplit(Array(text.utf8), .request) == .refused(error))
        #expect(responseRefusal("HTTP/1.1 200 OK\r\nLast-Event-ID: \u{01}\r\n\r\n") == .controlCharacter)
    }
}

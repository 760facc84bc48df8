// What a service's answer means, and what makes a question another one.

import Testing

@testable import Services

@Suite("A service's answer")
struct ForwardAuthVerdictTests {
    private let reader = ForwardAuthReader(taking: ["X-User", "X-Groups"])

    @Test("lets a request pass with 2xx, and only the fields that are taken go on", arguments: [200, 202, 204, 299])
    func allowed(status: Int) throws {
        let head = try answer(
            status, "x-user: ann", "X-Groups: a", "X-Other: b", "X_User: eve", "x-groups:  c, d ", "Set-Cookie: a=b",
            "set-cookie: c=d; Path=/")
        #expect(
            reader.verdict(head, body: Array("ignored".utf8)).line
                == "allowed X-User=ann;X-Groups=a, c, d cookie a=b cookie c=d; Path=/")
        #expect(reader.verdict(try answer(status, "X-User:"), body: []).line == "allowed ")
    }

    @Test("is unusable where a field for the server is longer than 4 KiB or holds a control character")
    func unfit() throws {
        func verdict(_ value: String) throws -> String { reader.verdict(try answer(200, "X-User: \(value)"), body: []).line }
        let long = String(repeating: "a", count: 4_096)
        #expect(try verdict(long) == "allowed X-User=\(long)")
        #expect(try verdict(long + "a") == "unusable the service's field X-User has 4097 bytes; at most 4096 are allowed")
        for value in ["a\tb", "a\u{85}b"] { #expect(try verdict(value) == "unusable the service's field X-User holds a control character") }
        #expect(try verdict("Zo\u{eb} \u{10D}") == "allowed X-User=Zo\u{eb} \u{10D}")
        // A line end or a NUL in a field is no HTTP: the head is not read at all.
        for value in ["a\rb", "a\nb", "a\0b", "a\u{1}b", "a\u{7F}b"] { #expect(throws: (any Error).self) { try verdict(value) } }
        for number in 0..<1_200 where number % 400 == 0 {
            let many = try answer(
                200, "X-User: " + String(repeating: "a", count: 2_047), "X-User: " + String(repeating: "b", count: 2_047 + number))
            #expect(reader.verdict(many, body: []).line.hasPrefix(number == 0 ? "allowed" : "unusable"))
        }
    }

    @Test("refuses with 401 and 403, in its own words", arguments: [401, 403])
    func denied(status: Int) throws {
        let lines = [
            "WWW-Authenticate: Basic realm=\"x\"", "WWW-Authenticate: Bearer", "Content-Type: text/html", "X-User: eve", "Set-Cookie: a=b",
        ]
        guard case .denied(let denial) = reader.verdict(try answer(status, lines[0], lines[1], lines[2], lines[3], lines[4]), body: [65])
        else {
            Issue.record("no refusal")
            return
        }
        #expect(
            denial
                == ForwardAuthDenial(
                    status: status, challenges: [Array("Basic realm=\"x\"".utf8), Array("Bearer".utf8)],
                    contentType: Array("text/html".utf8), body: [65]))
        guard case .denied(let packed) = reader.verdict(try answer(status, lines[2], "Content-Encoding: gzip"), body: [65]) else {
            Issue.record("no refusal")
            return
        }
        #expect(packed == ForwardAuthDenial(status: status, challenges: [], contentType: nil, body: []))
    }

    @Test("sends to a login with a redirection that has one place", arguments: [301, 302, 303, 307, 308])
    func redirected(status: Int) throws {
        let verdict = reader.verdict(try answer(status, "Location: /login?a=b", "Set-Cookie: a=b", "Set-Cookie: c=d"), body: [])
        guard case .redirected(let redirection) = verdict else {
            Issue.record("no redirection")
            return
        }
        #expect(
            redirection
                == ForwardAuthRedirection(
                    status: status, location: Array("/login?a=b".utf8), cookies: [Array("a=b".utf8), Array("c=d".utf8)]))
        #expect(!verdict.isForOthers(needingRefusalOnly: false) && verdict.isForOthers(needingRefusalOnly: true))
        #expect(reader.verdict(try answer(status, "Location: /login"), body: []).isForOthers(needingRefusalOnly: false))
        for lines in [["X: y", "X: y"], ["Location:", "X: y"], ["Location: /a", "Location: /b"]] {
            #expect(
                reader.verdict(try answer(status, lines[0], lines[1]), body: []).line
                    == "unusable the service answered \(status) without one Location")
        }
    }

    @Test(
        "says nothing with any other status",
        arguments: [100, 101, 300, 304, 305, 306, 310, 400, 402, 404, 407, 429, 500, 502, 503, 599, 999])
    func unusable(status: Int) throws {
        #expect(
            reader.verdict(try answer(status, "X-User: ann", "Location: /"), body: []).line == "unusable the service answered \(status)")
    }
}

@Suite("A question")
struct ForwardAuthQuestionTests {
    @Test("is another one when any byte of a field differs, or moves from one field to the next")
    func digests() {
        let questions = [
            question(("a", "b"), ("c", "d")), question(("a", "b")), question(("a", "bc"), ("", "d")), question(("c", "d"), ("a", "b")),
            question(("a", "b"), ("c", "D")), question(("a", "b"), ("C", "d")), question(("a", "b, d")), question(("a", "b"), ("a", "d")),
            question(("a", "bc: d")), question(), question(("a", "b"), of: "other"),
        ]
        #expect(Set(questions.map(\.digest)).count == questions.count)
        #expect(question(("a", "b")).digest == question(("a", "b")).digest)
    }
}

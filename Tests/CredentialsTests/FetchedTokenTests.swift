// The proxy's own tokens: what an authorization server may answer, and when one is fetched.

import Testing

@testable import Credentials

@Suite("A token of the proxy's own")
struct FetchedTokenTests {
    private static let good = #"{"access_token":"abc","token_type":"Bearer","expires_in":100}"#

    @Test(
        "is read from the answer",
        arguments: [
            (good, 100), (#"{"access_token":"abc","token_type":"bearer"}"#, 300),
            (#"{"token_type":"BEARER","expires_in":"100","access_token":"abc","scope":"a b"}"#, 100),
            (#"{"access_token":"abc","token_type":"Bearer","expires_in":1e9}"#, 86_400),
        ])
    func read(answer: String, seconds: Int) throws {
        let found = try TokenAnswer(Array(answer.utf8))
        #expect(found.authorization == Array("Bearer abc".utf8) && found.lifetimeMilliseconds == Int64(seconds) * 1_000)
    }

    @Test(
        "is not read where it could not be sent, or from what is no answer",
        arguments: [
            "", "{}", "[]", #"{"access_token":"abc"}"#, #"{"access_token":"abc","token_type":"mac"}"#,
            #"{"access_token":"","token_type":"bearer"}"#,
            #"{"access_token":"a b","token_type":"bearer"}"#, #"{"access_token":"a\r\nX: y","token_type":"bearer"}"#,
            #"{"access_token":1,"token_type":"bearer"}"#, #"{"access_token":"a","access_token":"b","token_type":"bearer"}"#,
        ])
    func refused(answer: String) { #expect(throws: TokenAnswerFault.noToken) { try TokenAnswer(Array(answer.utf8)) } }

    @Test("is not read where its lifetime cannot be known, and the operator is told so", arguments: ["0", "-1", "null", #""x""#, "1e400"])
    func refused(lifetime: String) throws {
        let answer = Array(#"{"access_token":"abc","token_type":"bearer","expires_in":\#(lifetime)}"#.utf8)
        let token = FetchedToken(label: "machine", timeoutMilliseconds: 5_000)
        let told = token.publish(answer, try fetch(token, at: 0), now: 0, chance: 0)
        #expect(told.lines == ["token machine: it cannot be fetched: the answer's expires_in is no number of seconds above 0"])
    }

    @Test("names only the errors of the standard")
    func errors() {
        #expect(TokenAnswer.error(in: Array(#"{"error":"invalid_client"}"#.utf8)) == "invalid_client")
        for text in [#"{"error":"evil\u001b[31m"}"#, #"{"error":1}"#, "invalid_client", ""] {
            #expect(TokenAnswer.error(in: Array(text.utf8)) == nil)
        }
    }

    private func fetch(_ token: FetchedToken, at now: Int64, without refused: IssuedToken? = nil) throws -> KeyLease {
        try #require(token.begin(without: refused, now: now))
    }

    @Test("is fetched by one, again after four fifths of its time, and not used to its last moment")
    func schedule() throws {
        let token = FetchedToken(label: "machine", timeoutMilliseconds: 5_000)
        #expect(token.inForce(except: nil, now: 0) == nil && token.outlook(without: nil, now: 0) == .fetchable)
        let lease = try fetch(token, at: 0)
        #expect(token.begin(without: nil, now: 0) == nil && token.outlook(without: nil, now: 0) == .fetching)
        #expect(token.publish(Array(FetchedTokenTests.good.utf8), lease, now: 1_000, chance: 0).lines == [])
        #expect(token.inForce(except: nil, now: 95_999)?.authorization == Array("Bearer abc".utf8))
        #expect(token.outlook(without: nil, now: 80_999) == .settled && token.outlook(without: nil, now: 81_000) == .fetchable)
        #expect(token.inForce(except: nil, now: 96_000) == nil)
    }

    @Test("that a server refuses is fetched again, once in ten seconds")
    func refusals() throws {
        let token = FetchedToken(label: "machine", timeoutMilliseconds: 5_000)
        #expect(token.publish(Array(FetchedTokenTests.good.utf8), try fetch(token, at: 0), now: 0, chance: 0).lines == [])
        let first = try #require(token.inForce(except: nil, now: 1))
        #expect(token.inForce(except: first, now: 1) == nil && token.outlook(without: first, now: 1) == .fetchable)
        let lease = try fetch(token, at: 1, without: first)
        #expect(token.publish(Array(FetchedTokenTests.good.utf8), lease, now: 2, chance: 0).lines == [])
        // Another request had the first one too.
        #expect(token.inForce(except: first, now: 3) != nil && token.begin(without: first, now: 3) == nil)
        let second = try #require(token.inForce(except: first, now: 3))
        #expect(token.outlook(without: second, now: 10_000) == .settled && token.outlook(without: second, now: 10_001) == .fetchable)
    }

    @Test("that cannot be fetched is told once, and once more when that is over")
    func failures() throws {
        let token = FetchedToken(label: "machine", timeoutMilliseconds: 5_000)
        let said = token.refuse(status: 401, Array(#"{"error":"invalid_client"}"#.utf8), try fetch(token, at: 0), now: 0, chance: 0)
        #expect(said.failure == .status && said.lines == ["token machine: it cannot be fetched: the server answered 401 (invalid_client)"])
        #expect(token.outlook(without: nil, now: 999) == .failing && token.begin(without: nil, now: 999) == nil)
        #expect(token.fail(.unreachable, "gone", try fetch(token, at: 1_000), now: 1_000, chance: 0).lines == [])
        let again = token.publish(Array(FetchedTokenTests.good.utf8), try fetch(token, at: 3_000), now: 3_000, chance: 0)
        #expect(again.failure == nil && again.lines == ["token machine: it was fetched again"])
    }

    @Test("is fetched by another worker when one is stuck, and what that one brings later does not count")
    func stuck() throws {
        let token = FetchedToken(label: "machine", timeoutMilliseconds: 5_000)
        let lease = try fetch(token, at: 0)
        #expect(token.look(now: 6_999, chance: 0).nextAt == 7_000)
        let look = token.look(now: 7_000, chance: 0)
        #expect(look.endsStuck && look.nextAt == 8_000)
        #expect(token.publish(Array(FetchedTokenTests.good.utf8), lease, now: 7_001, chance: 0).lines == [])
        #expect(token.inForce(except: nil, now: 7_001) == nil)
    }
}

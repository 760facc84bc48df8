// Numbers as words, and the heartbeat that is short enough.

import Testing

@testable import Diagnosis

@Suite("Words")
struct WordsTests {
    @Test("for seconds, spans, shares and counts")
    func numbers() {
        #expect([60, 37.25, 0.04, 7_440].map(Words.seconds) == ["60 s", "37.3 s", "0 s", "7,440 s"])
        #expect([3, 59.6, 240, 270].map(Words.span) == ["3 s", "60 s", "4 min", "4.5 min"])
        #expect([3_600, 9_000, 700_000].map(Words.span) == ["60 min", "2.5 h", "8 days"])
        #expect([0, 0.001, 0.5, 0.996, 1].map(Words.percent) == ["0 %", "under 1 %", "50 %", "over 99 %", "100 %"])
        #expect([0, 999, 1_000, 1_234_567].map { Words.count($0) } == ["0", "999", "1,000", "1,234,567"])
        #expect(Words.count(1, "stream") == "1 stream" && Words.count(2, "address", "addresses") == "2 addresses")
        #expect(Words.decimal(.nan) == "?" && Words.percent(.infinity) == "?" && Words.decimal(-0.04) == "0")
    }

    @Test("for lists, of which long ones are cut")
    func lists() {
        #expect(Words.list([]).isEmpty && Words.list(["a"]) == "a" && Words.list(["a", "b", "c"], last: "or") == "a, b or c")
        #expect(Words.list(["a", "b", "c", "d", "e"], most: 2) == "a, b and 3 more")
    }

    @Test("for how sure something is, by the steps of the contract")
    func certainty() {
        #expect(
            [0.95, 0.8, 0.5, 0.49, 0.1].map(Words.certainty) == ["almost certain", "very likely", "likely", "possible", "a weak sign"])
    }

    @Test("for a heartbeat: round, and always below half of the limit")
    func heartbeat() {
        #expect([60, 30, 10, 45, 120, 350].map { Words.heartbeat(below: $0) } == [25, 12, 4, 20, 50, 120])
        #expect(Words.heartbeat(below: 2) == nil)
        for tenths in 21...100_000 {
            let limit = Double(tenths) / 10
            guard let heartbeat = Words.heartbeat(below: limit) else {
                Issue.record("no heartbeat below \(limit)")
                return
            }
            #expect(Double(heartbeat) < limit / 2)
        }
        #expect([25, 120, 90, 3_600].map(Words.setting) == ["25s", "2m", "90s", "60m"])
    }
}

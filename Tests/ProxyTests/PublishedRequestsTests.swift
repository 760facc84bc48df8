// Which requests to publish are remembered, and for how long.

import Testing

@testable import Exchanges

@Suite("A request to publish with an Idempotency-Key")
struct PublishedRequestsTests {
    private let count = PublicationCount(streams: 2, clients: 1)

    @Test("begins once, and is answered the same from then on")
    func once() {
        let requests = PublishedRequests()
        #expect(requests.begin([1], now: 0) == .new && requests.begin([1], now: 1) == .begun)
        requests.answered([1], count)
        #expect(requests.begin([1], now: 2) == .answered(count) && requests.begin([2], now: 2) == .new)
    }

    @Test("is forgotten after five minutes")
    func age() {
        let requests = PublishedRequests()
        _ = requests.begin([1], now: 0)
        requests.answered([1], count)
        #expect(requests.begin([1], now: 300_000) == .answered(count) && requests.begin([1], now: 300_001) == .new)
    }

    @Test("is forgotten when ten thousand others have come, and its answer is then no news")
    func number() {
        let requests = PublishedRequests()
        func key(_ number: Int) -> [UInt8] { Array("\(number)".utf8) }
        for round in 0..<3 {
            let first = round * 10_000
            for number in first..<first + 10_000 { #expect(requests.begin(key(number), now: 0) == .new) }
            #expect(requests.begin(key(first), now: 0) == .begun)
        }
        requests.answered(key(0), count)
        requests.answered(key(29_999), count)
        #expect(requests.begin(key(29_999), now: 0) == .answered(count))
        #expect(requests.begin(key(0), now: 0) == .new)
    }
}

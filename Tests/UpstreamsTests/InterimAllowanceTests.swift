// How many interim responses a server may send.

import Testing

@testable import Upstreams

@Suite("What a server may send of interim responses")
struct InterimAllowanceTests {
    @Test("is bounded by bytes in all, and by a rate, not by a number")
    func allowance() {
        var slow = InterimAllowance()
        for number in 0..<10_000 { #expect(slow.take(bytes: 30, now: Int64(number) * 1_000) == nil) }
        var large = InterimAllowance()
        let seen = (0..<100).map { large.take(bytes: 16_384, now: Int64($0) * 10_000) }
        #expect(seen.firstIndex { $0 != nil } == 64 && seen[64]?.contains("1048576 bytes") == true)
        var fast = InterimAllowance()
        #expect((0..<17).map { _ in fast.take(bytes: 30, now: 5) }.firstIndex { $0 != nil } == 16)
    }
}

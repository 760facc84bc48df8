// How often the operator hears of what happens again and again.

import Testing

@testable import Reactor

@Suite("Warnings about what happens again and again")
struct RepeatedWarningTests {
    @Test("are told with how often it happened, and in which time")
    func repeated() {
        var warning = RepeatedWarning()
        #expect(warning.occurred(now: 5_000) == "")
        #expect(warning.occurred(now: 6_000) == nil && warning.occurred(now: 7_000) == nil)
        #expect(warning.occurred(now: 15_000) == " (3 times in 10 s)")
        #expect(warning.occurred(now: 16_000) == nil)
        #expect(warning.occurred(now: 3_615_000) == " (2 times in 3600 s)")
        #expect(warning.occurred(now: 7_215_000) == "")
    }
}

import Foundation
import Testing

@testable import Telemetry

@Suite("A timestamp")
struct TimestampTests {
    private func text(_ milliseconds: Int64) -> String {
        var bytes: [UInt8] = []
        appendTimestamp(milliseconds, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test(
        "is the moment in UTC with milliseconds",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"), (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_000_000_000_000, "2001-09-09T01:46:40.000Z"), (1_234_567_890_123, "2009-02-13T23:31:30.123Z"),
            (2_147_483_647_000, "2038-01-19T03:14:07.000Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"), (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
        ] as [(Int64, String)])
    func knownMoments(milliseconds: Int64, expected: String) {
        #expect(text(milliseconds) == expected)
    }

    @Test("stays within the years that RFC 3339 has")
    func extremes() {
        #expect(text(.max) == "9999-12-31T23:59:59.999Z")
        #expect(text(.min) == "0000-01-01T00:00:00.000Z")
        #expect(text(253_402_300_800_000) == "9999-12-31T23:59:59.999Z")
    }

    @Test("agrees with the C library on every day of 400 years")
    func everyDay() {
        for day in Int64(-150)...146_200 {
            var seconds = time_t(day * 86_400 + 12_345)
            var parts = tm()
            gmtime_r(&seconds, &parts)
            let date = civilDate(daysSince1970: day)
            #expect(date == (Int64(parts.tm_year) + 1900, Int64(parts.tm_mon) + 1, Int64(parts.tm_mday)))
        }
    }
}

// For how long a ticket that was taken back must be remembered.

import Configuration
import Credentials
import Telemetry
import Testing

@testable import Exchanges

@Suite("A ticket that is taken back")
struct TicketRevocationTests {
    private func end(expires: Int64, limit: Int64) throws -> Int64 {
        var block = TicketBlock(name: "events")
        block.keys = [[UInt8](repeating: 1, count: 32)]
        let token = try Token.bearer(in: Array("Bearer abc".utf8).span, maximumBytes: 100).get()
        let contents = TicketContents(id: TicketID(repeatElement(7, count: 16)), token: token, expiresSeconds: expires, limitSeconds: limit)
        return CompiledTickets(block, routes: [], MetricSeries.none).revocationEnd(of: contents, now: 1_000)
    }

    @Test("is remembered while it or one that renews it could open something, and for the time in which its end is told")
    func remembered() throws {
        // A cookie: it may have been renewed a moment ago, also after its own end.
        #expect(try end(expires: 1_100, limit: 40_000) == 1_600 && end(expires: 900, limit: 40_000) == 1_600)
        // It was made when `lifetime` was longer.
        #expect(try end(expires: 3_000, limit: 40_000) == 3_300)
        // One of a URL is never renewed, and one that is over opens nothing.
        #expect(try end(expires: 1_100, limit: 900) == 1_400 && end(expires: 999, limit: 900) == 1_000)
    }
}

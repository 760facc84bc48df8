// What is counted about an exchange and about the connections of all workers.

import Credentials
import Reactor
import Telemetry
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy

@Suite("The account of an exchange")
struct ExchangeAccountTests {
    @Test("the longest silence of each side is the longest time between two of its bytes, the end included")
    func silences() {
        var account = ExchangeAccount(now: 1000)
        account.upstreamBegan(now: 1500)
        account.clientWasSent(now: 1500)
        account.upstreamSent(10, now: 1900)
        account.sentToClient(10, now: 1900)
        account.upstreamSent(10, now: 2100)
        account.sentToClient(10, now: 2100)
        #expect(account.longestUpstreamSilenceMilliseconds == 400 && account.longestClientSilenceMilliseconds == 400)
        account.close(now: 3100)
        #expect(account.longestUpstreamSilenceMilliseconds == 1000 && account.longestClientSilenceMilliseconds == 1000)
        #expect(account.bytesFromUpstream == 20 && account.bytesToClient == 20)
    }

    @Test("heartbeats shorten the client's silence and not the server's")
    func heartbeats() {
        var account = ExchangeAccount(now: 0)
        account.upstreamBegan(now: 100)
        account.clientWasSent(now: 100)
        for now in stride(from: Int64(15_100), through: 60_100, by: 15_000) { account.sentToClient(3, now: now) }
        account.close(now: 61_100)
        #expect(account.longestClientSilenceMilliseconds == 15_000)
        #expect(account.longestUpstreamSilenceMilliseconds == 61_000)
    }

    @Test("bytes that are withheld from the client are no sign of life to it")
    func withheld() {
        var account = ExchangeAccount(now: 0)
        account.upstreamBegan(now: 100)
        account.clientWasSent(now: 100)
        account.upstreamSent(2, now: 500)
        account.sentToClient(0, now: 500)
        account.sentToClient(5, now: 900)
        #expect(account.longestClientSilenceMilliseconds == 800 && account.longestUpstreamSilenceMilliseconds == 400)
        #expect(account.lastClientByteAt == 900)
    }

    @Test("the time in which a heartbeat was due and had no place adds up, until bytes go out again or the end")
    func unplaceable() {
        var account = ExchangeAccount(now: 0)
        account.clientWasSent(now: 100)
        account.noteUnplaceable(now: 1000)
        account.noteUnplaceable(now: 1500)
        account.sentToClient(1, now: 2000)
        #expect(account.unplaceableMilliseconds == 1000)
        account.sentToClient(1, now: 2500)
        #expect(account.unplaceableMilliseconds == 1000)
        account.noteUnplaceable(now: 3000)
        account.close(now: 3250)
        #expect(account.unplaceableMilliseconds == 1250)
    }

    @Test("the silence at the end is that of each side since its last byte; the end of a body is no byte")
    func silencesAtTheEnd() {
        var account = ExchangeAccount(now: 1000)
        #expect(account.upstreamSilence(now: 9000) == nil && account.clientSilence(now: 9000) == 0)
        account.upstreamBegan(now: 1500)
        account.clientWasSent(now: 1500)
        #expect(account.upstreamSilence(now: 2000) == 500 && account.clientSilence(now: 2000) == 500)
        account.upstreamSent(10, now: 2000)
        account.sentToClient(10, now: 2000)
        account.upstreamSent(0, now: 5000)
        account.sentToClient(0, now: 5000)
        #expect(account.upstreamSilence(now: 5000) == 3000 && account.clientSilence(now: 5000) == 3000)
        account.close(now: 5000)
        #expect(account.longestUpstreamSilenceMilliseconds == 3000 && account.longestClientSilenceMilliseconds == 3000)
    }

    @Test("the silence before the last bytes to a client is known, and bytes of the same moment belong together")
    func silenceBeforeLastWrite() {
        var account = ExchangeAccount(now: 0)
        account.clientWasSent(now: 100)
        #expect(account.silenceBeforeLastWriteMilliseconds == 0)
        account.sentToClient(3, now: 15_100)
        account.sentToClient(3, now: 15_100)
        #expect(account.silenceBeforeLastWriteMilliseconds == 15_000)
        account.sentToClient(3, now: 15_200)
        account.close(now: 60_000)
        #expect(account.silenceBeforeLastWriteMilliseconds == 100)
    }

    @Test("the time in which bytes wait adds up until the client has taken all of them, or until the end; so does the most that waited")
    func pending() {
        // The lowest 32 bits of the clock start again at zero in between.
        let start = Int64(1 << 32) - 500
        var account = ExchangeAccount(now: start)
        account.clientWasSent(now: start)
        account.bytesWait(100, now: start + 100)
        account.bytesWait(300, now: start + 400)
        account.bytesWait(200, now: start + 700)
        #expect(account.mostPendingBytes == 300 && account.pendingMilliseconds == 0)
        account.clientDrained(now: start + 1_100)
        #expect(account.pendingMilliseconds == 1_000 && account.lastClientByteAt == start + 1_100)
        account.clientDrained(now: start + 2_000)
        #expect(account.pendingMilliseconds == 1_000)
        account.bytesWait(1, now: start + 3_000)
        account.close(now: start + 3_250)
        #expect(account.mostPendingBytes == 300 && account.pendingMilliseconds == 1_250)
        account.bytesWait(.max, now: start + 4_000)
        #expect(account.mostPendingBytes == .max)
    }

    @Test("fills its 112 bytes, so that an idle stream grows by none")
    func size() {
        #expect(MemoryLayout<ExchangeAccount>.size == 112 && MemoryLayout<RequestSummary>.size == 16)
    }

    @Test("an exchange that never got an answer has no silences and no spans")
    func unanswered() {
        var account = ExchangeAccount(now: 5000)
        account.close(now: 9_000_000)
        #expect(account.longestUpstreamSilenceMilliseconds == 0 && account.longestClientSilenceMilliseconds == 0)
        #expect(account.firstEventMilliseconds == ExchangeAccount.missing && account.connectMilliseconds == ExchangeAccount.missing)
        account.noteFirstEvent(now: 5042)
        #expect(account.firstEventMilliseconds == 42)
    }

    @Test("spans beyond seven weeks and counts beyond all bounds do not trap")
    func extremes() {
        var account = ExchangeAccount(now: 1)
        account.upstreamBegan(now: 1)
        account.clientWasSent(now: 1)
        account.noteUnplaceable(now: 1)
        for _ in 0..<2 { account.upstreamSent(.max, now: .max / 2) }
        account.sentToClient(.max, now: .max / 2)
        account.close(now: .max / 2)
        #expect(account.longestUpstreamSilenceMilliseconds == .max)
        #expect(account.silenceBeforeLastWriteMilliseconds == .max)
    }
}

@Suite("The limits on connections")
struct ConnectionCountTests {
    private func state(total: Int, perClient: Int) -> ConnectionCounts { ConnectionCounts(limit: total, limitPerClient: perClient) }

    private func client(_ last: UInt8, port: UInt16 = 1) -> SocketAddress { SocketAddress(bytes: [192, 0, 2, last], port: port) }

    @Test("as many as the limit are admitted, and one that leaves makes room for one")
    func total() {
        let state = state(total: 2, perClient: 0)
        #expect(state.admit(client(1), isTrusted: false) == .admitted)
        #expect(state.admit(client(1), isTrusted: true) == .admitted)
        #expect(state.admit(client(2), isTrusted: false) == .heard(.connections))
        state.leave(client(2), isCounted: true)
        #expect(state.admit(client(2), isTrusted: false) == .heard(.connections))
        state.leave(client(2), isCounted: true)
        state.leave(client(1), isCounted: true)
        #expect(state.admit(client(2), isTrusted: false) == .admitted)
    }

    @Test("above a limit a few are heard, as many refused, and what goes beyond is shed; the limit of all comes first")
    func rooms() {
        let state = state(total: 80, perClient: 16)
        let outcomes = (0..<30).map { state.admit(client(1, port: $0), isTrusted: false) }
        #expect(outcomes[..<16].allSatisfy { $0 == .admitted } && outcomes[16..<20].allSatisfy { $0 == .heard(.connectionsPerClient) })
        #expect(outcomes[20..<24].allSatisfy { $0 == .refused(.connectionsPerClient) })
        #expect(outcomes[24...].allSatisfy { $0 == .shed(.connectionsPerClient) })
        for _ in 0..<50 { #expect(state.admit(client(2), isTrusted: true) == .admitted) }
        for _ in 0..<10 { #expect(state.admit(client(1), isTrusted: false) == .heard(.connections)) }
        for _ in 0..<10 { #expect(state.admit(client(3), isTrusted: false) == .refused(.connections)) }
        #expect(state.admit(client(4), isTrusted: false) == .shed(.connections))
    }

    @Test("a further stream of a shared connection counts as half a connection, for the limit of all; one above it is not counted")
    func streams() {
        let state = state(total: 4, perClient: 2)
        #expect(state.admit(client(1), isTrusted: false) == .admitted)
        #expect((0..<8).map { _ in state.admitFurtherStream() } == [true, true, true, true, true, true, false, false])
        #expect(state.connectionCount == 1)
        #expect(state.admit(client(2), isTrusted: false) == .heard(.connections))
        state.leave(client(2), isCounted: true)
        state.leaveFurtherStreams(1)
        #expect(state.admit(client(2), isTrusted: false) == .heard(.connections))
        state.leave(client(2), isCounted: true)
        state.leaveFurtherStreams(1)
        #expect(state.admit(client(2), isTrusted: false) == .admitted)
        #expect(!state.admitFurtherStream())
        state.leaveFurtherStreams(4)
        #expect(state.admitFurtherStream())
    }

    @Test("one address has its own limit whatever its ports, and a trusted proxy has none")
    func perClient() {
        let state = state(total: 100, perClient: 2)
        #expect(state.admit(client(1, port: 10), isTrusted: false) == .admitted)
        #expect(state.admit(client(1, port: 11), isTrusted: false) == .admitted)
        #expect(state.admit(client(1, port: 12), isTrusted: false) == .heard(.connectionsPerClient))
        #expect(state.admit(client(2, port: 10), isTrusted: false) == .admitted)
        for _ in 0..<5 { #expect(state.admit(client(3), isTrusted: true) == .admitted) }
        state.leave(client(1, port: 12), isCounted: true)
        state.leave(client(1, port: 10), isCounted: true)
        #expect(state.admit(client(1, port: 13), isTrusted: false) == .admitted)
    }
}

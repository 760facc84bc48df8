// What browsers and libraries do all day, as it was measured. None of it may ever be taken for an attack.

import HTTP2
import Testing

@Suite("Honest clients of HTTP/2")
struct HonestClientTests {
    private enum Client {
        /// Chromium: 6 MiB for each stream, 15 MiB for the connection.
        static let chromium =
            Wire.preface + Wire.settings([(1, 65_536), (2, 0), (4, 6_291_456), (6, 262_144)]) + Wire.windowUpdate(0, 15_663_105)
        /// Firefox: 128 KiB for each stream, 12 MiB for the connection.
        static let firefox =
            Wire.preface + Wire.settings([(1, 65_536), (2, 0), (4, 131_072), (5, 16_384)]) + Wire.windowUpdate(0, 12_517_377)
        /// Node: 65,535 bytes for both.
        static let node = Wire.preface + Wire.settings([(2, 0)])
    }

    /// Nothing ended and nothing was refused.
    private func expectUnharmed(_ harness: Harness, sourceLocation: SourceLocation = #_sourceLocation) {
        let outcome = harness.finish()
        let ends = outcome.events.filter { $0.hasPrefix("error") || $0.hasPrefix("failed") }
        let resets = outcome.control.filter { $0.hasPrefix("RST_STREAM") || $0.hasPrefix("GOAWAY") }
        #expect(ends.isEmpty && resets.isEmpty, "\(ends.first ?? "") \(resets.first ?? "")", sourceLocation: sourceLocation)
        #expect(harness.session.isLeaving == false, sourceLocation: sourceLocation)
    }

    private func numbers(_ first: Int, _ count: Int) -> [UInt32] { (0..<count).map { UInt32(first + $0) * 2 + 1 } }

    @Test("Chromium opens its windows, and as many event streams as we announced")
    func chromium() {
        let harness = Harness()
        harness.receive(Client.chromium + Wire.settingsAnswer)
        let prioritised = numbers(0, 256).flatMap { Wire.frame(1, flags: 0x25, stream: $0, [0x80, 0, 0, 0, 219] + Wire.get) }
        harness.receive(prioritised)
        #expect(harness.session.openCount == 256)
        for number in numbers(0, 256) { harness.answer(number) }
        #expect(harness.session.room(of: 0) == 6_291_456)
        #expect(harness.session.connectionRoom == 15 << 20)
        expectUnharmed(harness)
    }

    @Test("Firefox opens each stream's window by 12 MiB at once, and gives back in small pieces")
    func firefox() {
        let harness = Harness()
        harness.receive(Client.firefox)
        for number in numbers(0, 200) {
            harness.receive(Wire.headers(number) + Wire.windowUpdate(number, 12_451_840))
            harness.answer(number)
        }
        // Each stream brings 1 MiB, which is given back for 16 KiB at a time on the stream and on the connection.
        for number in numbers(0, 200) {
            for _ in 0..<64 {
                harness.session.takeRoom(16_384, of: harness.slot(number), isLast: false)
                harness.receive(Wire.windowUpdate(number, 16_384) + Wire.windowUpdate(0, 16_384))
            }
        }
        expectUnharmed(harness)
    }

    @Test("a tab that closes cancels 100 streams in one packet, and the page opens as many again, five times in a row")
    func closingTab() {
        let harness = Harness()
        harness.receive(Client.chromium)
        for round in 0..<5 {
            let streams = numbers(round * 100, 100)
            harness.receive(streams.flatMap { Wire.headers($0) })
            harness.receive(streams.flatMap { Wire.reset($0) })
            harness.now += 1
        }
        expectUnharmed(harness)
    }

    @Test("a tab with 256 answered event streams may close and open again without end")
    func closingTabs() {
        let harness = Harness()
        harness.receive(Client.chromium)
        for round in 0..<40 {
            let streams = numbers(round * 256, 256)
            harness.receive(streams.flatMap { Wire.headers($0) })
            for number in streams { harness.answer(number) }
            harness.receive(streams.flatMap { Wire.reset($0) })
            _ = harness.session.takeControl()
        }
        expectUnharmed(harness)
    }

    @Test("a page under development cancels 20 requests each second, for five minutes")
    func development() {
        let harness = Harness()
        harness.receive(Client.chromium)
        for round in 0..<6_000 {
            harness.now += 50
            harness.outcome.events = []
            let number = UInt32(round) * 2 + 1
            #expect(harness.receive(Wire.headers(number) + Wire.reset(number)))
        }
        expectUnharmed(harness)
    }

    @Test("two WINDOW_UPDATE for each small event, on 100 streams, without end")
    func smallEvents() {
        let harness = Harness()
        harness.receive(Client.node)
        for number in numbers(0, 100) {
            harness.receive(Wire.headers(number))
            harness.answer(number)
        }
        let slots = numbers(0, 100).map { harness.slot($0) }
        var accepted = true
        for round in 0..<20_000 {
            harness.now += 1
            harness.outcome.events = []
            harness.session.takeRoom(200, of: slots[round % 100], isLast: false)
            let number = UInt32(round % 100) * 2 + 1
            accepted = accepted && harness.receive(Wire.windowUpdate(number, 200) + Wire.windowUpdate(0, 200))
        }
        #expect(accepted)
        expectUnharmed(harness)
    }

    @Test("PING every ten seconds on an idle connection, for three days")
    func pings() {
        let harness = Harness()
        harness.receive(Client.firefox + Wire.headers(1))
        harness.answer(1)
        for _ in 0..<25_920 {
            harness.now += 10_000
            harness.receive(Wire.ping())
            _ = harness.session.takeControl()
        }
        expectUnharmed(harness)
    }

    @Test("priorities: a tree of RFC 7540 at the start, PRIORITY for 256 streams when the tab changes, PRIORITY_UPDATE")
    func priorities() {
        let harness = Harness()
        harness.receive(Client.firefox + [3, 5, 7, 9, 11, 13].flatMap { Wire.priority($0) })
        harness.receive(numbers(10, 256).flatMap { Wire.headers($0) })
        for _ in 0..<3 { harness.receive(numbers(10, 256).flatMap { Wire.priority($0) }) }
        harness.now += 60_000
        for _ in 0..<3 { harness.receive(numbers(10, 256).flatMap { Wire.priorityUpdate($0) }) }
        expectUnharmed(harness)
    }

    @Test("a large upload in frames of 16 KiB, and one in frames of 100 bytes")
    func uploads() {
        for size in [16_384, 100] {
            let harness = Harness()
            harness.receive(Client.node + Wire.headers(1, Wire.post, ends: false))
            let frame = Wire.data(1, [UInt8](repeating: 0x61, count: size))
            var accepted = true
            for _ in 0..<1_000 {
                harness.outcome.events = []
                accepted = accepted && harness.receive(frame)
                harness.session.consumed(size, of: harness.slot(1))
                _ = harness.session.takeControl()
            }
            #expect(accepted)
            expectUnharmed(harness)
        }
    }

    @Test("uploads that are refused before they were read: what is on its way is no fault, many times in a row")
    func refusedUploads() {
        let harness = Harness()
        harness.receive(Client.node)
        let piece = [UInt8](repeating: 0x61, count: 16_383)
        for number in numbers(0, 500) {
            harness.receive(Wire.headers(number, Wire.post, ends: false))
            var output: [UInt8] = []
            harness.session.appendHeaders([0x8C], for: harness.slot(number), isLast: true, to: &output)
            harness.session.answered(harness.slot(number))
            harness.session.release(harness.slot(number))
            for _ in 0..<4 { harness.receive(Wire.data(number, piece)) }
            harness.receive(Wire.reset(number))
            harness.now += 40
            #expect(Wire.words(harness.session.takeControl()).filter { $0.hasPrefix("RST_STREAM") } == ["RST_STREAM \(number) NO_ERROR"])
        }
        #expect(harness.outcome.events.count == 500)
        expectUnharmed(harness)
    }

    @Test("a client that does not know our limit yet may ask for 500 streams at once: those over it are refused, nothing more")
    func eager() {
        let harness = Harness(releases: false)
        harness.receive(Client.node + numbers(0, 500).flatMap { Wire.headers($0, Wire.post, ends: false) + Wire.data($0, [1], ends: true) })
        let outcome = harness.finish()
        #expect(outcome.events.filter { $0.hasPrefix("request") }.count == 256)
        #expect(outcome.control.filter { $0.hasSuffix("REFUSED_STREAM") }.count == 244)
        #expect(outcome.control.filter { $0.hasPrefix("GOAWAY") || $0.hasSuffix("STREAM_CLOSED") }.isEmpty)
    }

    @Test("a client that probes the bandwidth with PING and SETTINGS, ten times a second, for ten minutes")
    func probing() {
        let harness = Harness()
        harness.receive(Client.node + Wire.headers(1))
        var accepted = true
        for round in 0..<6_000 {
            harness.now += 100
            accepted = accepted && harness.receive(Wire.ping() + Wire.settings([(4, UInt32(65_535 + round))]))
            _ = harness.session.takeControl()
        }
        #expect(accepted)
        expectUnharmed(harness)
    }
}

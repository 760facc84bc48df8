// Each row of the table of floods: what an attacker sends, and that the connection ends, or the stream does, before it costs much.
//
// What an honest client sends in the same moments is in HonestClientTests.

import HTTP2
import Testing

@Suite("Floods of HTTP/2")
struct FloodTests {
    /// Sends the same again until the connection ends. Returns how often the whole of it was accepted, at most `most` times.
    private func flood(
        _ harness: Harness, most: Int = 200_000, each: Int64 = 0, _ frames: (Int) -> [UInt8]
    ) -> Int {
        for round in 0..<most {
            harness.now += each
            harness.outcome.events = harness.outcome.events.suffix(1)
            if !harness.receive(frames(round)) { return round }
            _ = harness.session.takeControl()
        }
        return most
    }

    private func number(_ round: Int) -> UInt32 { UInt32(round) * 2 + 1 }

    /// The flood is accepted so many times at once. Then the connection ends as abuse.
    private func expectAbuse(
        _ times: ClosedRange<Int>, start: [UInt8] = Wire.start, limits: SessionLimits = SessionLimits(),
        sourceLocation: SourceLocation = #_sourceLocation, _ frames: (Int) -> [UInt8]
    ) {
        let harness = Harness(limits)
        harness.receive(start)
        let count = flood(harness, frames)
        #expect(times ~= count, "\(count)", sourceLocation: sourceLocation)
        #expect(harness.finish().endsConnection(.enhanceYourCalm, isAbuse: true), "\(harness.outcome)", sourceLocation: sourceLocation)
        // From then on there is only that error.
        #expect(!harness.receive(Wire.ping()), sourceLocation: sourceLocation)
    }

    // MARK: Streams that end before an answer

    @Test("rapid reset: a client that opens streams and resets them ends after two times the streams that it may have")
    func rapidReset() {
        expectAbuse(512...512) { Wire.headers(number($0)) + Wire.reset(number($0)) }
    }

    @Test("rapid reset at a rate that is a little too high ends later, and within the rate never")
    func rapidResetByRate() {
        let fast = Harness()
        fast.receive(Wire.start)
        let count = flood(fast, most: 5_000, each: 10) { Wire.headers(number($0)) + Wire.reset(number($0)) }
        #expect(1_000...1_050 ~= count)
        let slow = Harness()
        slow.receive(Wire.start)
        #expect(flood(slow, most: 5_000, each: 20) { Wire.headers(number($0)) + Wire.reset(number($0)) } == 5_000)
    }

    @Test("malformed requests that make us reset their streams count as if the client had reset them")
    func malformedRequests() {
        let harness = Harness()
        harness.receive(Wire.start)
        var count = 0
        while count < 2_000, harness.receive(Wire.headers(number(count))) {
            let slot = harness.slot(number(count))
            harness.session.reset(slot, .protocolError)
            harness.session.release(slot)
            _ = harness.session.takeControl()
            count += 1
        }
        #expect(count == 513)
        #expect(harness.finish().endsConnection(.enhanceYourCalm, isAbuse: true))
    }

    @Test("made-you-reset: each fault that makes us reset a stream counts as if the client had reset it")
    func madeYouReset() {
        let faults: [(UInt32) -> [UInt8]] = [
            { Wire.windowUpdate($0, 0) }, { Wire.windowUpdate($0, 0x7FFF_FFFF) }, { Wire.data($0, [1]) },
            { Wire.headers($0, Wire.trailer) },
            { Wire.frame(2, stream: $0, [0]) },
        ]
        for fault in faults { expectAbuse(512...512) { Wire.headers(number($0)) + fault(number($0)) } }
    }

    @Test("faults on streams that were answered already are glitches")
    func faultsAfterAnswers() {
        let harness = Harness()
        harness.receive(Wire.start)
        var count = 0
        while count < 5_000, harness.receive(Wire.headers(number(count))) {
            harness.answer(number(count))
            guard harness.receive(Wire.windowUpdate(number(count), 0)) else { break }
            _ = harness.session.takeControl()
            count += 1
        }
        #expect(1_000...1_001 ~= count)
        #expect(harness.finish().endsConnection(.enhanceYourCalm, isAbuse: true))
    }

    @Test("streams over the limit are refused, and a client that goes on all the same is asked to leave, then ends")
    func refusals() {
        let harness = Harness(releases: false)
        harness.receive(Wire.start)
        for round in 0..<256 { harness.receive(Wire.headers(number(round))) }
        _ = harness.session.takeControl()
        var leftAfter = 0
        var refused = 0
        while refused < 5_000, harness.receive(Wire.headers(number(256 + refused))) {
            refused += 1
            let control = Wire.words(harness.session.takeControl())
            #expect(control.first?.hasSuffix("REFUSED_STREAM") == true)
            if control.contains("GOAWAY 2147483647 NO_ERROR") { leftAfter = refused }
        }
        #expect(751...752 ~= leftAfter && 1_000...1_001 ~= refused)
        #expect(harness.finish().endsConnection(.enhanceYourCalm, isAbuse: true))
    }

    // MARK: Field blocks

    @Test("CONTINUATION flood: a field block over 64 KiB, of more than 16 frames or with more than two empty ones ends the connection")
    func continuation() {
        func block(_ frames: [[UInt8]]) -> [UInt8] {
            Wire.frame(1, flags: 1, stream: 1, frames[0]) + frames.dropFirst().flatMap { Wire.frame(9, stream: 1, $0) }
        }
        let piece = [UInt8](repeating: 0x82, count: 16_384)
        let bombs = [
            block([[UInt8]](repeating: piece, count: 4) + [[0x82]]), block([[UInt8]](repeating: [0x82], count: 17)), block([[], [], []]),
            block([[0x82], [], [], []]),
        ]
        for bomb in bombs {
            let harness = Harness()
            #expect(!harness.receive(Wire.start + bomb))
            #expect(harness.finish().endsConnection(.enhanceYourCalm, isAbuse: true) && harness.outcome.events.count == 1)
        }
        let harness = Harness()
        let pieces = [[0x82], [0x87], [], [0x84], []] + [UInt8](repeating: 0x84, count: 11).map { [$0] }
        harness.receive(Wire.start + block(pieces.dropLast()) + Wire.frame(9, flags: 4, stream: 1, pieces.last!))
        #expect(harness.finish().events.first?.hasPrefix("request 1") == true)
    }

    @Test("HPACK bomb: of a block that is too large nothing is stored, the connection goes on, and over 1,000 fields it ends")
    func fieldBombs() {
        // A field of 4,000 bytes enters the table, and each octet names it once more.
        let large = [0x40, 1, 0x78] + [0x7F, 0xA1, 0x1E] + [UInt8](repeating: 0x61, count: 4_000)
        let harness = Harness()
        harness.receive(Wire.start + Wire.headers(1, Wire.get + large + [UInt8](repeating: 0xBE, count: 900)))
        #expect(harness.outcome.events.count == 1 && harness.isTooLarge && harness.fieldBytes < 65_536)
        harness.receive(Wire.headers(3))
        #expect(harness.outcome.events.count == 2 && !harness.isTooLarge)
        harness.receive(Wire.headers(5, [UInt8](repeating: 0x82, count: 1_001)))
        #expect(harness.finish().endsConnection(.enhanceYourCalm, isAbuse: true))
    }

    @Test("a head that does not come to its end can be told by the deadline of heads")
    func slowHead() {
        let harness = Harness()
        func receive(_ bytes: [UInt8]) -> Bool {
            harness.receive(bytes)
            return harness.session.isInsideHead
        }
        #expect(receive([]) && receive(Array(Wire.preface.prefix(10))) && receive(Array(Wire.preface.dropFirst(10))))
        #expect(receive(Array(Wire.settings().prefix(5))) && !receive(Array(Wire.settings().dropFirst(5))))
        #expect(receive(Wire.frame(1, flags: 1, stream: 1, [0x82], length: 3)) && receive([0x87]) && receive([0x84]))
        #expect(!receive(Wire.frame(9, flags: 4, stream: 1)) && harness.outcome.events.count == 1)
    }

    // MARK: Answers that are not read

    @Test("control frames that a client provokes and does not read are bounded by 16 KiB")
    func unreadControl() {
        let provocations: [[UInt8]] = [Wire.ping(), Wire.settings()]
        for provocation in provocations {
            let harness = Harness()
            harness.receive(Wire.start)
            var count = 0
            while count < 10_000, harness.receive(provocation) {
                count += 1
                harness.now += 100
            }
            #expect(harness.session.control.count < 16_384 + 200)
            #expect(16_384 / 17...16_384 / 9 ~= count)
            #expect(harness.finish().endsConnection(.enhanceYourCalm, isAbuse: true))
        }
    }

    @Test("PING, SETTINGS, their answers, PRIORITY, PRIORITY_UPDATE, GOAWAY and unknown frames are bounded by rate")
    func chatter() {
        let floods: [[UInt8]] = [
            Wire.ping(), Wire.ping(isAnswer: true), Wire.settings(), Wire.settingsAnswer, Wire.priority(1), Wire.priority(77),
            Wire.priorityUpdate(1), Wire.goAway(), Wire.frame(99, stream: 0), Wire.frame(99, flags: 1, stream: 5, [1, 2]),
        ]
        for frame in floods {
            expectAbuse(2_020...2_025) { _ in frame }
            let slow = Harness()
            slow.receive(Wire.start)
            #expect(flood(slow, most: 5_000, each: 10) { _ in frame } == 5_000)
        }
    }

    @Test("SETTINGS of more than 64 entries end the connection")
    func manySettings() {
        func entries(_ count: Int) -> [UInt8] { Wire.settings([(UInt16, UInt32)](repeating: (3, 1), count: count)) }
        let harness = Harness()
        #expect(harness.receive(Wire.start + entries(64)) && !harness.receive(entries(65)))
        #expect(harness.finish().endsConnection(.enhanceYourCalm, isAbuse: true))
    }

    @Test("changes of INITIAL_WINDOW_SIZE cost as much as there are streams to move")
    func windowChanges() {
        let changes = Wire.settings((0..<64).map { (4, UInt32(1_000 + $0)) })
        let streams = (0..<250).flatMap { Wire.headers(number($0)) }
        expectAbuse(4...4, start: Wire.start + streams) { _ in changes }
        expectAbuse(1_020...1_025) { _ in changes }
    }

    // MARK: DATA that carries nothing

    @Test("empty DATA: the seventeenth in a row ends its stream and no other, padded or not")
    func emptyData() {
        for empty in [Wire.data(1), Wire.padded(1, [], 0), Wire.padded(1, [], 9)] {
            let harness = Harness()
            harness.receive(Wire.start + Wire.headers(1, Wire.post, ends: false) + Wire.headers(3))
            for _ in 0..<16 { harness.receive(empty) }
            harness.receive(Wire.data(1, [0x61]))
            for _ in 0..<16 { harness.receive(empty) }
            #expect(harness.outcome.events.last == "data 1 a")
            harness.receive(empty + empty)
            let outcome = harness.finish()
            #expect(outcome.events.last == "failed 1 ENHANCE_YOUR_CALM: many empty DATA frames")
            #expect(outcome.control.filter { $0.hasPrefix("RST") } == ["RST_STREAM 1 ENHANCE_YOUR_CALM"])
        }
        expectAbuse(62...62) { round in
            Wire.headers(number(round), Wire.post, ends: false) + (0..<17).flatMap { _ in Wire.data(number(round)) }
        }
    }

    @Test("padding: bytes that carry nothing are bounded by what the payload earns")
    func overhead() {
        let start = Wire.start + Wire.headers(1, Wire.post, ends: false)
        // 265 bytes of overhead for one of payload: 8 MiB of it at once.
        let frames = (0..<100).flatMap { _ in Wire.padded(1, [0x61], 255) }
        let harness = Harness()
        harness.receive(start)
        let rounds = flood(harness, most: 2_000) { _ in
            harness.session.consumed(harness.outcome.events.last!.hasPrefix("data") ? 100 : 0, of: harness.slot(1))
            return frames
        }
        #expect(320...330 ~= rounds)
        #expect(harness.finish().endsConnection(.enhanceYourCalm, isAbuse: true))
    }

    @Test("DATA without end for streams that were reset is bounded by rate")
    func lateData() {
        expectAbuse(2_000...2_030, start: Wire.start + Wire.headers(1, Wire.post, ends: false) + Wire.windowUpdate(1, 0)) { _ in
            Wire.data(1, [1, 2, 3])
        }
    }

    @Test("field blocks without end for streams that were reset, or that a final GOAWAY left out, are bounded by rate")
    func lateHeaders() {
        expectAbuse(2_000...2_030, start: Wire.start + Wire.headers(1, Wire.post, ends: false) + Wire.windowUpdate(1, 0)) { _ in
            Wire.headers(1, Wire.trailer)
        }
        let harness = Harness()
        harness.receive(Wire.start + Wire.headers(1))
        harness.session.goAway(.noError, isFinal: true)
        #expect(2_000...2_030 ~= flood(harness) { Wire.headers(number($0 + 1)) })
        #expect(harness.finish().endsConnection(.enhanceYourCalm, isAbuse: true))
    }

    // MARK: Frames that ask for nothing

    @Test("WINDOW_UPDATE without end is bounded by the streams and by what we sent")
    func windowUpdates() {
        expectAbuse(1_005...1_006) { _ in Wire.windowUpdate(0, 1) }
        let harness = Harness()
        harness.receive(Wire.start + Wire.headers(1))
        for _ in 0..<100 { harness.session.takeRoom(1, of: harness.slot(1), isLast: false) }
        #expect(3_007...3_008 ~= flood(harness) { _ in Wire.windowUpdate(1, 1) })
    }

    @Test("RST_STREAM without end for closed streams is bounded the same way")
    func lateResets() { expectAbuse(1_005...1_010, start: Wire.start + Wire.headers(1) + Wire.reset(1)) { _ in Wire.reset(1) } }

    // MARK: The counter of glitches

    @Test("after three quarters of the glitches the client is asked for another connection, once, and its streams go on")
    func glitches() {
        let harness = Harness()
        harness.receive(Wire.start + Wire.headers(1, Wire.post, ends: false))
        for _ in 0..<5 + 2 + 740 { harness.receive(Wire.windowUpdate(1, 1)) }
        #expect(harness.session.isLeaving == false)
        for _ in 0..<100 { harness.receive(Wire.windowUpdate(1, 1)) }
        #expect(harness.session.isLeaving == true)
        harness.receive(Wire.data(1, [0x61], ends: true) + Wire.headers(3))
        #expect(harness.outcome.events.suffix(2).first == "data 1 a end" && harness.outcome.events.last!.hasPrefix("request 3"))
        #expect(harness.finish().control == ["SETTINGS ack", "GOAWAY 2147483647 NO_ERROR"])
    }

    @Test("a clock that goes back, stands still or leaps by years changes no budget for the worse")
    func clocks() {
        let harness = Harness()
        harness.receive(Wire.start)
        for (round, now) in [Int64(5), 1_000, 0, 1 << 62, 1 << 62, 77].enumerated() {
            harness.now = now
            #expect(harness.receive(Wire.headers(number(round)) + Wire.reset(number(round))))
        }
    }
}

// Windows both ways (RFC 9113 section 6.9): what we may send, what the client may send, and what is given back to it.

import HTTP2
import Testing

@Suite("Windows of HTTP/2")
struct WindowTests {
    private func piece(_ count: Int) -> [UInt8] { [UInt8](repeating: 0x61, count: count) }

    // MARK: Ours to send

    @Test("what may be sent is the smaller of the stream's and the connection's window")
    func room() {
        let harness = Harness()
        harness.receive(Wire.start + Wire.headers(1) + Wire.headers(3))
        let (first, second) = (harness.slot(1), harness.slot(3))
        #expect(harness.session.room(of: first) == 65_535 && harness.session.maximumPayload == 16_384)
        harness.session.takeRoom(10_000, of: first, isLast: false)
        let rooms = [harness.session.streamRoom(of: first), harness.session.streamRoom(of: second), harness.session.connectionRoom]
        #expect(rooms == [55_535, 65_535, 55_535])
        harness.receive(Wire.windowUpdate(0, 100_000))
        #expect([harness.session.room(of: first), harness.session.room(of: second)] == [55_535, 65_535])
        harness.receive(Wire.windowUpdate(1, 5))
        #expect(harness.session.room(of: first) == 55_540)
        #expect(harness.outcome.events.suffix(2) == ["window all", "window 1"])
    }

    @Test("room for a frame is claimed whole or not at all: by windows, by the frame's size, by what is in flight, by the stream's state")
    func claims() {
        let harness = Harness()
        harness.receive(Wire.start + Wire.headers(1) + Wire.headers(3) + Wire.headers(5))
        let (first, second, third) = (harness.slot(1), harness.slot(3), harness.slot(5))
        #expect(harness.session.claimRoom(16_385, of: first, mostInFlight: .max) == nil)
        #expect(harness.session.claimRoom(0, of: first, mostInFlight: .max) == nil)
        #expect(harness.session.claimRoom(16_384, of: first, mostInFlight: 16_383) == nil)
        #expect(harness.session.room(of: first) == 65_535)
        #expect(harness.session.claimRoom(16_384, of: first, mostInFlight: 16_384) == 1)
        #expect([harness.session.room(of: first), harness.session.room(of: second)] == [49_151, 49_151])
        #expect(harness.session.claimRoom(1, of: first, mostInFlight: 16_384) == nil)
        for _ in 0..<2 { #expect(harness.session.claimRoom(16_384, of: second, mostInFlight: .max) == 3) }
        // The connection has 16,383 left.
        #expect(harness.session.claimRoom(16_384, of: third, mostInFlight: .max) == nil)
        harness.receive(Wire.settings([(4, 100)]))
        #expect(harness.session.claimRoom(101, of: third, mostInFlight: .max) == nil)
        #expect(harness.session.claimRoom(100, of: third, mostInFlight: .max) == 5)
        harness.receive(Wire.windowUpdate(5, 1_000))
        harness.session.takeRoom(1, of: third, isLast: true)
        #expect(harness.session.claimRoom(1, of: third, mostInFlight: .max) == nil)
    }

    @Test("a smaller INITIAL_WINDOW_SIZE moves the windows of open streams, below zero too, and a larger one opens them again")
    func initialWindow() {
        let harness = Harness()
        harness.receive(Wire.start + Wire.headers(1) + Wire.headers(3))
        let (first, second) = (harness.slot(1), harness.slot(3))
        harness.session.takeRoom(1_000, of: first, isLast: false)
        harness.receive(Wire.settings([(4, 500)]))
        #expect([harness.session.room(of: first), harness.session.room(of: second)] == [0, 500])
        harness.receive(Wire.windowUpdate(1, 499))
        #expect(harness.session.room(of: first) == 0)
        harness.receive(Wire.windowUpdate(1, 2))
        #expect(harness.session.room(of: first) == 1)
        harness.receive(Wire.settings([(4, 0), (4, 600)]) + Wire.headers(5))
        #expect([first, second, harness.slot(5)].map { harness.session.streamRoom(of: $0) } == [101, 600, 600])
        #expect(harness.outcome.events.filter { $0 == "window all" }.count == 1)
    }

    @Test("the lowest possible window, and the way back, overflow nothing")
    func lowest() {
        let harness = Harness()
        harness.receive(Wire.preface + Wire.settings([(4, 0x7FFF_FFFF)]) + Wire.windowUpdate(0, 0x7FFF_FFFF - 65_535) + Wire.headers(1))
        let slot = harness.slot(1)
        harness.session.takeRoom(0x7FFF_FFFF, of: slot, isLast: false)
        harness.receive(Wire.settings([(4, 0)]))
        #expect(harness.session.room(of: slot) == 0)
        harness.receive(Wire.windowUpdate(1, 0x7FFF_FFFF) + Wire.windowUpdate(1, 7) + Wire.windowUpdate(0, 0x7FFF_FFFF))
        #expect(harness.session.room(of: slot) == 7)
    }

    @Test("nothing may be sent on a stream that has ended or was reset, and its window is of no interest")
    func ended() {
        let harness = Harness()
        harness.receive(Wire.start + Wire.headers(1, Wire.post, ends: false) + Wire.headers(3))
        harness.session.takeRoom(5, of: harness.slot(1), isLast: true)
        harness.session.reset(harness.slot(3), .cancel)
        #expect([1, 3].map { harness.session.room(of: harness.slot($0)) } == [0, 0])
        harness.receive(Wire.windowUpdate(1, 5) + Wire.windowUpdate(3, 5))
        #expect(harness.outcome.events.count == 2)
    }

    @Test("the end of an answer needs no window")
    func endWithoutWindow() {
        let harness = Harness()
        harness.receive(Wire.preface + Wire.settings([(4, 0)]) + Wire.headers(1))
        let slot = harness.slot(1)
        #expect(harness.session.room(of: slot) == 0)
        harness.session.takeRoom(0, of: slot, isLast: true)
        #expect(harness.session.isClosed(slot) == true)
    }

    // MARK: The client's to send

    @Test("bytes that the exchange took are given back in halves of the window, to the stream and to the connection")
    func givenBack() {
        var limits = SessionLimits()
        limits.connectionWindowBytes = 131_070
        let harness = Harness(limits)
        harness.receive(Wire.start + Wire.headers(1, Wire.post, ends: false))
        let slot = harness.slot(1)
        _ = harness.session.takeControl()
        harness.receive(Wire.data(1, piece(16_384)) + Wire.data(1, piece(16_384)))
        harness.session.consumed(16_384, of: slot)
        #expect(harness.session.hasControl == false)
        harness.session.consumed(16_384, of: slot)
        #expect(Wire.words(harness.session.takeControl()) == ["WINDOW_UPDATE 1 +32768"])
        for _ in 0..<3 { harness.receive(Wire.data(1, piece(16_384))) }
        harness.session.consumed(49_152, of: slot)
        #expect(Wire.words(harness.session.takeControl()) == ["WINDOW_UPDATE 1 +49152", "WINDOW_UPDATE +81920"])
        #expect(harness.outcome.events.allSatisfy { !$0.hasPrefix("error") })
    }

    @Test("a body of any length passes when each piece is taken, and none is refused")
    func longBody() {
        let harness = Harness()
        harness.receive(Wire.start + Wire.headers(1, Wire.post, ends: false))
        let slot = harness.slot(1)
        var (stream, connection) = (65_535, 1 << 20)
        for number in 0..<500 {
            let count = 1 + number * 37 % 16_384
            #expect(stream >= count && connection >= count)
            harness.outcome.events = []
            #expect(harness.receive(Wire.data(1, piece(count))))
            (stream, connection) = (stream - count, connection - count)
            harness.session.consumed(count, of: slot)
            for frame in Wire.words(harness.session.takeControl()) {
                let increment = Int(frame.split(separator: "+").last!) ?? 0
                if frame.hasPrefix("WINDOW_UPDATE 1") { stream += increment } else { connection += increment }
            }
        }
    }

    @Test("padding is given back at once, because no exchange sees it")
    func padding() {
        let harness = Harness()
        harness.receive(Wire.start + Wire.headers(1, Wire.post, ends: false))
        _ = harness.session.takeControl()
        for _ in 0..<128 { harness.receive(Wire.padded(1, [], 255) + Wire.padded(1, [0x61], 255)) }
        harness.session.consumed(128, of: harness.slot(1))
        #expect(Wire.words(harness.session.takeControl()) == ["WINDOW_UPDATE 1 +32768", "WINDOW_UPDATE 1 +32768"])
    }

    @Test("DATA of streams that are refused, reset, closed or released is given back to the connection, or the others starve")
    func starvation() {
        var limits = SessionLimits()
        limits.connectionWindowBytes = 65_535
        limits.maximumStreams = 3
        let harness = Harness(limits)
        harness.receive(Wire.start + Wire.headers(1))
        var given = 65_535
        for round in 0..<100 as Range<UInt32> {
            let number = 3 + round * 8
            harness.receive(Wire.headers(number, Wire.post, ends: false) + Wire.headers(number + 2, Wire.post, ends: false))
            #expect(harness.receive(Wire.headers(number + 4, Wire.post, ends: false) + Wire.data(number + 4, piece(5_000))))
            harness.receive(Wire.data(number, piece(5_000)) + Wire.data(number + 2, piece(5_000)))
            let (first, second) = (harness.slot(number), harness.slot(number + 2))
            // One is half taken and reset by the client, the other is answered at once; both send more.
            harness.session.consumed(1_000, of: first)
            harness.receive(Wire.reset(number) + Wire.data(number, piece(2_000)))
            var output: [UInt8] = []
            harness.session.appendHeaders([0x88], for: second, isLast: true, to: &output)
            harness.session.release(second)
            #expect(harness.receive(Wire.data(number + 2, piece(2_000))))
            given -= 19_000
            harness.now += 1_000
            for frame in Wire.words(harness.session.takeControl()) where frame.hasPrefix("WINDOW_UPDATE +") {
                given += Int(frame.dropFirst("WINDOW_UPDATE +".count))!
            }
            #expect(given > 65_535 / 2)
        }
        #expect(harness.outcome.events.allSatisfy { !$0.hasPrefix("error") && !$0.hasPrefix("failed") })
    }

    @Test("a stream that is reset in the middle of a DATA frame gives back the whole frame, and nothing of the rest is told")
    func resetInsideData() {
        var limits = SessionLimits()
        limits.connectionWindowBytes = 65_535
        let harness = Harness(limits)
        harness.receive(Wire.start + Wire.headers(1, Wire.post, ends: false))
        let frames = Wire.data(1, piece(16_384)) + Wire.data(1, piece(16_384))
        harness.receive(Array(frames.prefix(20_000)))
        harness.session.reset(harness.slot(1), .cancel)
        harness.session.release(harness.slot(1))
        let told = harness.outcome.events
        harness.receive(Array(frames.dropFirst(20_000)) + Wire.ping())
        #expect(harness.outcome.events == told)
        #expect(
            harness.finish().control == [
                "SETTINGS ack", "RST_STREAM 1 CANCEL", "WINDOW_UPDATE +32768", "PING ack 3132333435363738",
            ])
    }

    @Test("a DATA frame that is too long, and ends its stream, is given back to the connection too")
    func overlong() {
        var limits = SessionLimits()
        limits.connectionWindowBytes = 65_535
        let harness = Harness(limits)
        harness.receive(Wire.start + Wire.headers(1, Wire.post, ends: false) + Wire.data(1, piece(40_000)))
        #expect(harness.finish().control == ["SETTINGS ack", "WINDOW_UPDATE +40000", "RST_STREAM 1 FRAME_SIZE_ERROR"])
    }

    @Test("many unread bodies stop at the connection's window, which bounds what may wait")
    func bounded() {
        let harness = Harness()
        harness.receive(Wire.start)
        for number in stride(from: 1 as UInt32, to: 35, by: 2) { harness.receive(Wire.headers(number, Wire.post, ends: false)) }
        for number in stride(from: 1 as UInt32, to: 35, by: 2) {
            for _ in 0..<4 where !harness.receive(Wire.data(number, piece(16_383))) { break }
        }
        #expect(harness.finish().endsConnection(.flowControlError))
        let received = harness.outcome.events.filter { $0.hasPrefix("data") }.map { $0.utf8.count - 7 }.reduce(0, +)
        #expect(received > 1_000_000 && received <= 1 << 20)
    }
}

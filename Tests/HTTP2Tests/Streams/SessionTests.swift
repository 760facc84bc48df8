// A connection's course as an honest client has it: its beginning, requests, bodies, ends.

import HTTP2
import Testing

@Suite("A session of HTTP/2")
struct SessionTests {
    @Test("says its SETTINGS at once, without waiting for the client, and opens the connection's window")
    func beginning() {
        var session = Session(limits: SessionLimits(), now: 0)
        #expect(Wire.words(session.takeControl()) == ["SETTINGS 3=256 6=65536 9=1", "WINDOW_UPDATE +983041"])
        #expect(!session.hasControl && session.takeControl().isEmpty)
        var limits = SessionLimits()
        limits.allowsExtendedConnect = true
        limits.connectionWindowBytes = 65_535
        limits.streamWindowBytes = 100_000
        limits.maximumStreams = 7
        var other = Session(limits: limits, now: 0)
        #expect(Wire.words(other.takeControl()) == ["SETTINGS 3=7 6=65536 9=1 4=100000 8=1"])
    }

    @Test("gives a request with its fields, and acknowledges SETTINGS once")
    func request() {
        let outcome = inEverySplit(Wire.headers(1) + Wire.settingsAnswer + Wire.headers(3, Wire.post, ends: false))
        #expect(
            outcome.events == [
                "request 1 [:method=GET, :scheme=https, :path=/, :authority=a] end",
                "request 3 [:method=POST, :scheme=https, :path=/, :authority=a]",
            ])
        #expect(outcome.control == ["SETTINGS ack"])
    }

    @Test("puts a field block over HEADERS and CONTINUATION together")
    func continuation() {
        let pieces =
            Wire.frame(1, flags: 1, stream: 1, Array(Wire.get[..<2])) + Wire.frame(9, stream: 1, Array(Wire.get[2..<4]))
            + Wire.frame(9, flags: 4, stream: 1, Array(Wire.get[4...]))
        #expect(inEverySplit(pieces).events == ["request 1 [:method=GET, :scheme=https, :path=/, :authority=a] end"])
    }

    @Test("takes padding and priority off HEADERS")
    func paddedHeaders() {
        let padded = Wire.frame(1, flags: 0x2D, stream: 1, [3] + [0x80, 0, 0, 0, 200] + Wire.get + [0, 0, 0])
        #expect(inEverySplit(padded).events == ["request 1 [:method=GET, :scheme=https, :path=/, :authority=a] end"])
    }

    @Test("gives the data of a body without its padding, and its end once")
    func body() {
        let body =
            Wire.headers(1, Wire.post, ends: false) + Wire.data(1, Array("one".utf8)) + Wire.padded(1, Array(" two".utf8), 5)
            + Wire.data(1) + Wire.data(1, Array(" three".utf8), ends: true)
        let outcome = inEverySplit(body)
        #expect(outcome.events.dropFirst() == ["data 1 one two three end"])
        #expect(outcome.control == ["SETTINGS ack"])
        for ending in [Wire.data(1, ends: true), Wire.padded(1, [], 7, ends: true)] {
            #expect(inEverySplit(Wire.headers(1, Wire.post, ends: false) + ending).events.last == "data 1  end")
        }
    }

    @Test("ends a body with trailers")
    func trailers() {
        let body = Wire.headers(1, Wire.post, ends: false) + Wire.data(1, Array("x".utf8)) + Wire.headers(1, Wire.trailer)
        #expect(inEverySplit(body).events.dropFirst() == ["data 1 x", "trailers 1 1"])
    }

    @Test("answers PING with the same octets, and never an answer")
    func ping() {
        let outcome = inEverySplit(Wire.ping() + Wire.ping(isAnswer: true))
        #expect(outcome.events.isEmpty && outcome.control == ["SETTINGS ack", "PING ack 3132333435363738"])
    }

    @Test("tells of the answer to its last PING only, and once")
    func pong() {
        let harness = Harness()
        harness.receive(Wire.start)
        harness.session.ping()
        let first = Array(harness.session.takeControl().suffix(8))
        harness.session.ping()
        let second = Array(harness.session.takeControl().suffix(8))
        #expect(first != second)
        harness.receive(Wire.ping(first, isAnswer: true))
        #expect(harness.outcome.events.isEmpty)
        harness.receive(Wire.ping(second, isAnswer: true) + Wire.ping(second, isAnswer: true))
        #expect(harness.finish() == Outcome(events: ["pong"]))
    }

    @Test("tells that the client leaves, and goes on with the streams that are open")
    func clientLeaves() {
        let outcome = inEverySplit(
            Wire.headers(1, Wire.post, ends: false) + Wire.goAway(debug: Array("bye".utf8)) + Wire.data(1, [0x61], ends: true))
        #expect(outcome.events.dropFirst() == ["goaway NO_ERROR", "data 1 a end"])
    }

    @Test("has slots that are small, dense and used again")
    func slots() {
        let harness = Harness()
        harness.receive(Wire.start + Wire.headers(1) + Wire.headers(3) + Wire.headers(5))
        #expect(harness.slots == [1: 0, 3: 1, 5: 2] && harness.session.openCount == 3 && harness.session.highestStream == 5)
        harness.receive(Wire.reset(3))
        harness.receive(Wire.headers(7) + Wire.headers(9))
        #expect(harness.slots == [1: 0, 7: 1, 5: 2, 9: 3])
        #expect(harness.session.number(of: 1) == 7)
    }

    @Test("closes a stream that ended on both sides, and asks for the slot back only when the exchange is over")
    func bothEnds() {
        let harness = Harness()
        harness.receive(Wire.start + Wire.headers(1, Wire.post, ends: false))
        let slot = harness.slot(1)
        harness.answer(1)
        harness.receive(Wire.data(1, [0x61], ends: true))
        #expect(harness.session.isRemoteEnded(slot) && !harness.session.isClosed(slot))
        harness.session.takeRoom(0, of: slot, isLast: true)
        #expect(harness.session.isClosed(slot) && harness.session.openCount == 0)
        harness.receive(Wire.headers(3))
        #expect(harness.slot(3) != slot)
        harness.session.release(slot)
        harness.receive(Wire.headers(5))
        #expect(harness.slot(5) == slot)
        #expect(harness.finish().control == ["SETTINGS ack"])
    }

    @Test("asks a client to stop a request whose answer is whole, and ignores what was on its way")
    func earlyAnswer() {
        let harness = Harness()
        harness.receive(Wire.start + Wire.headers(1, Wire.post, ends: false) + Wire.data(1, [0x61]))
        var output: [UInt8] = []
        harness.session.appendHeaders([0x8D], for: harness.slot(1), isLast: true, to: &output)
        #expect(Wire.words(output) == ["HEADERS 1 end whole"])
        #expect(harness.session.isClosed(harness.slot(1)) == false)
        harness.session.release(harness.slot(1))
        harness.receive(Wire.data(1, [0x61], ends: true) + Wire.headers(1, Wire.trailer) + Wire.windowUpdate(1, 1) + Wire.reset(1))
        #expect(harness.finish().control == ["SETTINGS ack", "RST_STREAM 1 NO_ERROR"])
        #expect(harness.outcome.events == ["request 1 [:method=POST, :scheme=https, :path=/, :authority=a]", "data 1 a"])
    }

    @Test("cuts an answer that did not end with INTERNAL_ERROR when its exchange is over, and resets a stream once")
    func cutAnswer() {
        let harness = Harness()
        harness.receive(Wire.start + Wire.headers(1) + Wire.headers(3))
        harness.answer(1)
        harness.session.release(harness.slot(1))
        harness.session.reset(harness.slot(3), .cancel)
        harness.session.reset(harness.slot(3), .internalError)
        harness.session.release(harness.slot(3))
        #expect(harness.finish().control == ["SETTINGS ack", "RST_STREAM 1 INTERNAL_ERROR", "RST_STREAM 3 CANCEL"])
    }

    @Test("says GOAWAY in two steps: it serves what was on its way, then ignores what comes later, and never names a higher stream")
    func goAway() {
        let harness = Harness()
        harness.receive(Wire.start + Wire.headers(1))
        harness.session.goAway(.noError, isFinal: false)
        #expect(harness.session.isLeaving == true)
        harness.receive(Wire.headers(3))
        harness.session.goAway(.noError, isFinal: true)
        harness.receive(Wire.headers(5, Wire.post, ends: false) + Wire.data(5, [1, 2, 3]) + Wire.headers(5, Wire.trailer))
        harness.session.goAway(.noError, isFinal: true)
        #expect(harness.outcome.events.count == 2 && harness.session.highestStream == 3)
        harness.receive(Wire.ping([1]))
        #expect(
            harness.finish().control == [
                "SETTINGS ack", "GOAWAY 2147483647 NO_ERROR", "GOAWAY 3 NO_ERROR", "GOAWAY 3 NO_ERROR", "GOAWAY 3 FRAME_SIZE_ERROR",
            ])
    }

    @Test("cuts a long field block into HEADERS and CONTINUATION")
    func longBlock() {
        let harness = Harness()
        harness.receive(Wire.start + Wire.headers(1) + Wire.headers(3))
        var output: [UInt8] = []
        harness.session.appendHeaders([UInt8](repeating: 7, count: 40_000), for: harness.slot(1), isLast: true, to: &output)
        #expect(Wire.words(output) == ["HEADERS 1 end", "CONTINUATION 1", "CONTINUATION 1 whole"])
        #expect(output.count == 40_000 + 28 && output.filter { $0 == 7 }.count == 40_000)
        output = []
        harness.session.appendHeaders([UInt8](repeating: 7, count: 16_384), for: harness.slot(3), isLast: false, to: &output)
        #expect(Wire.words(output) == ["HEADERS 3 whole"])
    }

    @Test("begins the first field block with the update that empties the table, and needs no other, whatever HEADER_TABLE_SIZE becomes")
    func tableSize() {
        let harness = Harness()
        harness.receive(Wire.preface + Wire.settings([(1, 65_536)]) + Wire.headers(1) + Wire.headers(3) + Wire.headers(5))
        func block(_ number: UInt32) -> [UInt8] {
            var output: [UInt8] = []
            harness.session.appendHeaders([0x88], for: harness.slot(number), isLast: false, to: &output)
            return Array(output.dropFirst(9))
        }
        #expect(block(1) == [0x20, 0x88])
        harness.receive(Wire.settings([(1, 0), (1, 4_096)]))
        #expect(block(3) == [0x88])
        harness.receive(Wire.settings([(1, 100)]))
        #expect(block(5) == [0x88])
    }

    @Test("writes the header of a DATA frame")
    func dataHeader() {
        var bytes = [UInt8](repeating: 0xFF, count: 9)
        bytes.withUnsafeMutableBytes {
            Session.writeDataHeader(count: 0x1234, isLast: true, stream: 0x7654_3210, to: $0.baseAddress!)
        }
        #expect(bytes == [0x00, 0x12, 0x34, 0x00, 0x01, 0x76, 0x54, 0x32, 0x10])
    }

    @Test("asks for another connection long before the numbers of streams are used up")
    func numbers() {
        let outcome = inEverySplit(Wire.headers(0x7FFF_F001) + Wire.headers(0x7FFF_FFFF))
        #expect(outcome.events.count == 2)
        #expect(outcome.control == ["SETTINGS ack", "GOAWAY 2147483647 NO_ERROR"])
    }
}

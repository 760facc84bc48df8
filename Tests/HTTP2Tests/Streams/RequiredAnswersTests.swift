// Each row of the table of required answers: what a frame that may not be where it is, or as it is, leads to (RFC 9113).
//
// Each input is given whole, byte by byte and at every two-part split, with a request on stream 1 that has a body, and one on stream 3
// whose request has ended: the usual state of an event stream.

import HTTP2
import Testing

@Suite("Required answers of HTTP/2")
struct RequiredAnswersTests {
    private static let open = Wire.headers(1, Wire.post, ends: false) + Wire.headers(3)

    /// What comes of these bytes behind the two requests, without the two requests themselves.
    private func outcome(_ bytes: [UInt8], sourceLocation: SourceLocation = #_sourceLocation) -> Outcome {
        var outcome = inEverySplit(RequiredAnswersTests.open + bytes, sourceLocation: sourceLocation)
        #expect(outcome.events.prefix(2).allSatisfy { $0.hasPrefix("request") }, sourceLocation: sourceLocation)
        outcome.events.removeFirst(2)
        outcome.control.removeFirst()
        return outcome
    }

    /// The bytes end the connection with that code, and nothing else happens.
    private func expectEnd(_ code: HTTP2ErrorCode, _ bytes: [UInt8], sourceLocation: SourceLocation = #_sourceLocation) {
        let found = outcome(bytes, sourceLocation: sourceLocation)
        #expect(
            found.endsConnection(code) && found.events.count == 1 && found.control.count == 1, "\(found)", sourceLocation: sourceLocation)
    }

    /// The bytes end stream 1 or 3 with that code, and no other: a PING behind them is answered.
    private func expectReset(
        _ stream: UInt32, _ code: HTTP2ErrorCode, _ bytes: [UInt8], sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let found = outcome(bytes + Wire.ping(), sourceLocation: sourceLocation)
        let isReset = found.events.last?.hasPrefix("failed \(stream) \(code.name!):") == true
        let control = ["RST_STREAM \(stream) \(code.name!)", "PING ack 3132333435363738"]
        #expect(isReset && found.control == control, "\(found)", sourceLocation: sourceLocation)
    }

    /// The bytes change nothing.
    private func expectIgnored(_ bytes: [UInt8], sourceLocation: SourceLocation = #_sourceLocation) {
        let found = outcome(bytes + Wire.ping(), sourceLocation: sourceLocation)
        #expect(found == Outcome(events: [], control: ["PING ack 3132333435363738"]), "\(found)", sourceLocation: sourceLocation)
    }

    // MARK: Beginning

    @Test("a connection that does not begin with the preface ends at the first wrong octet")
    func preface() {
        for wrong in [Array("GET / HTTP/1.1\r\n\r\n".utf8), Array("PRI * HTTP/2.0\r\n\r\nXX".utf8), [0x16, 3, 1, 2, 0]] {
            let found = inEverySplit([], from: wrong)
            #expect(found.endsConnection(.protocolError) && found.control == ["GOAWAY 0 PROTOCOL_ERROR"])
        }
        #expect(inEverySplit([], from: Wire.preface) == Outcome())
    }

    @Test("the first frame has to be SETTINGS, and no acknowledgement")
    func firstFrame() {
        for first in [Wire.headers(1), Wire.ping(), Wire.settingsAnswer, Wire.windowUpdate(0, 1), Wire.frame(99, stream: 0)] {
            #expect(inEverySplit([], from: Wire.preface + first).endsConnection(.protocolError))
        }
    }

    // MARK: Lengths

    @Test("a frame over 16,384 octets ends the connection if it changes more than its stream, else its stream")
    func overlong() {
        func header(_ type: UInt8, _ stream: UInt32) -> [UInt8] { Wire.frame(type, flags: 4, stream: stream, [], length: 16_385) }
        expectEnd(.frameSizeError, header(1, 5))
        expectEnd(.frameSizeError, header(1, 1))
        expectEnd(.frameSizeError, Wire.frame(1, stream: 5, Wire.get) + header(9, 5))
        expectEnd(.frameSizeError, header(4, 0))
        expectEnd(.frameSizeError, header(6, 0))
        expectEnd(.frameSizeError, header(99, 0))
        expectEnd(.frameSizeError, header(99, 5))
        // Neither RST_STREAM nor WINDOW_UPDATE has another length than 4, on whatever stream (sections 6.4 and 6.9).
        expectEnd(.frameSizeError, header(3, 1))
        expectEnd(.frameSizeError, header(8, 3))
        let harness = Harness()
        harness.receive(Wire.start + RequiredAnswersTests.open + header(0, 1) + [UInt8](repeating: 0, count: 16_385))
        harness.receive(header(99, 3) + [UInt8](repeating: 0, count: 16_385) + Wire.ping())
        let control = ["SETTINGS ack", "RST_STREAM 1 FRAME_SIZE_ERROR", "RST_STREAM 3 FRAME_SIZE_ERROR", "PING ack 3132333435363738"]
        #expect(harness.finish().control == control)
        harness.receive(header(99, 3) + [UInt8](repeating: 0, count: 16_385) + Wire.ping())
        #expect(harness.finish().control == control + ["PING ack 3132333435363738"])
    }

    @Test("DATA over 16,384 octets that does not fit into the connection's window ends the connection")
    func overlongOverWindow() {
        expectEnd(.flowControlError, Wire.frame(0, stream: 1, [], length: 1 << 21))
    }

    @Test("each frame whose length is fixed has that length")
    func lengths() {
        expectEnd(.frameSizeError, Wire.frame(3, stream: 1, [0, 0, 0]))
        expectEnd(.frameSizeError, Wire.frame(3, stream: 1, [0, 0, 0, 0, 0]))
        expectEnd(.frameSizeError, Wire.frame(8, stream: 1, [0, 0, 1]))
        expectEnd(.frameSizeError, Wire.frame(8, stream: 0, [0, 0, 0, 1, 0]))
        expectEnd(.frameSizeError, Wire.frame(6, stream: 0, [UInt8](repeating: 0, count: 7)))
        expectEnd(.frameSizeError, Wire.frame(6, flags: 1, stream: 0, [UInt8](repeating: 0, count: 9)))
        expectEnd(.frameSizeError, Wire.frame(7, stream: 0, [UInt8](repeating: 0, count: 7)))
        expectEnd(.frameSizeError, Wire.frame(4, stream: 0, [0, 1, 0, 0, 0]))
        expectEnd(.frameSizeError, Wire.frame(4, flags: 1, stream: 0, [0, 1, 0, 0, 0, 0]))
        expectEnd(.frameSizeError, Wire.frame(16, stream: 0, [0, 0, 1]))
        expectReset(1, .frameSizeError, Wire.frame(2, stream: 1, [0, 0, 0, 0]))
        expectReset(3, .frameSizeError, Wire.frame(2, stream: 3, [0, 0, 0, 0, 0, 0]))
        // An idle stream cannot be reset.
        expectEnd(.frameSizeError, Wire.frame(2, stream: 9, [0, 0, 0, 0]))
    }

    // MARK: What is ignored

    @Test("unknown types, flags, settings, error codes and a reserved bit are ignored, and so are ALTSVC and ORIGIN")
    func unknown() {
        expectIgnored(Wire.frame(99, flags: 0xFF, stream: 0, [1, 2, 3]) + Wire.frame(0xFE, stream: 77, [1]))
        expectIgnored(Wire.frame(10, stream: 1, [0, 0]) + Wire.frame(12, stream: 0, []))
        expectIgnored(Wire.frame(2, flags: 0xFF, stream: 1, [0, 0, 0, 1, 1]) + Wire.priority(2) + Wire.priority(99))
        let ping = Wire.frame(6, flags: 0xFE, stream: 0x8000_0000, Array("12345678".utf8))
        #expect(outcome(ping).control == ["PING ack 3132333435363738"])
        #expect(outcome(Wire.settings([(0xABCD, 9), (3, 0), (6, 0), (8, 1)])).control == ["SETTINGS ack"])
        #expect(outcome(Wire.frame(3, stream: 0x8000_0003, Wire.number(0xABCD))).events == ["reset 3 43981"])
        #expect(outcome(Wire.goAway(HTTP2ErrorCode(rawValue: 500))).events == ["goaway 500"])
    }

    @Test("an acknowledgement of SETTINGS or PING that nobody asked for is ignored")
    func acknowledgements() { expectIgnored(Wire.settingsAnswer + Wire.settingsAnswer + Wire.ping(isAnswer: true)) }

    // MARK: Field blocks

    @Test("inside of a field block nothing stands but CONTINUATION of the same stream")
    func insideBlock() {
        let begun = Wire.frame(1, stream: 5, Array(Wire.get[..<2]))
        for other in [
            Wire.frame(99, stream: 5), Wire.ping(), Wire.data(1), Wire.frame(9, flags: 4, stream: 7, Array(Wire.get[2...])),
            Wire.headers(5), Wire.priority(5), Wire.reset(5),
        ] {
            expectEnd(.protocolError, begun + other)
        }
    }

    @Test("CONTINUATION without a field block ends the connection")
    func strayContinuation() {
        expectEnd(.protocolError, Wire.frame(9, flags: 4, stream: 1, []))
        expectEnd(.protocolError, Wire.headers(5) + Wire.frame(9, flags: 4, stream: 5, []), events: 2)
        expectEnd(.protocolError, Wire.frame(9, flags: 4, stream: 0, []))
    }

    private func expectEnd(
        _ code: HTTP2ErrorCode, _ bytes: [UInt8], events: Int, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let found = outcome(bytes, sourceLocation: sourceLocation)
        #expect(found.endsConnection(code) && found.events.count == events, "\(found)", sourceLocation: sourceLocation)
    }

    @Test("padding as long as the payload ends the connection, and so do a pad length or a priority that do not fit")
    func padding() {
        expectEnd(.protocolError, Wire.frame(0, flags: 8, stream: 1, [3, 0, 0]))
        expectEnd(.protocolError, Wire.frame(0, flags: 8, stream: 1, [1]))
        expectEnd(.frameSizeError, Wire.frame(0, flags: 8, stream: 1, []))
        expectEnd(.protocolError, Wire.frame(1, flags: 0x0C, stream: 5, [3, 0, 0]))
        expectEnd(.protocolError, Wire.frame(1, flags: 0x2C, stream: 5, [1, 0, 0, 0, 0, 0]))
        expectEnd(.frameSizeError, Wire.frame(1, flags: 0x0C, stream: 5, []))
        expectEnd(.frameSizeError, Wire.frame(1, flags: 0x24, stream: 5, [0, 0, 0, 0]))
        expectEnd(.frameSizeError, Wire.frame(1, flags: 0x2C, stream: 5, [0, 0, 0, 0, 0]))
        // A payload of padding alone is allowed.
        expectIgnored(Wire.frame(0, flags: 8, stream: 1, [2, 0, 0]))
    }

    @Test("a field block that cannot be decoded ends the connection, on whatever stream")
    func undecodable() {
        let wrong: [UInt8] = [0x80]
        expectEnd(.compressionError, Wire.headers(5, wrong))
        expectEnd(.compressionError, Wire.headers(1, wrong))
        expectEnd(.compressionError, Wire.headers(3, wrong))
        // The stream was reset by us, or by the client before our reset reached it.
        let failed = outcome(Wire.windowUpdate(1, 0) + Wire.headers(1, wrong))
        #expect(failed.endsConnection(.compressionError) && failed.events.first?.hasPrefix("failed 1") == true)
        var limits = SessionLimits()
        limits.maximumStreams = 2
        let refused = inEverySplit(RequiredAnswersTests.open + Wire.headers(5, wrong), limits: limits)
        #expect(refused.endsConnection(.compressionError))
    }

    // MARK: Numbers

    @Test("frames of a stream on the connection, and frames of the connection on a stream, end the connection")
    func wrongPlaces() {
        for type: UInt8 in [0, 1, 2, 3, 9] { expectEnd(.protocolError, Wire.frame(type, flags: 4, stream: 0, [0, 0, 0, 0, 0])) }
        expectEnd(.protocolError, Wire.frame(4, stream: 1, []))
        expectEnd(.protocolError, Wire.frame(6, stream: 1, [UInt8](repeating: 0, count: 8)))
        expectEnd(.protocolError, Wire.frame(7, stream: 1, [UInt8](repeating: 0, count: 8)))
        expectEnd(.protocolError, Wire.frame(16, stream: 1, Wire.number(1)))
    }

    @Test("a stream of an even number, or of one that is not above all earlier ones, ends the connection")
    func numbers() {
        expectEnd(.protocolError, Wire.headers(2))
        expectEnd(.protocolError, Wire.headers(6))
        let skipped = outcome(Wire.headers(9) + Wire.headers(7))
        #expect(skipped.endsConnection(.protocolError))
        let closed = outcome(Wire.reset(3) + Wire.headers(3))
        #expect(closed.endsConnection(.streamClosed) && closed.events.first == "reset 3 CANCEL")
    }

    @Test("DATA, RST_STREAM and WINDOW_UPDATE on an idle stream end the connection, and PRIORITY does not")
    func idle() {
        for stream: UInt32 in [5, 2, 4] {
            expectEnd(.protocolError, Wire.data(stream))
            expectEnd(.protocolError, Wire.reset(stream))
            expectEnd(.protocolError, Wire.windowUpdate(stream, 1))
            expectIgnored(Wire.priority(stream))
        }
    }

    // MARK: States

    @Test("on a stream whose request has ended, DATA and HEADERS reset it, and other frames are fine")
    func halfClosed() {
        expectReset(3, .streamClosed, Wire.data(3, [1, 2]))
        expectReset(3, .streamClosed, Wire.data(3, ends: true))
        expectReset(3, .streamClosed, Wire.headers(3, Wire.trailer))
        expectReset(3, .streamClosed, Wire.headers(3, Wire.trailer, ends: false))
        #expect(outcome(Wire.windowUpdate(3, 1) + Wire.priority(3)).events == ["window 3"])
        #expect(outcome(Wire.reset(3)).events == ["reset 3 CANCEL"])
    }

    @Test("on a closed stream WINDOW_UPDATE, RST_STREAM and PRIORITY are ignored, and so are DATA and HEADERS behind a reset of ours")
    func closed() {
        let ended = outcome(Wire.reset(1) + Wire.windowUpdate(1, 0) + Wire.windowUpdate(1, 1) + Wire.reset(1) + Wire.priority(1))
        #expect(ended == Outcome(events: ["reset 1 CANCEL"]))
        let late =
            Wire.windowUpdate(1, 0) + Wire.data(1, [1, 2, 3]) + Wire.headers(1, [0x40, 1, 0x78, 1, 0x79], ends: false)
            + Wire.data(1, ends: true)
            + Wire.windowUpdate(1, 5) + Wire.reset(1) + Wire.headers(5, Wire.get + [0xBE])
        let found = outcome(late)
        #expect(found.control == ["RST_STREAM 1 PROTOCOL_ERROR"])
        // The fields of the ignored block are in the table that later blocks use.
        #expect(found.events.dropFirst() == ["request 5 [:method=GET, :scheme=https, :path=/, :authority=a, x=y] end"])
    }

    @Test("DATA on a stream that the client ended long ago is answered with one STREAM_CLOSED, and given back to the connection")
    func longClosed() {
        let found = outcome(Wire.reset(1) + Wire.data(1, [1]) + Wire.data(1, [1]) + Wire.data(1, ends: true))
        #expect(found == Outcome(events: ["reset 1 CANCEL"], control: ["RST_STREAM 1 STREAM_CLOSED"]))
    }

    @Test("HEADERS without END_STREAM on an open request are malformed trailers")
    func trailers() { expectReset(1, .protocolError, Wire.headers(1, Wire.trailer, ends: false)) }

    @Test("a reset is never answered with a reset, and there is at most one of ours for each stream")
    func resets() {
        let found = outcome(Wire.windowUpdate(3, 0) + Wire.windowUpdate(3, 0) + Wire.data(3, [1]) + Wire.reset(3) + Wire.reset(1))
        #expect(found.events.count == 2 && found.control == ["RST_STREAM 3 PROTOCOL_ERROR"])
    }

    // MARK: SETTINGS and windows

    @Test("a setting out of its bounds ends the connection")
    func settings() {
        for (entry, code): ((UInt16, UInt32), HTTP2ErrorCode) in [
            ((2, 2), .protocolError), ((5, 16_383), .protocolError), ((5, 16_777_216), .protocolError), ((9, 2), .protocolError),
            ((4, 0x8000_0000), .flowControlError), ((4, UInt32.max), .flowControlError),
        ] {
            expectEnd(code, Wire.settings([entry]))
        }
        for entry: (UInt16, UInt32) in [(2, 0), (2, 1), (5, 16_384), (5, 16_777_215), (9, 0), (9, 1), (1, UInt32.max)] {
            #expect(outcome(Wire.settings([entry])) == Outcome(control: ["SETTINGS ack"]))
        }
        #expect(outcome(Wire.settings([(4, 0x7FFF_FFFF)])) == Outcome(events: ["window all"], control: ["SETTINGS ack"]))
    }

    @Test("a new INITIAL_WINDOW_SIZE that moves a window over 2^31-1 ends the connection")
    func movedOver() {
        let found = outcome(Wire.windowUpdate(1, 1) + Wire.settings([(4, 0x7FFF_FFFF)]))
        #expect(found.endsConnection(.flowControlError) && found.events.count == 2)
    }

    @Test("WINDOW_UPDATE of 0, or over 2^31-1, ends the stream or the connection that it is for")
    func windowUpdates() {
        expectReset(3, .protocolError, Wire.windowUpdate(3, 0))
        expectReset(3, .protocolError, Wire.windowUpdate(3, 0x8000_0000))
        expectEnd(.protocolError, Wire.windowUpdate(0, 0))
        expectReset(3, .flowControlError, Wire.windowUpdate(3, 0x7FFF_FFFF))
        expectEnd(.flowControlError, Wire.windowUpdate(0, 0x7FFF_FFFF))
        #expect(outcome(Wire.windowUpdate(3, 0x7FFF_FFFF - 65_535)).events == ["window 3"])
        #expect(outcome(Wire.windowUpdate(0, 0x7FFF_FFFF - 65_535)).events == ["window all"])
    }

    @Test("more DATA than a window allows ends the stream or the connection, and padding counts")
    func overWindow() {
        func frames(_ stream: UInt32, _ count: Int) -> [UInt8] {
            (0..<count).flatMap { _ in Wire.data(stream, [UInt8](repeating: 0x61, count: 16_000)) }
        }
        let harness = Harness()
        harness.receive(Wire.start + RequiredAnswersTests.open + frames(1, 4) + Wire.data(1, [UInt8](repeating: 0x61, count: 1_400)))
        harness.receive(Wire.padded(1, [], 134))
        #expect(harness.outcome.events.last?.hasPrefix("failed") == false)
        harness.receive(Wire.data(1, [1]))
        #expect(harness.finish().events.last == "failed 1 FLOW_CONTROL_ERROR: more DATA than the stream's window allowed")
        var limits = SessionLimits()
        limits.connectionWindowBytes = 65_535
        let other = Harness(limits)
        other.receive(Wire.start + RequiredAnswersTests.open + Wire.headers(5, Wire.post, ends: false) + frames(1, 3) + frames(5, 1))
        other.receive(frames(5, 1))
        #expect(other.finish().endsConnection(.flowControlError))
    }

    // MARK: The rest

    @Test("PUSH_PROMISE from a client ends the connection")
    func pushPromise() { expectEnd(.protocolError, Wire.frame(5, flags: 4, stream: 1, [0, 0, 0, 2] + Wire.get)) }

    @Test("PRIORITY_UPDATE for stream 0 or for one that no client opens ends the connection, for any other it is fine")
    func priorityUpdate() {
        expectEnd(.protocolError, Wire.priorityUpdate(0))
        expectEnd(.protocolError, Wire.priorityUpdate(2))
        expectIgnored(Wire.priorityUpdate(1) + Wire.priorityUpdate(3) + Wire.priorityUpdate(99))
        expectIgnored(Wire.frame(16, stream: 0, Wire.number(3) + [0xFF, 0, 0x80]))
    }

    @Test("PRIORITY_UPDATE for more idle streams than may still be opened ends the connection; naming one again costs nothing")
    func idleTargets() {
        var limits = SessionLimits()
        limits.maximumStreams = 4
        let two = Wire.priorityUpdate(5) + Wire.priorityUpdate(7) + Wire.priorityUpdate(5)
        #expect(inEverySplit(RequiredAnswersTests.open + two, limits: limits).events.count == 2)
        #expect(inEverySplit(RequiredAnswersTests.open + two + Wire.priorityUpdate(9), limits: limits).endsConnection(.protocolError))
        let opened = two + Wire.headers(7) + Wire.reset(7) + Wire.priorityUpdate(9)
        #expect(inEverySplit(RequiredAnswersTests.open + opened, limits: limits).events.count == 4)
    }

    @Test("a stream over MAX_CONCURRENT_STREAMS is refused so that it may be sent again, and its fields count for the table")
    func refused() {
        var limits = SessionLimits()
        limits.maximumStreams = 2
        let found = inEverySplit(
            RequiredAnswersTests.open + Wire.headers(5, Wire.post + [0x40, 1, 0x78, 1, 0x79], ends: false) + Wire.data(5, [1], ends: true)
                + Wire.reset(3) + Wire.headers(7, Wire.get + [0xBE]), limits: limits)
        #expect(found.control == ["SETTINGS ack", "RST_STREAM 5 REFUSED_STREAM"])
        #expect(found.events.dropFirst(2) == ["reset 3 CANCEL", "request 7 [:method=GET, :scheme=https, :path=/, :authority=a, x=y] end"])
    }

    @Test("a stream counts until its exchange is over, even if the client ended the stream")
    func exchangesCount() {
        var limits = SessionLimits()
        limits.maximumStreams = 2
        let harness = Harness(limits, releases: false)
        harness.receive(Wire.start + RequiredAnswersTests.open + Wire.reset(1) + Wire.reset(3) + Wire.headers(5))
        #expect(harness.session.openCount == 0)
        #expect(harness.finish().control.last == "RST_STREAM 5 REFUSED_STREAM")
        harness.session.release(harness.slot(1))
        harness.receive(Wire.headers(7))
        #expect(harness.session.openCount == 1)
    }
}

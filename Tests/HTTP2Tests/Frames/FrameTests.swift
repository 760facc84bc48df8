// Headers of frames, the payload of HEADERS, settings and error codes, each by itself.

import Testing

@testable import HTTP2

@Suite("Frames of HTTP/2")
struct FrameTests {
    @Test("a header is read as it was written, without the reserved bit")
    func header() {
        for header in [
            FrameHeader(.data, length: 0), FrameHeader(.headers, length: 16_384, flags: 0x2D, stream: 1),
            FrameHeader(.priorityUpdate, length: 0xAB_CDEF, flags: 0xFF, stream: 0x7FFF_FFFF),
        ] {
            var bytes: [UInt8] = []
            header.append(to: &bytes)
            var written = [UInt8](repeating: 0xEE, count: 10)
            written.withUnsafeMutableBytes { header.write(to: $0.baseAddress!) }
            #expect(bytes.count == FrameHeader.byteCount && written == bytes + [0xEE])
            #expect(FrameHeader(bytes.span) == header)
            bytes[5] |= 0x80
            #expect(FrameHeader(bytes.span) == header)
        }
    }

    @Test("a header is nine octets in the order of the standard")
    func octets() {
        var bytes: [UInt8] = []
        FrameHeader(.ping, length: 0x010203, flags: 0x04, stream: 0x0506_0708).append(to: &bytes)
        #expect(bytes == [1, 2, 3, 6, 4, 5, 6, 7, 8])
    }

    private func fragment(_ payload: [UInt8], _ flags: UInt8) -> Range<Int>? { try? fieldBlockFragment(payload.span, flags: flags) }

    @Test("the field block is what padding and priority leave of the payload")
    func fragments() {
        let payload: [UInt8] = [2, 0, 0, 0, 0, 9, 9, 9]
        #expect(fragment(payload, 0) == 0..<8 && fragment(payload, FrameFlag.padded) == 1..<6)
        #expect(fragment(payload, FrameFlag.priority) == 5..<8 && fragment(payload, FrameFlag.priority | FrameFlag.padded) == 6..<6)
        #expect(fragment([], 0) == 0..<0 && fragment([0], FrameFlag.padded) == 1..<1)
    }

    @Test("padding that leaves less than nothing, and flags without room, are told apart")
    func wrongFragments() {
        func problem(_ payload: [UInt8], _ flags: UInt8) -> HTTP2ErrorCode? {
            do throws(SessionError) {
                _ = try fieldBlockFragment(payload.span, flags: flags)
                return nil
            } catch {
                return error.code
            }
        }
        #expect(problem([1], FrameFlag.padded) == .protocolError && problem([3, 0, 0], FrameFlag.padded) == .protocolError)
        #expect(problem([], FrameFlag.padded) == .frameSizeError && problem([0, 0, 0, 0], FrameFlag.priority) == .frameSizeError)
    }

    @Test("error codes have the standard's numbers and names, and unknown ones stay what they are")
    func codes() {
        let known: [(HTTP2ErrorCode, UInt32, String)] = [
            (.noError, 0, "NO_ERROR"), (.protocolError, 1, "PROTOCOL_ERROR"), (.internalError, 2, "INTERNAL_ERROR"),
            (.flowControlError, 3, "FLOW_CONTROL_ERROR"), (.streamClosed, 5, "STREAM_CLOSED"), (.frameSizeError, 6, "FRAME_SIZE_ERROR"),
            (.refusedStream, 7, "REFUSED_STREAM"), (.cancel, 8, "CANCEL"), (.compressionError, 9, "COMPRESSION_ERROR"),
            (.enhanceYourCalm, 11, "ENHANCE_YOUR_CALM"),
        ]
        for (code, number, name) in known { #expect(code.rawValue == number && code.name.map { "\($0)" } == name) }
        #expect(HTTP2ErrorCode(rawValue: 13).name.map { "\($0)" } == "HTTP_1_1_REQUIRED")
        #expect(HTTP2ErrorCode(rawValue: 14).name == nil && HTTP2ErrorCode(rawValue: .max).rawValue == .max)
    }
}

@Suite("What HTTP/2 costs in memory")
struct MemoryTests {
    @Test("an idle stream costs at most 32 bytes in the session")
    func stream() { #expect(MemoryLayout<Stream>.stride + MemoryLayout<UInt16>.stride <= 24) }

    @Test("a connection that is idle, or whose frame has just begun, keeps nothing of what it read")
    func idle() {
        let harness = Harness()
        let long = Wire.get + [0x00, 1, 0x78, 0x7F, 0xB1, 0x11] + [UInt8](repeating: 0x61, count: 2_352)
        harness.receive(Wire.start + Wire.headers(1, long) + Array(Wire.data(1).prefix(5)))
        #expect(harness.fieldBytes > 2_352)
        let session = [
            harness.session.pieces.pending.capacity, harness.session.block.bytes.capacity, harness.session.fields.bytes.capacity,
            harness.session.idleTargets.capacity,
        ]
        #expect(session == [0, 0, 0, 0])
        _ = harness.session.takeControl()
        #expect(harness.session.control.capacity == 0)
    }

    @Test("a frame that comes in pieces is kept up to its 16 KiB, and forgotten when it is whole")
    func pieces() {
        let harness = Harness()
        harness.receive(Wire.start)
        let frame = Wire.frame(99, stream: 0, [UInt8](repeating: 1, count: 16_384))
        for byte in frame.dropLast() { harness.receive([byte]) }
        #expect(harness.session.pieces.pending.isEmpty == true)
        harness.receive([1])
        let settings = Wire.settings([(UInt16, UInt32)](repeating: (99, 0), count: 64))
        for byte in settings.dropLast() { harness.receive([byte]) }
        #expect(harness.session.pieces.pending.count == 383)
        harness.receive([0])
        #expect(harness.session.pieces.pending.capacity == 0)
        #expect(harness.finish().control == ["SETTINGS ack", "SETTINGS ack"])
    }
}

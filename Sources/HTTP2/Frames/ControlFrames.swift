// The frames of the server that carry no DATA, appended to bytes that wait to be sent (RFC 9113 section 6).

/// Writers of whole frames.
enum ControlFrames {
    /// RST_STREAM (section 6.4).
    static func appendReset(_ code: HTTP2ErrorCode, stream: UInt32, to output: inout [UInt8]) {
        FrameHeader(.resetStream, length: 4, stream: stream).append(to: &output)
        output.append(bigEndian: code.rawValue)
    }

    /// WINDOW_UPDATE (section 6.9) by an increment from 1 to 2^31-1; stream 0 is the connection.
    static func appendWindowUpdate(_ increment: Int32, stream: UInt32, to output: inout [UInt8]) {
        precondition(increment > 0, "a window is opened by something")
        FrameHeader(.windowUpdate, length: 4, stream: stream).append(to: &output)
        output.append(bigEndian: UInt32(increment))
    }

    /// PING or its answer (section 6.7).
    static func appendPing(_ payload: UInt64, isAnswer: Bool, to output: inout [UInt8]) {
        FrameHeader(.ping, length: 8, flags: isAnswer ? FrameFlag.acknowledgement : 0).append(to: &output)
        output.append(bigEndian: UInt32(truncatingIfNeeded: payload >> 32))
        output.append(bigEndian: UInt32(truncatingIfNeeded: payload))
    }

    /// The answer to SETTINGS (section 6.5.3).
    static func appendSettingsAnswer(to output: inout [UInt8]) {
        FrameHeader(.settings, length: 0, flags: FrameFlag.acknowledgement).append(to: &output)
    }

    /// GOAWAY (section 6.8). The reason is its debug data, which a browser's network log shows.
    static func appendGoAway(last: UInt32, _ code: HTTP2ErrorCode, reason: StaticString, to output: inout [UInt8]) {
        FrameHeader(.goAway, length: 8 + reason.utf8CodeUnitCount).append(to: &output)
        output.append(bigEndian: last)
        output.append(bigEndian: code.rawValue)
        output.append(contentsOf: UnsafeBufferPointer(start: reason.utf8Start, count: reason.utf8CodeUnitCount))
    }

    /// HEADERS, and CONTINUATION as long as something is left (sections 6.2 and 6.10). `prefix` stands in front of the block.
    static func appendFieldBlock(
        _ block: [UInt8], prefix: UInt8?, stream: UInt32, isLast: Bool, to output: inout [UInt8]
    ) {
        var start = 0
        var type = FrameType.headers
        var prefixBytes = prefix == nil ? 0 : 1
        repeat {
            let count = min(block.count - start, FrameHeader.maximumPayload - prefixBytes)
            var flags = start + count == block.count ? FrameFlag.endHeaders : 0
            if type == .headers, isLast { flags |= FrameFlag.endStream }
            FrameHeader(type, length: count + prefixBytes, flags: flags, stream: stream).append(to: &output)
            if prefixBytes == 1, let prefix { output.append(prefix) }
            output.append(contentsOf: block[start..<start + count])
            start += count
            type = .continuation
            prefixBytes = 0
        } while start < block.count
    }
}

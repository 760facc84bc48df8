// The way of a body's bytes out: the receiver's framing is written around the payload in its buffer, so that one write sends both.
// Invariant: only the room around the payload is written to, at most `OutgoingFraming.roomBytes` on either side.

/// How the bytes of a body are framed for their receiver.
public enum OutgoingFraming: UInt8, Sendable {
    /// There is no body, or it is dropped.
    case none
    /// Unframed: the body has a Content-Length or is close-delimited.
    case plain
    /// In chunks (RFC 9112 section 7.1), one for each piece that came.
    case chunked

    /// How many bytes must be free in front of a payload, and behind it. For tests: a link has that room.
    public static let roomBytes = ChunkedCoding.maximumSizeLineBytes

    /// The bytes to write for a payload with `roomBytes` of free memory on either side; with `isLast` also the end of the body.
    public func frame(_ payload: UnsafeMutableRawBufferPointer, isLast: Bool) -> UnsafeRawBufferPointer {
        switch self {
        case .none:
            return UnsafeRawBufferPointer(start: nil, count: 0)
        case .plain:
            return UnsafeRawBufferPointer(payload)
        case .chunked:
            return frameChunk(payload, isLast: isLast)
        }
    }

    private func frameChunk(_ payload: UnsafeMutableRawBufferPointer, isLast: Bool) -> UnsafeRawBufferPointer {
        guard let base = payload.baseAddress else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        var start = base
        var end = base + payload.count
        if !payload.isEmpty {
            let room = ChunkedCoding.maximumSizeLineBytes
            let front = UnsafeMutableRawBufferPointer(start: base - room, count: room)
            start = base - ChunkedCoding.writeSizeLine(payload.count, endingAt: room, in: front)
            end.copyMemory(from: UnsafeRawPointer(ChunkedCoding.lineEnd.utf8Start), byteCount: ChunkedCoding.lineEnd.utf8CodeUnitCount)
            end += ChunkedCoding.lineEnd.utf8CodeUnitCount
        }
        if isLast {
            let last = ChunkedCoding.lastChunk
            end.copyMemory(from: UnsafeRawPointer(last.utf8Start), byteCount: last.utf8CodeUnitCount)
            end += last.utf8CodeUnitCount
        }
        return UnsafeRawBufferPointer(start: start, count: end - start)
    }
}

// The way of a body's bytes out: framed for the receiver around the payload, where it lies in a buffer, and so written at once.
// Invariant: only the room around the payload is written to, at most `OutgoingFraming.roomBytes` on either side.

/// How the bytes of a body are framed for their receiver.
public enum OutgoingFraming: UInt8, Sendable {
    /// There is no body, or it is thrown away.
    case none
    /// As they are: a Content-Length was announced, or the end of the connection ends the body.
    case plain
    /// In chunks (RFC 9112 section 7.1), one for each piece that came.
    case chunked

    /// So many bytes have to be free in front of a payload, and behind it. For tests: a link has that room.
    public static let roomBytes = ChunkedCoding.maximumSizeLineBytes

    /// The bytes to write for a payload with `roomBytes` of free memory on either side; with `isLast` the end of the body too.
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

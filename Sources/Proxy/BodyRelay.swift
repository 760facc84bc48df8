// The way of a body's bytes through one scratch buffer, in either direction: the framing of the sender is taken
// off in place, so that what is left lies in one piece, ready to be framed anew around it and written at once.
// It leaves what the bytes mean to others. Invariant: it copies only what a chunk's framing leaves apart.

import HTTP
import Reactor

/// One body on its way, request's or response's.
struct BodyRelay {
    /// What one buffer of received bytes came to.
    struct Piece {
        /// The body's bytes, in one piece, with the framing taken off.
        var payload: UnsafeMutableRawBufferPointer
        /// Whether the body ended within these bytes.
        var isLast: Bool
        /// Where in the buffer that was given the first byte lies that is not of this body any more.
        var consumed: Int
        /// The rule that the sender broke behind the payload, which is good all the same; nil where it broke none.
        var error: HTTPError?
    }

    private var decoder: BodyDecoder

    init(framing: BodyFraming) { decoder = BodyDecoder(framing: framing) }

    /// Whether the whole body has been received.
    var isEnded: Bool { decoder.isEnded }

    /// Takes the bytes from `start` on. The payload lies within the same buffer and is good as long as that is.
    mutating func take(_ bytes: UnsafeMutableRawBufferPointer, from start: Int = 0) -> Piece {
        let span = bytes.bindMemory(to: UInt8.self)
        var offset = start
        var begin = start
        var end = start
        while true {
            let step: BodyDecoder.Step
            do throws(HTTPError) { step = try decoder.next(UnsafeBufferPointer(span).span, from: offset) } catch {
                return Piece(payload: .init(rebasing: bytes[begin..<end]), isLast: false, consumed: bytes.count, error: error)
            }
            switch step {
            case .data(let range):
                if begin == end {
                    begin = range.lowerBound
                    end = range.upperBound
                } else {
                    (bytes.baseAddress! + end).copyMemory(from: bytes.baseAddress! + range.lowerBound, byteCount: range.count)
                    end += range.count
                }
                offset = range.upperBound
            case .needMore:
                return Piece(payload: .init(rebasing: bytes[begin..<end]), isLast: false, consumed: bytes.count)
            case .end(let consumed):
                return Piece(payload: .init(rebasing: bytes[begin..<end]), isLast: true, consumed: consumed)
            }
        }
    }

    /// The sender has closed its side.
    mutating func finish() throws(HTTPError) { try decoder.finish() }
}

/// How the bytes of a body are framed for their receiver. The room for it is around the payload: `Worker.headroomBytes` in
/// front of any buffer that a link receives, and behind it.
enum OutgoingFraming: UInt8 {
    /// There is no body, or it is thrown away.
    case none
    /// As they are: a Content-Length was announced, or the end of the connection ends the body.
    case plain
    /// In chunks (RFC 9112 section 7.1), one for each piece that came.
    case chunked

    /// The bytes to write for a payload that lies in a buffer with room around it; with `isLast` the end of the body too.
    func frame(_ payload: UnsafeMutableRawBufferPointer, isLast: Bool) -> UnsafeRawBufferPointer {
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

// The way of a body's bytes through one scratch buffer, in either direction: the framing of the sender is taken
// off in place, so that what is left lies in one piece, ready to be framed anew around it and written at once.
// It leaves what the bytes mean to others. Invariant: it copies only what a chunk's framing leaves apart.

/// One body on its way, request's or response's.
public struct BodyRelay {
    /// What one buffer of received bytes came to.
    public struct Piece {
        /// The body's bytes, in one piece, with the framing taken off.
        public var payload: UnsafeMutableRawBufferPointer
        /// Whether the body ended within these bytes.
        public var isLast: Bool
        /// Where in the buffer that was given the first byte lies that is not of this body any more.
        public var consumed: Int
        /// The rule that the sender broke behind the payload, which is good all the same; nil where it broke none.
        public var error: HTTPError?
    }

    private var decoder: BodyDecoder

    /// A body at its beginning, framed so by its sender.
    public init(framing: BodyFraming) { decoder = BodyDecoder(framing: framing) }

    /// Whether the whole body has been received.
    public var isEnded: Bool { decoder.isEnded }

    /// Takes the bytes from `start` on. The payload lies within the same buffer and is good as long as that is.
    public mutating func take(_ bytes: UnsafeMutableRawBufferPointer, from start: Int = 0) -> Piece {
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
    ///
    /// - Throws: `truncatedBody` where the body needed more.
    public mutating func finish() throws(HTTPError) { try decoder.finish() }
}

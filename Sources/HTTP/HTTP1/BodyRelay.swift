// The path of a body's bytes through one scratch buffer, in either direction. The sender's framing is removed in place, so that the
// payload lies in one piece, ready for new framing around it and one write. The bytes are not interpreted. Invariant: only what a
// chunk's framing separates is copied.

/// One body in transit, of a request or a response.
public struct BodyRelay {
    /// The result for one buffer of received bytes.
    public struct Piece {
        /// The body's bytes, in one piece, without framing.
        public var payload: UnsafeMutableRawBufferPointer
        /// Whether the body ended within these bytes.
        public var isLast: Bool
        /// The offset in the given buffer of the first byte that does not belong to this body.
        public var consumed: Int
        /// The rule that the sender broke after the payload; nil for none. The payload is still valid.
        public var error: HTTPError?
    }

    private var decoder: BodyDecoder

    /// A body at its beginning, with the sender's framing.
    public init(framing: BodyFraming) { decoder = BodyDecoder(framing: framing) }

    /// Whether the whole body has been received.
    public var isEnded: Bool { decoder.isEnded }

    /// Whether the sender broke a rule behind what has come.
    public var hasFailed: Bool { decoder.hasFailed }

    /// Takes the bytes from `start` on. The payload lies within the same buffer and is valid as long as the buffer is.
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
    /// - Throws: `truncatedBody` if the body needed more.
    public mutating func finish() throws(HTTPError) { try decoder.finish() }
}

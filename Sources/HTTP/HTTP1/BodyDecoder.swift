// Finds the data of a request or response body in the received bytes (RFC 9112 sections 6 and 7), in any pieces. It returns ranges into
// the caller's bytes and keeps none of them. The other side frames the body itself.
//
// Invariant: the reported data, and the error or the end after it, do not depend on how the bytes were split. After an end nothing is
// data; after an error there is only that error.

import Bytes

/// Decodes one body. It is a few words in size and allocates nothing.
public struct BodyDecoder: Sendable {
    /// The most bytes of a chunk's size line, its extension and its line end included.
    public static let maximumChunkLineBytes = 4_096
    /// The most bytes of all trailer lines together, the empty line at their end included.
    public static let maximumTrailerBytes = 8_192

    /// What the next bytes are.
    public enum Step: Equatable, Sendable {
        /// Body data at this range of the given bytes, which is never empty. Go on behind it.
        case data(Range<Int>)
        /// All bytes given are consumed, and the body has not ended.
        case needMore
        /// The body has ended. The bytes from this offset on do not belong to it.
        case end(Int)
    }

    // The chunked coding, one byte or a run for each arrow:
    //
    //   size ─(BWS)─ blank ─┐
    //    │ └────── ; ───────┴─ extension          ┌──────────────────────────────────────┐
    //    └── CR ── sizeLineFeed ◀── CR ──┘        ▼                                      │
    //                 ├─ size > 0 ─ chunkData ─ dataReturn ─ dataLineFeed ─ back to size  │
    //                 └─ size = 0 ─ trailerStart ─ trailerName ─ : ─ trailerValue ─ CR ─ trailerLineFeed
    //                                   └── CR ── finalLineFeed ── ended
    private enum State: UInt8 {
        case length, untilClose
        case size, blank, `extension`, sizeLineFeed, chunkData, dataReturn, dataLineFeed
        case trailerStart, trailerName, trailerValue, trailerLineFeed, finalLineFeed
        case ended, failed
    }

    /// The bytes left of the length or of the chunk. While a chunk's size is read, the size so far.
    private var remainingBytes: UInt64 = 0
    /// Bytes of the size line or of the trailers so far.
    private var lineBytes: UInt16 = 0
    private var digits: UInt8 = 0
    private var state: State
    private var failure = HTTPError.truncatedBody

    /// A decoder at the beginning of a body.
    public init(framing: BodyFraming) {
        switch framing {
        case .none, .length(0): state = .ended
        case .length(let count):
            state = .length
            remainingBytes = count
        case .chunked: state = .size
        case .untilClose: state = .untilClose
        }
    }

    /// Whether the body has ended.
    public var isEnded: Bool { state == .ended }

    /// Whether the sender broke a rule.
    public var hasFailed: Bool { state == .failed }

    /// How many bytes are still to come; nil where that is not known.
    public var remaining: UInt64? {
        switch state {
        case .length: remainingBytes
        case .ended: 0
        default: nil
        }
    }

    /// Looks at the bytes from the offset on. Call it again from behind the data until the answer is not data; then give it the next
    /// bytes from their beginning.
    ///
    /// Throws on a malformed chunk or trailer, or one over its limit, and repeats that error from then on. Sizes from 2^63 on are
    /// refused, although they would fit into 64 bits: no such body exists.
    public mutating func next(_ bytes: Span<UInt8>, from offset: Int) throws(HTTPError) -> Step {
        precondition(offset >= 0 && offset <= bytes.count, "the offset lies outside of the bytes")
        switch state {
        case .ended: return .end(offset)
        case .failed: throw failure
        case .untilClose: return offset < bytes.count ? .data(offset..<bytes.count) : .needMore
        case .length:
            guard offset < bytes.count else { return .needMore }
            let data = takeData(bytes, from: offset)
            if remainingBytes == 0 { state = .ended }
            return .data(data)
        default: return try nextChunked(bytes, from: offset)
        }
    }

    /// The peer has closed its side in good order. That ends a close-delimited body; any other body that has not ended is truncated.
    public mutating func finish() throws(HTTPError) {
        switch state {
        case .ended: return
        case .untilClose: state = .ended
        case .failed: throw failure
        default: throw fail(.truncatedBody)
        }
    }

    private mutating func fail(_ error: HTTPError) -> HTTPError {
        state = .failed
        failure = error
        return error
    }

    /// As many of the remaining bytes as there are. The caller guarantees at least one.
    private mutating func takeData(_ bytes: Span<UInt8>, from offset: Int) -> Range<Int> {
        let available = bytes.count - offset
        let count = remainingBytes < UInt64(available) ? Int(remainingBytes) : available
        remainingBytes -= UInt64(count)
        return offset..<offset + count
    }

    private mutating func nextChunked(_ bytes: Span<UInt8>, from offset: Int) throws(HTTPError) -> Step {
        var index = offset
        while index < bytes.count {
            if state == .chunkData {
                let data = takeData(bytes, from: index)
                if remainingBytes == 0 { state = .dataReturn }
                return .data(data)
            }
            if let end = takePlainFrame(bytes, at: index) {
                index = end
                continue
            }
            do throws(HTTPError) {
                state = try stateAfter(bytes[index])
            } catch {
                throw fail(error)
            }
            index += 1
            if state == .ended { return .end(index) }
        }
        return .needMore
    }

    /// Takes a line end after data, or a size line with at most eight digits and no extension, if all of it is there: the frame of
    /// nearly every chunk. Returns nil and changes nothing otherwise. The byte-by-byte path then decides, and would find the same for
    /// these too.
    private mutating func takePlainFrame(_ bytes: Span<UInt8>, at start: Int) -> Int? {
        switch state {
        case .dataReturn:
            guard start + 1 < bytes.count, bytes[start] == carriageReturn, bytes[start + 1] == lineFeed
            else { return nil }
            lineBytes = 0
            digits = 0
            state = .size
            return start + 2
        case .size where digits == 0:
            let end = min(start + 8, bytes.count)
            var index = start
            var size: UInt64 = 0
            while index < end, let value = hexadecimalValue(bytes[index]) {
                size = size << 4 | UInt64(value)
                index += 1
            }
            guard index > start, index + 1 < bytes.count, bytes[index] == carriageReturn, bytes[index + 1] == lineFeed
            else { return nil }
            remainingBytes = size
            lineBytes = 0
            state = size > 0 ? .chunkData : .trailerStart
            return index + 2
        default: return nil
        }
    }

    /// Takes one byte that is not data.
    private mutating func stateAfter(_ byte: UInt8) throws(HTTPError) -> State {
        switch state {
        case .size, .blank, .extension, .sizeLineFeed:
            lineBytes += 1
            guard lineBytes <= Self.maximumChunkLineBytes else { throw .chunkLineTooLong }
            return try stateInSizeLine(byte)
        case .dataReturn:
            guard byte == carriageReturn else { throw .invalidChunk }
            return .dataLineFeed
        case .dataLineFeed:
            guard byte == lineFeed else { throw .invalidChunk }
            lineBytes = 0
            digits = 0
            return .size
        case .trailerStart, .trailerName, .trailerValue, .trailerLineFeed, .finalLineFeed:
            lineBytes += 1
            guard lineBytes <= Self.maximumTrailerBytes else { throw .trailersTooLarge }
            return try stateInTrailers(byte)
        case .length, .untilClose, .chunkData, .ended, .failed:
            return state
        }
    }

    /// `chunk-size [ chunk-ext ] CRLF` (RFC 9112 section 7.1). Blanks are allowed only before an extension.
    private mutating func stateInSizeLine(_ byte: UInt8) throws(HTTPError) -> State {
        switch state {
        case .size:
            if let value = hexadecimalValue(byte) {
                digits += 1
                // Sixteen digits always fit; the highest bit is left clear.
                guard digits <= 16, remainingBytes < 1 << 59 else { throw .invalidChunk }
                remainingBytes = remainingBytes << 4 | UInt64(value)
                return .size
            }
            guard digits > 0 else { throw .invalidChunk }
            if byte == carriageReturn { return .sizeLineFeed }
            if byte == 0x3B { return .extension }
            if isBlank(byte) { return .blank }
            throw .invalidChunk
        case .blank:
            if isBlank(byte) { return .blank }
            guard byte == 0x3B else { throw .invalidChunk }
            return .extension
        case .extension:
            if byte == carriageReturn { return .sizeLineFeed }
            guard isFieldValueByte(byte) else { throw .invalidChunk }
            return .extension
        default:
            guard byte == lineFeed else { throw .invalidChunk }
            lineBytes = 0
            return remainingBytes > 0 ? .chunkData : .trailerStart
        }
    }

    /// `trailer-section CRLF` (RFC 9112 section 7.1.2): checked as field lines and dropped.
    private func stateInTrailers(_ byte: UInt8) throws(HTTPError) -> State {
        switch state {
        case .trailerStart:
            if byte == carriageReturn { return .finalLineFeed }
            guard isTokenCharacter(byte) else { throw .invalidTrailer }
            return .trailerName
        case .trailerName:
            if byte == 0x3A { return .trailerValue }
            guard isTokenCharacter(byte) else { throw .invalidTrailer }
            return .trailerName
        case .trailerValue:
            if byte == carriageReturn { return .trailerLineFeed }
            guard isFieldValueByte(byte) else { throw .invalidTrailer }
            return .trailerValue
        case .trailerLineFeed:
            guard byte == lineFeed else { throw .invalidTrailer }
            return .trailerStart
        default:
            guard byte == lineFeed else { throw .invalidTrailer }
            return .ended
        }
    }
}

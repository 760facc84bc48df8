// The field block that HEADERS began and whose CONTINUATION frames have not all come (RFC 9113 sections 4.3, 6.2 and 6.10).
//
// Invariant: its bytes and its frames are bounded, and it owns memory only while it is on its way.

/// The open field block of a connection.
struct OpenFieldBlock {
    /// The stream of the block; 0 when none is open.
    private(set) var stream: UInt32 = 0
    /// Whether END_STREAM stood on its HEADERS.
    private(set) var endsStream = false
    /// What has come of the block while it is not whole.
    private(set) var bytes: [UInt8] = []
    private var frames = 0
    private var emptyFrames = 0

    /// HEADERS begins on that stream.
    mutating func begin(on stream: UInt32, endsStream: Bool) {
        self.stream = stream
        self.endsStream = endsStream
        frames = 0
        emptyFrames = 0
    }

    /// A piece of the block came. True when the block is whole: then no block is open any more, and the fields are decoded. Every block is
    /// decoded, whatever its stream, because it changes the table that the next ones use.
    mutating func receive(
        _ fragment: Span<UInt8>, isWhole: Bool, _ limits: SessionLimits, decoder: inout HPACKDecoder, into fields: inout DecodedFields
    ) throws(SessionError) -> Bool {
        frames += 1
        if fragment.isEmpty { emptyFrames += 1 }
        guard bytes.count + fragment.count <= limits.maximumFieldBlockBytes, frames <= limits.maximumFieldBlockFrames,
            emptyFrames <= limits.maximumEmptyFieldBlockFrames
        else { throw SessionError(.enhanceYourCalm, "a field block of too many bytes or frames", isAbuse: true) }
        if isWhole, bytes.isEmpty {
            try OpenFieldBlock.decode(fragment, &decoder, &fields)
        } else {
            fragment.withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
            guard isWhole else { return false }
            let whole = bytes
            bytes = []
            try OpenFieldBlock.decode(whole.span, &decoder, &fields)
        }
        stream = 0
        return true
    }

    private static func decode(
        _ whole: Span<UInt8>, _ decoder: inout HPACKDecoder, _ fields: inout DecodedFields
    ) throws(SessionError) {
        fields.removeAll()
        do throws(HPACKError) {
            try decoder.decode(whole, into: &fields)
        } catch {
            let isBomb = error == .tooManyFields
            throw SessionError(isBomb ? .enhanceYourCalm : .compressionError, error.reason, isAbuse: isBomb)
        }
    }
}

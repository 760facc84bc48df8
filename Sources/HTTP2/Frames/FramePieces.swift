// The pieces of a frame whose rest has not come: of its header, or of its payload.
//
// Invariant: a payload that comes whole is handled in the caller's bytes. It is copied only where it comes in pieces, and memory is owned
// only while such a frame is on its way.

/// What has come of one header or of one payload.
struct FramePieces {
    /// The beginning of a header or of a short payload.
    private var held = InlineArray<9, UInt8>(repeating: 0)
    private var heldCount = 0
    /// The beginning of a longer payload.
    private(set) var pending: [UInt8] = []

    /// Whether no piece waits for its rest.
    @inline(__always)
    var isEmpty: Bool { heldCount == 0 && pending.isEmpty }

    /// Takes a frame's header, and moves the offset behind what was used. Nil until its nine octets are there.
    @inline(__always)
    mutating func takeHeader(_ bytes: Span<UInt8>, from offset: inout Int) -> FrameHeader? {
        if heldCount == 0, bytes.count - offset >= FrameHeader.byteCount {
            defer { offset &+= FrameHeader.byteCount }
            return FrameHeader(bytes, at: offset)
        }
        guard hold(FrameHeader.byteCount, bytes, from: &offset) else { return nil }
        return FrameHeader(held.span)
    }

    /// Fills `held` up to `count` bytes. True when they are there; then it counts as empty again.
    private mutating func hold(_ count: Int, _ bytes: Span<UInt8>, from offset: inout Int) -> Bool {
        while heldCount < count {
            guard offset < bytes.count else { return false }
            held[heldCount] = bytes[offset]
            heldCount += 1
            offset += 1
        }
        heldCount = 0
        return true
    }

    /// Gathers a payload of so many bytes that comes in pieces. True when it is whole: then `takeShort` or `takeLong` has it.
    mutating func gather(_ length: Int, _ bytes: Span<UInt8>, from offset: inout Int) -> Bool {
        if length <= FrameHeader.byteCount { return hold(length, bytes, from: &offset) }
        let count = min(length - pending.count, bytes.count - offset)
        bytes.extracting(offset..<offset + count).withUnsafeBufferPointer { pending.append(contentsOf: $0) }
        offset += count
        return pending.count == length
    }

    /// A gathered payload that is no longer than a header. It has no memory of its own.
    func takeShort() -> InlineArray<9, UInt8> { held }

    /// A gathered payload that is longer than a header.
    mutating func takeLong() -> [UInt8] {
        defer { pending = [] }
        return pending
    }
}

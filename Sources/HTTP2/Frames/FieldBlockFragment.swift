// What is left of the payload of HEADERS without its padding and its priority (RFC 9113 sections 6.2 and 5.3.2).

/// The range of the field block's fragment in the payload of HEADERS. Priorities of RFC 7540 are passed over: we announce that we do not
/// use them (RFC 9218 section 2.1).
func fieldBlockFragment(_ payload: Span<UInt8>, flags: UInt8) throws(SessionError) -> Range<Int> {
    let tooShort = SessionError(.frameSizeError, "HEADERS without room for what its flags say")
    var start = 0
    var padding = 0
    if flags & FrameFlag.padded != 0 {
        guard payload.count >= 1 else { throw tooShort }
        padding = Int(payload[0])
        start = 1
    }
    if flags & FrameFlag.priority != 0 {
        guard payload.count - start >= 5 else { throw tooShort }
        start += 5
    }
    guard padding <= payload.count - start else { throw SessionError(.protocolError, "padding as long as the payload") }
    return start..<payload.count - padding
}

// Bytes into frames: the preface, then headers and payloads in any pieces.
//
//   preface ─▶ header ─▶ payload, whole ───────────────────────────────▶ header
//                 ├────▶ [padLength ─▶] data, in pieces ─▶ skipped padding ─┤
//                 └────▶ skipped ───────────────────────────────────────────┘
//
// Invariant: a payload is handled in the caller's bytes where it came whole (FramePieces).

extension Session {
    /// The client's preface (RFC 9113 section 3.4).
    static let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    /// Reads on in received bytes from `offset`, and moves it, until something happened. Nil: all bytes are used up. The beginning of an
    /// incomplete frame is kept (a DATA frame's is an event already), so the next bytes are given from their beginning. Between two calls
    /// everything that this session offers may be called.
    /// - Throws: a connection error. `control` holds its GOAWAY; from then on there is only that error.
    package mutating func next(
        _ input: UnsafeRawBufferPointer, from offset: inout Int, now: Int64
    ) throws(SessionError) -> SessionEvent? {
        precondition(offset >= 0 && offset <= input.count, "the offset lies outside of the bytes")
        if let failure { throw failure }
        budgets.refill(now: now)
        do throws(SessionError) {
            let event = try read(Span(_unsafeElements: input.assumingMemoryBound(to: UInt8.self)), from: &offset)
            // The connection may be idle now, and then it keeps no memory for requests.
            if event == nil, fields.bytes.capacity > 0 { fields = DecodedFields() }
            return event
        } catch {
            failure = error
            isLeaving = true
            ControlFrames.appendGoAway(last: highestStream, error.code, reason: error.reason, to: &control)
            throw error
        }
    }

    private mutating func read(_ bytes: Span<UInt8>, from offset: inout Int) throws(SessionError) -> SessionEvent? {
        while true {
            // Behind each frame, and for what the caller did since the last call.
            try checkBudgets()
            let event: SessionEvent?
            switch stage {
            case .preface:
                guard try readPreface(bytes, from: &offset) else { return nil }
                continue
            case .header:
                guard let header = pieces.takeHeader(bytes, from: &offset) else { return nil }
                frame = header
                event = try begin(header)
            case .payload:
                guard bytes.count - offset >= frame.length, pieces.isEmpty else {
                    guard pieces.gather(frame.length, bytes, from: &offset) else { return nil }
                    event = try handleGathered()
                    break
                }
                let payload = bytes.extracting(offset..<offset + frame.length)
                offset += frame.length
                stage = .header
                event = try handle(payload)
            case .padLength:
                guard offset < bytes.count else { return nil }
                try beginPadded(padding: Int(bytes[offset]))
                offset += 1
                continue
            case .data:
                let count = min(remaining, bytes.count - offset)
                guard count > 0 || remaining == 0 else { return nil }
                offset += count
                event = receiveData(offset - count..<offset)
            case .skipped:
                let count = min(remaining, bytes.count - offset)
                offset += count
                remaining -= count
                guard remaining == 0 else { return nil }
                stage = .header
                continue
            }
            if let event { return event }
        }
    }

    private mutating func checkBudgets() throws(SessionError) {
        if let reason = budgets.exceeded { throw SessionError(.enhanceYourCalm, reason, isAbuse: true) }
        if control.count > limits.maximumControlBytes {
            throw SessionError(.enhanceYourCalm, "control frames wait and the client does not read them", isAbuse: true)
        }
        if budgets.isNearlySpent, !isLeaving { goAway(.noError, isFinal: false) }
    }

    private mutating func readPreface(_ bytes: Span<UInt8>, from offset: inout Int) throws(SessionError) -> Bool {
        while remaining < Session.preface.utf8CodeUnitCount {
            guard offset < bytes.count else { return false }
            guard bytes[offset] == Session.preface.utf8Start[remaining] else {
                throw SessionError(.protocolError, "the connection does not begin with HTTP/2's preface")
            }
            offset += 1
            remaining += 1
        }
        stage = .header
        return true
    }

    private mutating func handleGathered() throws(SessionError) -> SessionEvent? {
        stage = .header
        if frame.length <= FrameHeader.byteCount {
            let payload = pieces.takeShort()
            return try handle(payload.span.extracting(0..<frame.length))
        }
        let payload = pieces.takeLong()
        return try handle(payload.span)
    }
}

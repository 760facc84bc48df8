// Bytes into frames, and what each frame may be and where (RFC 9113 sections 4 and 6), on the client's side.
//
//   header ─▶ payload, whole ───────────────────────────────▶ header
//     ├────▶ [padLength ─▶] data, in pieces ─▶ skipped padding ─┤
//     └────▶ skipped ───────────────────────────────────────────┘

import Bytes

extension ClientSession {
    /// Reads on in received bytes from `offset`, and moves it, until something happened. Nil: all bytes are used up. The beginning of an
    /// incomplete frame is kept (a DATA frame's is an event already), so the next bytes are given from their beginning. Between two calls
    /// everything that this session offers may be called.
    /// - Throws: a connection error. `control` holds its GOAWAY; from then on there is only that error.
    package mutating func next(
        _ input: UnsafeRawBufferPointer, from offset: inout Int, now: Int64
    ) throws(SessionError) -> ClientEvent? {
        precondition(offset >= 0 && offset <= input.count, "the offset lies outside of the bytes")
        if let failure { throw failure }
        budgets.refill(now: now)
        do throws(SessionError) {
            return try read(Span(_unsafeElements: input.assumingMemoryBound(to: UInt8.self)), from: &offset)
        } catch {
            failure = error
            streams = [:]
            ControlFrames.appendGoAway(last: 0, error.code, reason: error.reason, to: &control)
            throw error
        }
    }

    private mutating func read(_ bytes: Span<UInt8>, from offset: inout Int) throws(SessionError) -> ClientEvent? {
        while true {
            if let reason = budgets.exceeded { throw SessionError(.enhanceYourCalm, reason, isAbuse: true) }
            if control.count > limits.maximumControlBytes {
                throw SessionError(.enhanceYourCalm, "control frames wait and the server does not read them", isAbuse: true)
            }
            let event: ClientEvent?
            switch stage {
            case .header:
                guard let header = pieces.takeHeader(bytes, from: &offset) else { return nil }
                frame = header
                stage = .payload
                event = try begin(header)
            case .payload:
                guard let whole = try payload(bytes, from: &offset) else { return nil }
                event = whole
            case .padLength:
                guard offset < bytes.count else { return nil }
                offset += 1
                event = try beginPadded(padding: Int(bytes[offset - 1]))
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

    /// What comes of a payload that is whole now. Outer nil: the rest has not come.
    private mutating func payload(_ bytes: Span<UInt8>, from offset: inout Int) throws(SessionError) -> ClientEvent?? {
        if pieces.isEmpty, bytes.count - offset >= frame.length {
            let payload = bytes.extracting(offset..<offset + frame.length)
            offset += frame.length
            stage = .header
            return .some(try handle(payload))
        }
        guard pieces.gather(frame.length, bytes, from: &offset) else { return nil }
        stage = .header
        if frame.length > FrameHeader.byteCount {
            let payload = pieces.takeLong()
            return .some(try handle(payload.span))
        }
        let payload = pieces.takeShort()
        return .some(try handle(payload.span.extracting(0..<frame.length)))
    }

    // MARK: Headers of frames

    /// The header of a frame has come: checks what it says, and decides how its payload is read.
    private mutating func begin(_ header: FrameHeader) throws(SessionError) -> ClientEvent? {
        budgets.receive(overhead: FrameHeader.byteCount)
        let type = FrameType(rawValue: header.type)
        try checkOrder(type, header)
        guard header.length <= FrameHeader.maximumPayload else {
            throw SessionError(.frameSizeError, "a frame longer than 16,384 octets")
        }
        guard let type else {
            budgets.chat()
            budgets.receive(overhead: header.length)
            skip(header.length)
            return nil
        }
        try checkStream(type, header)
        guard header.hasLength(of: type) else {
            throw SessionError(.frameSizeError, "a frame of a length that its type does not have")
        }
        switch type {
        case .data: return try beginData(header)
        case .headers: block.begin(on: header.stream, endsStream: header.has(FrameFlag.endStream))
        case .pushPromise: throw SessionError(.protocolError, "PUSH_PROMISE, which was not allowed")
        case .priorityUpdate: throw SessionError(.protocolError, "PRIORITY_UPDATE from a server")
        case .continuation: break
        default: budgets.receive(overhead: header.length)
        }
        return nil
    }

    /// Nothing stands before the first SETTINGS, and nothing inside of a field block.
    private mutating func checkOrder(_ type: FrameType?, _ header: FrameHeader) throws(SessionError) {
        if !hasSettings {
            // The first nine octets of a response of HTTP/1.
            if header.length == 0x48_5454, header.type == 0x50, header.flags == 0x2F {
                throw SessionError(.protocolError, "the server answers in HTTP/1")
            }
            guard type == .settings, !header.has(FrameFlag.acknowledgement) else {
                throw SessionError(.protocolError, "the first frame is not SETTINGS")
            }
            hasSettings = true
            serversMaximum = .max
        }
        if block.stream != 0, type != .continuation || header.stream != block.stream {
            throw SessionError(.protocolError, "a frame inside of a field block")
        }
    }

    private func checkStream(_ type: FrameType, _ header: FrameHeader) throws(SessionError) {
        switch type {
        case .settings, .ping, .goAway, .priorityUpdate:
            if header.stream != 0 { throw SessionError(.protocolError, "a frame of the connection on a stream") }
        case .windowUpdate:
            if header.stream != 0, isIdle(header.stream) { throw SessionError(.protocolError, "a frame on an idle stream") }
        case .priority, .pushPromise:
            if header.stream == 0 { throw SessionError(.protocolError, "a frame of a stream on the connection") }
        case .continuation:
            if block.stream == 0 { throw SessionError(.protocolError, "CONTINUATION without a field block") }
        case .data, .headers, .resetStream:
            if header.stream == 0 { throw SessionError(.protocolError, "a frame of a stream on the connection") }
            if isIdle(header.stream) { throw SessionError(.protocolError, "a frame on an idle stream") }
        }
    }

    /// Passes over the payload that follows.
    mutating func skip(_ count: Int) {
        stage = .skipped
        remaining = count
    }
}

// The frames of the connection (RFC 9113 section 6), on the client's side.

extension ClientSession {
    /// The payload of a frame has come whole.
    mutating func handle(_ payload: Span<UInt8>) throws(SessionError) -> ClientEvent? {
        switch FrameType(rawValue: frame.type) {
        case .headers:
            let fragment = try fieldBlockFragment(payload, flags: frame.flags)
            budgets.receive(overhead: payload.count - fragment.count)
            return try receiveFragment(payload.extracting(fragment))
        case .continuation: return try receiveFragment(payload)
        case .priority: budgets.chat()
        case .resetStream: return receiveReset(HTTP2ErrorCode(rawValue: bigEndian(payload, at: 0)))
        case .settings: try receiveSettings(payload)
        case .ping: receivePing(payload)
        case .goAway: return receiveGoAway(payload)
        case .windowUpdate: return try receiveWindowUpdate(payload)
        case .data, .pushPromise, .priorityUpdate, nil: preconditionFailure("such a payload is not read whole")
        }
        return nil
    }

    private mutating func receiveSettings(_ payload: Span<UInt8>) throws(SessionError) {
        budgets.chat()
        if frame.has(FrameFlag.acknowledgement) { return }
        guard payload.count <= limits.maximumSettings * Settings.entryBytes else {
            throw SessionError(.enhanceYourCalm, "too many entries in SETTINGS", isAbuse: true)
        }
        for offset in stride(from: 0, to: payload.count, by: Settings.entryBytes) {
            switch try Settings.entry(payload, at: offset) {
            case .initialWindowSize(let bytes): try moveWindows(to: bytes)
            case .maximumConcurrentStreams(let count): serversMaximum = count
            case .allowsPush: throw SessionError(.protocolError, "ENABLE_PUSH from a server")
            case .other: break
            }
        }
        ControlFrames.appendSettingsAnswer(to: &control)
    }

    /// A new INITIAL_WINDOW_SIZE moves the windows of all streams (section 6.9.2).
    private mutating func moveWindows(to bytes: Int32) throws(SessionError) {
        budgets.changeWindows(of: streams.count)
        let difference = Int64(bytes) - Int64(initialSendWindow)
        initialSendWindow = bytes
        for (number, stream) in streams {
            let window = Int64(stream.sendWindow) + difference
            guard window <= Int64(Int32.max) else {
                throw SessionError(.flowControlError, "INITIAL_WINDOW_SIZE moves a window over 2^31-1")
            }
            streams[number]?.sendWindow = Int32(max(window, Int64(Int32.min)))
        }
    }

    private mutating func receivePing(_ payload: Span<UInt8>) {
        budgets.chat()
        guard !frame.has(FrameFlag.acknowledgement) else { return }
        ControlFrames.appendPing(
            UInt64(bigEndian(payload, at: 0)) << 32 | UInt64(bigEndian(payload, at: 4)), isAnswer: true, to: &control)
    }

    private mutating func receiveGoAway(_ payload: Span<UInt8>) -> ClientEvent? {
        budgets.chat()
        // The number never rises (section 6.8); a server that raises it cannot bring back what has ended.
        lastServed = min(lastServed, bigEndian(payload, at: 0) & 0x7FFF_FFFF)
        for number in Array(streams.keys) where number > lastServed { streams[number] = nil }
        return .goAway(last: lastServed, HTTP2ErrorCode(rawValue: bigEndian(payload, at: 4)))
    }

    private mutating func receiveWindowUpdate(_ payload: Span<UInt8>) throws(SessionError) -> ClientEvent? {
        budgets.useCredit()
        let increment = Int32(bigEndian(payload, at: 0) & 0x7FFF_FFFF)
        if frame.stream == 0 {
            guard increment > 0 else { throw SessionError(.protocolError, "WINDOW_UPDATE of 0 on the connection") }
            let (window, overflows) = connectionSendWindow.addingReportingOverflow(increment)
            if overflows { throw SessionError(.flowControlError, "WINDOW_UPDATE moves the connection's window over 2^31-1") }
            connectionSendWindow = window
            return nil
        }
        guard let stream = streams[frame.stream] else { return nil }
        guard increment > 0 else { return fail(frame.stream, .protocolError, "WINDOW_UPDATE of 0") }
        let (window, overflows) = stream.sendWindow.addingReportingOverflow(increment)
        if overflows { return fail(frame.stream, .flowControlError, "WINDOW_UPDATE moves the window over 2^31-1") }
        streams[frame.stream]?.sendWindow = window
        return nil
    }
}

// What each frame may be and where (RFC 9113 sections 4 and 6), and the frames of the connection.
//
// A broken rule of one stream ends that stream only, wherever the standard allows: a connection may carry all event streams of a browser.

extension Session {
    /// The header of a frame has come: checks what it says, and decides how its payload is read.
    mutating func begin(_ header: FrameHeader) throws(SessionError) -> SessionEvent? {
        if !hasSettings || block.stream != 0 { try checkOrder(header) }
        budgets.receive(overhead: FrameHeader.byteCount)
        stage = .payload
        // The two types of which there are many come first, by a shorter way to the same rules.
        if header.type == FrameType.data.rawValue, header.length <= FrameHeader.maximumPayload, header.stream != 0, !isIdle(header.stream) {
            return try beginData(header)
        }
        if header.type == FrameType.windowUpdate.rawValue, header.length == 4, header.stream == 0 || !isIdle(header.stream) {
            budgets.receive(overhead: 4)
            return nil
        }
        return try beginOther(header)
    }

    /// Nothing stands before the first SETTINGS, and nothing inside of a field block.
    private mutating func checkOrder(_ header: FrameHeader) throws(SessionError) {
        let type = FrameType(rawValue: header.type)
        if !hasSettings {
            guard type == .settings, !header.has(FrameFlag.acknowledgement) else {
                throw SessionError(.protocolError, "the first frame is not SETTINGS")
            }
            hasSettings = true
        }
        if block.stream != 0, type != .continuation || header.stream != block.stream {
            throw SessionError(.protocolError, "a frame inside of a field block")
        }
    }

    private mutating func beginOther(_ header: FrameHeader) throws(SessionError) -> SessionEvent? {
        guard let type = FrameType(rawValue: header.type) else {
            if header.length > FrameHeader.maximumPayload { return try refuseOverlong(header, isConnection: header.stream == 0) }
            budgets.chat()
            budgets.receive(overhead: header.length)
            skip(header.length)
            return nil
        }
        try checkStream(type, header)
        guard header.length <= FrameHeader.maximumPayload else {
            // The last two have one right length only, and another one ends the connection (sections 6.4 and 6.9).
            let isConnection =
                header.stream == 0 || [.headers, .continuation, .settings, .pushPromise, .resetStream, .windowUpdate].contains(type)
            return try refuseOverlong(header, isConnection: isConnection)
        }
        switch type {
        case .headers: try beginHeaders(header.stream, endsStream: header.has(FrameFlag.endStream))
        case .continuation, .goAway, .priorityUpdate: break
        case .pushPromise: throw SessionError(.protocolError, "PUSH_PROMISE from a client")
        default: budgets.receive(overhead: header.length)
        }
        return try checkLength(type, header)
    }

    private func checkStream(_ type: FrameType, _ header: FrameHeader) throws(SessionError) {
        switch type {
        case .settings, .ping, .goAway, .priorityUpdate:
            if header.stream != 0 { throw SessionError(.protocolError, "a frame of the connection on a stream") }
        case .windowUpdate: break
        default:
            if header.stream == 0 { throw SessionError(.protocolError, "a frame of a stream on the connection") }
        }
        switch type {
        case .data, .resetStream, .windowUpdate:
            if header.stream != 0, isIdle(header.stream) { throw SessionError(.protocolError, "a frame on an idle stream") }
        case .continuation:
            if block.stream == 0 { throw SessionError(.protocolError, "CONTINUATION without a field block") }
        default: break
        }
    }

    private mutating func checkLength(_ type: FrameType, _ header: FrameHeader) throws(SessionError) -> SessionEvent? {
        if header.hasLength(of: type) { return nil }
        guard type == .priority else { throw SessionError(.frameSizeError, "a frame of a length that its type does not have") }
        skip(header.length)
        return try streamError(header.stream, .frameSizeError, "PRIORITY of another length than 5")
    }

    private mutating func refuseOverlong(_ header: FrameHeader, isConnection: Bool) throws(SessionError) -> SessionEvent? {
        if isConnection { throw SessionError(.frameSizeError, "a frame longer than 16,384 octets") }
        if header.type == FrameType.data.rawValue {
            // What does not fit into the connection's window could not be given back to it.
            guard header.length <= connectionReceiveWindow else { throw Session.connectionWindowExceeded }
            connectionReceiveWindow -= Int32(header.length)
            skipData(header.length)
        } else {
            budgets.receive(overhead: header.length)
            skip(header.length)
        }
        return try streamError(header.stream, .frameSizeError, "a frame longer than 16,384 octets")
    }

    /// Passes over the payload that follows.
    mutating func skip(_ count: Int) {
        stage = .skipped
        remaining = count
    }

    /// The payload of a frame has come whole.
    mutating func handle(_ payload: Span<UInt8>) throws(SessionError) -> SessionEvent? {
        if frame.type == FrameType.windowUpdate.rawValue { return try receiveWindowUpdate(payload) }
        switch FrameType(rawValue: frame.type) {
        case .headers: return try receiveHeaders(payload)
        case .continuation: return try receiveFragment(payload)
        case .priority:
            budgets.chat()
            return nil
        case .resetStream: return receiveReset(HTTP2ErrorCode(rawValue: bigEndian(payload, at: 0)))
        case .settings: return try receiveSettings(payload)
        case .ping: return receivePing(payload)
        case .goAway:
            budgets.chat()
            budgets.receive(overhead: payload.count)
            return .goAway(HTTP2ErrorCode(rawValue: bigEndian(payload, at: 4)))
        case .priorityUpdate:
            budgets.receive(overhead: payload.count)
            try receivePriorityUpdate(of: bigEndian(payload, at: 0) & 0x7FFF_FFFF)
            return nil
        case .data, .windowUpdate, .pushPromise, nil: preconditionFailure("such a payload is not read whole")
        }
    }

    private mutating func receiveSettings(_ payload: Span<UInt8>) throws(SessionError) -> SessionEvent? {
        budgets.chat()
        if frame.has(FrameFlag.acknowledgement) { return nil }
        guard payload.count <= limits.maximumSettings * Settings.entryBytes else {
            throw SessionError(.enhanceYourCalm, "too many entries in SETTINGS", isAbuse: true)
        }
        var isWider = false
        for offset in stride(from: 0, to: payload.count, by: Settings.entryBytes) {
            switch try Settings.entry(payload, at: offset) {
            case .initialWindowSize(let bytes):
                budgets.changeWindows(of: streams.openCount)
                guard streams.moveSendWindows(by: Int64(bytes) - Int64(initialSendWindow)) else {
                    throw SessionError(.flowControlError, "INITIAL_WINDOW_SIZE moves a window over 2^31-1")
                }
                isWider = isWider || bytes > initialSendWindow
                initialSendWindow = bytes
            case .maximumConcurrentStreams, .allowsPush, .other: break
            }
        }
        ControlFrames.appendSettingsAnswer(to: &control)
        return isWider && streams.openCount > 0 ? .windowOpened(slot: nil) : nil
    }

    private mutating func receivePing(_ payload: Span<UInt8>) -> SessionEvent? {
        let octets = UInt64(bigEndian(payload, at: 0)) << 32 | UInt64(bigEndian(payload, at: 4))
        guard frame.has(FrameFlag.acknowledgement) else {
            budgets.chat()
            ControlFrames.appendPing(octets, isAnswer: true, to: &control)
            return nil
        }
        guard isPingUnanswered, octets == Session.pingPayload(pingCount) else {
            budgets.chat()
            return nil
        }
        isPingUnanswered = false
        return .pong
    }

    /// The eight octets of our PING with that number: "hear", then the number.
    static func pingPayload(_ count: UInt32) -> UInt64 { 0x6865_6172_0000_0000 | UInt64(count) }

    private mutating func receiveWindowUpdate(_ payload: Span<UInt8>) throws(SessionError) -> SessionEvent? {
        budgets.useCredit()
        let increment = Int32(bigEndian(payload, at: 0) & 0x7FFF_FFFF)
        if frame.stream == 0 {
            guard increment > 0 else { throw SessionError(.protocolError, "WINDOW_UPDATE of 0 on the connection") }
            let (window, overflows) = connectionSendWindow.addingReportingOverflow(increment)
            if overflows { throw SessionError(.flowControlError, "WINDOW_UPDATE moves the connection's window over 2^31-1") }
            connectionSendWindow = window
            return .windowOpened(slot: nil)
        }
        guard let slot = streams.slot(of: frame.stream) else { return nil }
        guard increment > 0 else { return failStream(slot, .protocolError, "WINDOW_UPDATE of 0") }
        let (window, overflows) = streams[slot].sendWindow.addingReportingOverflow(increment)
        if overflows { return failStream(slot, .flowControlError, "WINDOW_UPDATE moves the window over 2^31-1") }
        streams[slot].sendWindow = window
        return streams[slot].flags.contains(.localEnded) ? nil : .windowOpened(slot: slot)
    }

    /// Nothing is stored of the priority. The numbers of idle targets are, as the standard has them counted (RFC 9218 section 7.1).
    private mutating func receivePriorityUpdate(of target: UInt32) throws(SessionError) {
        budgets.chat()
        guard target & 1 == 1 else { throw SessionError(.protocolError, "PRIORITY_UPDATE of a stream that cannot be a request's") }
        guard isIdle(target), !idleTargets.contains(target) else { return }
        guard idleTargets.count + streams.openCount < limits.maximumStreams else {
            throw SessionError(.protocolError, "PRIORITY_UPDATE of more idle streams than may be open")
        }
        idleTargets.append(target)
    }
}

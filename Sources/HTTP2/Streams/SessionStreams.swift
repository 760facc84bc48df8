// The frames of streams: HEADERS, CONTINUATION, DATA and RST_STREAM, through the states that StreamTable draws.

extension Session {
    static let connectionWindowExceeded = SessionError(.flowControlError, "more DATA than the connection's window allowed")
    /// From this number on a connection asks for its successor, long before the numbers end at 2^31-1.
    private static let numbersNearlyUsedUp: UInt32 = 0x7FFF_F000

    // MARK: Errors of a stream

    /// The client broke a rule of an open stream: resets it. Its exchange must end.
    mutating func failStream(_ slot: Int, _ code: HTTP2ErrorCode, _ reason: StaticString) -> SessionEvent {
        if streams[slot].flags.contains(.answered) { budgets.glitch() } else { budgets.abandon() }
        closeWithReset(slot, code)
        return .failed(slot: slot, code, reason)
    }

    /// The same for a stream of which only the number is known. What cannot be reset because it is idle ends the connection.
    mutating func streamError(_ number: UInt32, _ code: HTTP2ErrorCode, _ reason: StaticString) throws(SessionError) -> SessionEvent? {
        if let slot = streams.slot(of: number) { return failStream(slot, code, reason) }
        if isIdle(number) { throw SessionError(code, reason) }
        answerClosed(number, code)
        return nil
    }

    /// A frame came for a closed stream. If we reset it, the frame was on its way; else the client is told once.
    private mutating func answerClosed(_ number: UInt32, _ code: HTTP2ErrorCode) {
        if number > lastAccepted || resetStreams.contains(number) { return budgets.chat() }
        budgets.glitch()
        resetStreams.insert(number)
        ControlFrames.appendReset(code, stream: number, to: &control)
    }

    /// Queues RST_STREAM and closes.
    mutating func closeWithReset(_ slot: Int, _ code: HTTP2ErrorCode) {
        resetStreams.insert(streams[slot].number)
        ControlFrames.appendReset(code, stream: streams[slot].number, to: &control)
        close(slot)
    }

    /// Closes. What the exchange has not taken of the body is given back to the connection, or other streams would starve.
    mutating func close(_ slot: Int) {
        let stream = streams[slot]
        guard !stream.flags.contains(.closed) else { return }
        streams.close(slot)
        returnToConnection(limits.streamWindowBytes - Int(stream.receiveWindow) - Int(stream.unreturned))
    }

    private mutating func endRemote(_ slot: Int) {
        streams[slot].flags.insert(.remoteEnded)
        if streams[slot].flags.contains(.localEnded) { close(slot) }
    }

    // MARK: Field blocks

    /// HEADERS begins on a stream that is not 0.
    mutating func beginHeaders(_ number: UInt32, endsStream: Bool) throws(SessionError) {
        guard number & 1 == 1 else { throw SessionError(.protocolError, "HEADERS on a stream of an even number") }
        blockIsNew = number > highestSeen
        if blockIsNew {
            let expected = highestSeen == 0 ? 1 : highestSeen + 2
            if number > expected { skippedNumbers = expected...number - 2 }
            highestSeen = number
            if !idleTargets.isEmpty { idleTargets.removeAll { $0 <= number } }
        } else if streams.slot(of: number) == nil {
            guard number > lastAccepted || resetStreams.contains(number) else {
                if let skippedNumbers, skippedNumbers ~= number {
                    throw SessionError(.protocolError, "HEADERS on a stream below one that was opened")
                }
                throw SessionError(.streamClosed, "HEADERS on a closed stream")
            }
            budgets.chat()
        }
        block.begin(on: number, endsStream: endsStream)
    }

    /// The payload of HEADERS.
    mutating func receiveHeaders(_ payload: Span<UInt8>) throws(SessionError) -> SessionEvent? {
        let fragment = try fieldBlockFragment(payload, flags: frame.flags)
        budgets.receive(overhead: payload.count - fragment.count)
        return try receiveFragment(payload.extracting(fragment))
    }

    /// A piece of the open field block.
    mutating func receiveFragment(_ fragment: Span<UInt8>) throws(SessionError) -> SessionEvent? {
        budgets.receive(payload: fragment.count)
        let number = block.stream
        guard try block.receive(fragment, isWhole: frame.has(FrameFlag.endHeaders), limits, decoder: &decoder, into: &fields) else {
            return nil
        }
        return blockIsNew ? open(number) : receiveTrailers(number)
    }

    private mutating func open(_ number: UInt32) -> SessionEvent? {
        if number > lastAccepted {
            budgets.chat()
            return nil
        }
        if number >= Session.numbersNearlyUsedUp, !isLeaving { goAway(.noError, isFinal: false) }
        budgets.openedStream()
        guard streams.occupied < limits.maximumStreams else {
            budgets.glitch()
            resetStreams.insert(number)
            ControlFrames.appendReset(.refusedStream, stream: number, to: &control)
            return nil
        }
        let slot = streams.open(
            Stream(number: number, sendWindow: initialSendWindow, receiveWindow: Int32(limits.streamWindowBytes)))
        if block.endsStream { streams[slot].flags.insert(.remoteEnded) }
        return .request(slot: slot, isLast: block.endsStream)
    }

    private mutating func receiveTrailers(_ number: UInt32) -> SessionEvent? {
        guard let slot = streams.slot(of: number) else { return nil }
        if streams[slot].flags.contains(.remoteEnded) { return failStream(slot, .streamClosed, "HEADERS after END_STREAM") }
        guard block.endsStream else { return failStream(slot, .protocolError, "trailers without END_STREAM") }
        endRemote(slot)
        return .trailers(slot: slot)
    }

    // MARK: DATA

    /// DATA begins on a stream that is not idle. All of its payload counts for the windows (section 6.1).
    mutating func beginData(_ header: FrameHeader) throws(SessionError) -> SessionEvent? {
        guard header.length <= connectionReceiveWindow else { throw Session.connectionWindowExceeded }
        if header.has(FrameFlag.padded), header.length == 0 { throw SessionError(.frameSizeError, "DATA without room for its pad length") }
        connectionReceiveWindow -= Int32(header.length)
        guard let slot = streams.slot(of: header.stream) else {
            answerClosed(header.stream, .streamClosed)
            skipData(header.length)
            return nil
        }
        if streams[slot].flags.contains(.remoteEnded) {
            skipData(header.length)
            return failStream(slot, .streamClosed, "DATA after END_STREAM")
        }
        guard header.length <= streams[slot].receiveWindow else {
            skipData(header.length)
            return failStream(slot, .flowControlError, "more DATA than the stream's window allowed")
        }
        streams[slot].receiveWindow -= Int32(header.length)
        dataSlot = slot
        padding = 0
        remaining = header.length
        stage = header.has(FrameFlag.padded) ? .padLength : .data
        return nil
    }

    /// Passes over DATA that nobody takes. It was counted for the connection's window, and is given back at once.
    mutating func skipData(_ count: Int) {
        skip(count)
        returnToConnection(count)
    }

    /// The pad length of a DATA frame has come.
    mutating func beginPadded(padding: Int) throws(SessionError) {
        guard padding < frame.length else { throw SessionError(.protocolError, "padding as long as the payload") }
        self.padding = padding
        remaining = frame.length - 1 - padding
        stage = .data
        budgets.receive(overhead: 1 + padding)
        if isReceivingData { giveBack(1 + padding, of: dataSlot) }
    }

    /// Whether the stream of the DATA frame that is being read is still open: it may have been reset between two pieces.
    private var isReceivingData: Bool {
        mutating get { streams.isOpen(dataSlot, frame.stream) }
    }

    /// The next of the frame's data came, in that range of the input; or there is none.
    mutating func receiveData(_ range: Range<Int>) -> SessionEvent? {
        remaining -= range.count
        let isEnd = remaining == 0
        if isEnd {
            stage = padding > 0 ? .skipped : .header
            remaining = padding
        }
        budgets.receive(payload: range.count)
        guard isReceivingData else { return nil }
        let isLast = isEnd && frame.has(FrameFlag.endStream)
        if isLast {
            endRemote(dataSlot)
        } else if range.isEmpty {
            streams[dataSlot].emptyData += 1
            guard streams[dataSlot].emptyData > limits.maximumEmptyData else { return nil }
            budgets.glitch(limits.maximumEmptyData)
            return failStream(dataSlot, .enhanceYourCalm, "many empty DATA frames")
        } else {
            streams[dataSlot].emptyData = 0
        }
        return .data(slot: dataSlot, range, isLast: isLast)
    }

    // MARK: RST_STREAM

    /// The client reset a stream that is not idle. That is never answered (section 5.4.2).
    mutating func receiveReset(_ code: HTTP2ErrorCode) -> SessionEvent? {
        guard let slot = streams.slot(of: frame.stream) else {
            budgets.useCredit()
            return nil
        }
        if !streams[slot].flags.contains(.answered) { budgets.abandon() }
        close(slot)
        return .reset(slot: slot, code)
    }
}

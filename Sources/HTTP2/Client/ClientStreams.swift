// The frames of streams, on the client's side: heads, bodies and ends of responses (RFC 9113 sections 5.1, 6 and 8.1).
//
// Frames for a stream that has ended are passed over, as browsers do: they may have been on their way. Their fields are decoded, and their
// DATA is given back to the connection.

import HTTP

extension ClientSession {
    /// The server broke a rule of a stream: resets it.
    mutating func fail(_ number: UInt32, _ code: HTTP2ErrorCode, _ reason: StaticString) -> ClientEvent {
        budgets.glitch()
        reset(number, code)
        return .failed(stream: number, code, reason)
    }

    // MARK: Field blocks

    /// A piece of the open field block.
    mutating func receiveFragment(_ fragment: Span<UInt8>) throws(SessionError) -> ClientEvent? {
        budgets.receive(payload: fragment.count)
        let (number, isLast) = (block.stream, block.endsStream)
        guard try block.receive(fragment, isWhole: frame.has(FrameFlag.endHeaders), limits, decoder: &decoder, into: &fields) else {
            return nil
        }
        guard let stream = streams[number] else {
            budgets.chat()
            return nil
        }
        return stream.hasHead ? receiveTrailers(number, isLast: isLast) : receiveHead(number, isLast: isLast)
    }

    private mutating func receiveHead(_ number: UInt32, isLast: Bool) -> ClientEvent? {
        let head: ResponseHead
        do throws(ResponseProblem) {
            head = try assembleResponse(fields, limits: headLimits)
        } catch {
            return fail(number, error == .tooLarge ? .enhanceYourCalm : .protocolError, error.reason)
        }
        if head.isInterim {
            budgets.chat()
            guard !isLast else { return fail(number, .protocolError, "an interim head that ends its stream") }
            streams[number]?.interimHeads += 1
            guard streams[number]?.interimHeads ?? 0 <= ClientSession.maximumInterimHeads else {
                return fail(number, .enhanceYourCalm, "many interim heads")
            }
            return nil
        }
        let hasNoBody = head.status == 204 || head.status == 304
        streams[number]?.hasHead = true
        streams[number]?.contentLength = hasNoBody ? 0 : head.contentLength
        if isLast, let failed = end(number) { return failed }
        return .head(stream: number, head, isLast: isLast)
    }

    private mutating func receiveTrailers(_ number: UInt32, isLast: Bool) -> ClientEvent {
        guard isLast else { return fail(number, .protocolError, "trailers without END_STREAM") }
        do throws(RequestProblem) {
            try checkTrailers(fields)
        } catch {
            return fail(number, .protocolError, "malformed trailers")
        }
        return end(number) ?? .trailers(stream: number)
    }

    /// END_STREAM came. The sum of all DATA must be what Content-Length says (section 8.1.1); else the stream fails.
    private mutating func end(_ number: UInt32) -> ClientEvent? {
        guard let stream = streams[number] else { return nil }
        if let length = stream.contentLength, length != stream.receivedBytes {
            return fail(number, .protocolError, "Content-Length differs from the body")
        }
        streams[number] = nil
        return nil
    }

    // MARK: DATA

    /// DATA begins on a stream that is not idle. All of its payload counts for the windows (section 6.1).
    mutating func beginData(_ header: FrameHeader) throws(SessionError) -> ClientEvent? {
        if header.has(FrameFlag.padded), header.length == 0 { throw SessionError(.frameSizeError, "DATA without room for its pad length") }
        guard let stream = streams[header.stream] else {
            budgets.chat()
            skipData(header.length)
            return nil
        }
        guard stream.hasHead else {
            skipData(header.length)
            return fail(header.stream, .protocolError, "DATA before a head")
        }
        padding = 0
        remaining = header.length
        guard header.has(FrameFlag.padded) else { return beginBody() }
        stage = .padLength
        return nil
    }

    /// The pad length of a DATA frame has come.
    mutating func beginPadded(padding: Int) throws(SessionError) -> ClientEvent? {
        guard padding < frame.length else { throw SessionError(.protocolError, "padding as long as the payload") }
        self.padding = padding
        remaining = frame.length - 1 - padding
        budgets.receive(overhead: 1 + padding)
        giveBack(1 + padding)
        return beginBody()
    }

    /// The data of a frame begins, and `remaining` says how much it is: ends the stream if that is wrong. Then the data is passed over.
    private mutating func beginBody() -> ClientEvent? {
        stage = .data
        guard var stream = streams[frame.stream] else { return nil }
        let isLast = frame.has(FrameFlag.endStream)
        stream.receivedBytes += UInt64(remaining)
        stream.emptyData = remaining == 0 && !isLast ? stream.emptyData + 1 : 0
        streams[frame.stream] = stream
        if let length = stream.contentLength, isLast ? stream.receivedBytes != length : stream.receivedBytes > length {
            return fail(frame.stream, .protocolError, "Content-Length differs from the body")
        }
        guard stream.emptyData > limits.maximumEmptyData else { return nil }
        return fail(frame.stream, .enhanceYourCalm, "many empty DATA frames")
    }

    /// Passes over DATA that nobody takes.
    private mutating func skipData(_ count: Int) {
        budgets.receive(overhead: count)
        skip(count)
        giveBackToConnection(count)
    }

    private mutating func giveBackToConnection(_ count: Int) {
        guard let increment = connectionWindow.take(count) else { return }
        ControlFrames.appendWindowUpdate(increment, stream: 0, to: &control)
    }

    private mutating func giveBack(_ count: Int) {
        giveBackToConnection(count)
        guard let increment = streams[frame.stream]?.receiveWindow.take(count) else { return }
        ControlFrames.appendWindowUpdate(increment, stream: frame.stream, to: &control)
    }

    /// The next of the frame's data came, in that range of the input; or there is none.
    mutating func receiveData(_ range: Range<Int>) -> ClientEvent? {
        remaining -= range.count
        let isEnd = remaining == 0
        if isEnd {
            stage = padding > 0 ? .skipped : .header
            remaining = padding
        }
        budgets.receive(payload: range.count)
        let number = frame.stream
        // It may have been cancelled between two pieces.
        let isOpen = streams[number] != nil
        let isLast = isEnd && frame.has(FrameFlag.endStream)
        if isLast { streams[number] = nil }
        giveBack(range.count)
        return isOpen && (isLast || !range.isEmpty) ? .data(stream: number, range, isLast: isLast) : nil
    }

    // MARK: RST_STREAM

    /// The server reset a stream that is not idle.
    mutating func receiveReset(_ code: HTTP2ErrorCode) -> ClientEvent? {
        guard streams.removeValue(forKey: frame.stream) != nil else {
            budgets.useCredit()
            return nil
        }
        return .reset(stream: frame.stream, code)
    }
}

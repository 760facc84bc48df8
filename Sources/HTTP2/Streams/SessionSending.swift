// What the connection tells the session: answers, bodies that were taken, resets, ends, PING and GOAWAY.
//
// A call for a slot that is free is a mistake of ours. Calls for a stream that a client has reset meanwhile are none, except that
// nothing may be sent on it.

extension Session {
    // MARK: The answer

    /// The largest payload of a DATA frame. Every client accepts it, and larger frames would make other streams wait.
    package var maximumPayload: Int {
        mutating get { FrameHeader.maximumPayload }
    }

    /// Appends HEADERS, and CONTINUATION where the block is long. The stream must not be closed.
    package mutating func appendHeaders(_ block: [UInt8], for slot: Int, isLast: Bool, to output: inout [UInt8]) {
        precondition(streams[slot].flags.isDisjoint(with: .noMoreSent), "the answer has ended")
        let prefix = hasSaidTableSize ? nil : HPACKEncoder.emptyTableUpdate
        hasSaidTableSize = true
        ControlFrames.appendFieldBlock(block, prefix: prefix, stream: streams[slot].number, isLast: isLast, to: &output)
        if isLast { endLocal(slot) }
    }

    /// The bytes of DATA that may be sent on the stream now; never below zero, and 0 for a closed stream.
    @inline(__always)
    package mutating func room(of slot: Int) -> Int { min(streamRoom(of: slot), connectionRoom) }

    /// What the stream's own window allows.
    @inline(__always)
    package mutating func streamRoom(of slot: Int) -> Int {
        let stream = streams[slot]
        return stream.flags.isDisjoint(with: .noMoreSent) ? max(Int(stream.sendWindow), 0) : 0
    }

    /// The bytes of DATA that the client has not given back to the stream's window, as far as that is known: 0 where the client has
    /// enlarged that window.
    package mutating func inFlight(of slot: Int) -> Int { max(Int(initialSendWindow) - Int(streams[slot].sendWindow), 0) }

    /// What the connection's window allows.
    package var connectionRoom: Int {
        mutating get { max(Int(connectionSendWindow), 0) }
    }

    /// A DATA frame of so many bytes is written, at most `room`. Without `isLast` it is not empty. The stream must not be closed.
    @inline(__always)
    package mutating func takeRoom(_ count: Int, of slot: Int, isLast: Bool) {
        precondition(count >= (isLast ? 0 : 1) && count <= max(room(of: slot), 0), "no room for such a frame")
        connectionSendWindow -= Int32(count)
        streams[slot].sendWindow -= Int32(count)
        budgets.sentData()
        if isLast { endLocal(slot) }
    }

    /// Takes room for a DATA frame of so many bytes, which is not the last, if both windows have it and the stream holds at most so many
    /// bytes in flight with it. Returns the stream's number; nil if nothing was taken.
    @inline(__always)
    package mutating func claimRoom(_ count: Int, of slot: Int, mostInFlight: Int) -> UInt32? {
        let most = min(Int(connectionSendWindow), FrameHeader.maximumPayload)
        guard count >= 1, count <= most else { return nil }
        let stream = streams[slot]
        let left = Int(stream.sendWindow) - count
        guard stream.flags.isDisjoint(with: .noMoreSent), left >= 0, Int(initialSendWindow) - left <= mostInFlight else { return nil }
        connectionSendWindow -= Int32(count)
        streams[slot].sendWindow -= Int32(count)
        budgets.sentData()
        return stream.number
    }

    /// Writes the nine octets in front of the payload of a DATA frame. `count` is at most `maximumPayload`.
    @inline(__always)
    package static func writeDataHeader(count: Int, isLast: Bool, stream: UInt32, to memory: UnsafeMutableRawPointer) {
        precondition(count >= 0 && count <= FrameHeader.maximumPayload, "no such frame")
        FrameHeader(.data, length: count, flags: isLast ? FrameFlag.endStream : 0, stream: stream).write(to: memory)
    }

    /// The head of an answer was sent, which is not an interim one. If the client resets the stream from now on, nothing is abandoned.
    package mutating func answered(_ slot: Int) { streams[slot].flags.insert(.answered) }

    private mutating func endLocal(_ slot: Int) {
        precondition(streams[slot].flags.isDisjoint(with: .noMoreSent), "the answer has ended")
        streams[slot].flags.insert(.localEnded)
        if streams[slot].flags.contains(.remoteEnded) { close(slot) }
    }

    // MARK: The request's body

    /// The exchange has taken so many bytes of the body that it got. They are given back to the client, in halves of the window.
    package mutating func consumed(_ count: Int, of slot: Int) {
        if streams[slot].flags.contains(.closed) { return }
        giveBack(count, of: slot)
    }

    /// Gives bytes back to the stream and to the connection.
    mutating func giveBack(_ count: Int, of slot: Int) {
        let window = limits.streamWindowBytes
        let unreturned = Int(streams[slot].unreturned) + count
        precondition(count >= 0 && unreturned <= window - Int(streams[slot].receiveWindow), "more bytes were taken than came")
        if unreturned * 2 >= window, !streams[slot].flags.contains(.remoteEnded) {
            ControlFrames.appendWindowUpdate(Int32(unreturned), stream: streams[slot].number, to: &control)
            streams[slot].receiveWindow += Int32(unreturned)
            streams[slot].unreturned = 0
        } else {
            streams[slot].unreturned = Int32(unreturned)
        }
        returnToConnection(count)
    }

    /// Gives bytes back to the connection.
    mutating func returnToConnection(_ count: Int) {
        connectionUnreturned += Int32(count)
        guard Int(connectionUnreturned) * 2 >= limits.connectionWindowBytes else { return }
        ControlFrames.appendWindowUpdate(connectionUnreturned, stream: 0, to: &control)
        connectionReceiveWindow += connectionUnreturned
        connectionUnreturned = 0
    }

    // MARK: Ends

    /// Resets the stream, once: nothing is done if it is closed. A malformed request is counted as abandoned, as all streams are that
    /// end before an answer because of their client.
    package mutating func reset(_ slot: Int, _ code: HTTP2ErrorCode) {
        let flags = streams[slot].flags
        if flags.contains(.closed) { return }
        if code.isClientsFault, !flags.contains(.answered) { budgets.abandon() }
        closeWithReset(slot, code)
    }

    /// The stream's exchange is over, its upstream side too: the slot becomes free, and the stream no longer counts against the limit.
    /// After a whole answer to a request that has not ended, the client is asked to stop (section 8.1). An answer that did not end is cut.
    package mutating func release(_ slot: Int) {
        if !streams[slot].flags.contains(.closed) {
            closeWithReset(slot, streams[slot].flags.contains(.localEnded) ? .noError : .internalError)
        }
        streams.free(slot)
    }

    /// Queues GOAWAY (section 6.8). The first step tells the client to open no more streams, and those on their way are still served. The
    /// final step names the last one that was accepted; later streams are ignored.
    package mutating func goAway(_ code: HTTP2ErrorCode, isFinal: Bool) {
        isLeaving = true
        if isFinal { lastAccepted = highestStream }
        let last = min(lastAccepted, 0x7FFF_FFFF)
        ControlFrames.appendGoAway(last: last, code, reason: "", to: &control)
    }

    /// Queues PING. `pong` tells of the answer to the last one only.
    package mutating func ping() {
        pingCount &+= 1
        isPingUnanswered = true
        ControlFrames.appendPing(Session.pingPayload(pingCount), isAnswer: false, to: &control)
    }
}

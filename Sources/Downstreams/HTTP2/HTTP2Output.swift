// What leaves: frames are gathered in one buffer and written once a turn, so that all streams that have something to say share one system
// call and one TLS record. DATA leaves as far as the windows and the socket allow; the rest waits at its stream, and streams take turns.
// Invariant: while the socket takes nothing, no DATA is framed, so a stream that is not read stops its own source and no other.

import HTTP
import HTTP2
import Reactor

extension HTTP2Connection {
    /// The buffer is written before the end of the turn when it holds so much: more than one TLS record.
    private static let fullBytes = 32_768
    private static let dataHeaderBytes = 9
    /// Half of the smallest usual window. A stream that is not read holds its bytes in the connection's window. So an event stream that
    /// has half of it leaves the rest to the others. It may have no less: clients give window back when half of it is used.
    static let halfWindow = 32_767

    // MARK: Gathering

    /// The worker's buffer, taken when the first byte of a turn is written.
    private func holdOutput() {
        if output.capacity == 0 { output = clients.takeOutputBuffer() }
        worker.gatherUntilEndOfTurn(self)
    }

    func giveOutputBack() {
        guard output.capacity > 0 else { return }
        output.removeAll(keepingCapacity: true)
        clients.giveBack(outputBuffer: output)
        output = []
    }

    /// Frames of the session stand behind all that was written, and before all that follows. While the socket takes nothing they wait in
    /// the session, which bounds them.
    func writeControl(evenWhilePending: Bool = false) {
        guard session.hasControl, pendingCount == 0 || evenWhilePending else { return }
        holdOutput()
        output += session.takeControl()
    }

    /// Writes what was gathered.
    func flush() {
        writeControl()
        guard !output.isEmpty else { return giveOutputBack() }
        send(output)
        giveOutputBack()
    }

    /// Writes HEADERS with a response's head.
    func writeHead(_ response: consuming OutgoingResponse, of stream: HTTP2Stream, isTunnel: Bool, isLast: Bool) {
        writeControl()
        holdOutput()
        var block = clients.takeFieldBlock()
        appendResponseBlock(response, isTunnel: isTunnel, to: &block)
        session.appendHeaders(block, for: stream.slot, isLast: isLast, to: &output)
        clients.giveBack(fieldBlock: block)
    }

    /// Writes as much of a payload as may leave now, in DATA frames, and puts the rest aside at the stream. Returns how many bytes left.
    func write(_ payload: UnsafeRawBufferPointer, of stream: HTTP2Stream, isLast: Bool) -> Int {
        writeControl()
        var sent = 0
        repeat {
            let rest = payload.count - sent
            let count = min(room(of: stream, forBytes: rest), rest)
            guard count > 0 || rest == 0 else { break }
            // An empty frame is only written for its END_STREAM.
            guard count > 0 || isLast else { return 0 }
            writeData(UnsafeRawBufferPointer(rebasing: payload[sent..<(sent + count)]), of: stream, isLast: isLast && count == rest)
            sent += count
        } while sent < payload.count
        if sent < payload.count { stream.wait(UnsafeRawBufferPointer(rebasing: payload[sent...]), isLast: isLast) }
        return sent
    }

    /// Writes a payload in one DATA frame if all of it may leave now. The frame's header is written into the room in front of it, so that
    /// both are copied together. Returns whether it was written.
    @inline(__always)
    func writeWhole(_ payload: UnsafeMutableRawBufferPointer, of stream: HTTP2Stream) -> Bool {
        guard state == .serving, pendingCount == 0, !payload.isEmpty else { return false }
        // An event stream that has much in flight is looked at more closely.
        let mostInFlight = stream.flags.contains(.isOpenEnded) ? HTTP2Connection.halfWindow : .max
        guard let number = session.claimRoom(payload.count, of: stream.slot, mostInFlight: mostInFlight) else { return false }
        writeControl()
        let start = payload.baseAddress! - HTTP2Connection.dataHeaderBytes
        // In front may stand the end of the piece before, which was sent, but is still to be read for the event log.
        let (kept, lastKept) = (start.loadUnaligned(as: UInt64.self), start.load(fromByteOffset: 8, as: UInt8.self))
        defer {
            start.storeBytes(of: kept, as: UInt64.self)
            start.storeBytes(of: lastKept, toByteOffset: 8, as: UInt8.self)
        }
        Session.writeDataHeader(count: payload.count, isLast: false, stream: number, to: start)
        append(UnsafeRawBufferPointer(start: start, count: HTTP2Connection.dataHeaderBytes + payload.count))
        return true
    }

    /// Adds the end of a DATA frame to what was gathered.
    @inline(__always)
    private func append(_ bytes: UnsafeRawBufferPointer) {
        holdOutput()
        output.append(contentsOf: bytes)
        lastDataAt = worker.now
        guard output.count >= HTTP2Connection.fullBytes else { return }
        // What the socket does not take waits in the link, at most this much.
        send(output)
        output.removeAll(keepingCapacity: true)
    }

    /// How many bytes of DATA may leave in one frame now.
    private func room(of stream: HTTP2Stream, forBytes count: Int) -> Int {
        guard pendingCount == 0 else { return 0 }
        let room = min(session.room(of: stream.slot), session.maximumPayload)
        // A download of known length may take all, because it ends. An event stream may stay unread for as long as its page.
        guard stream.flags.contains(.isOpenEnded) else { return room }
        let left = HTTP2Connection.halfWindow - session.inFlight(of: stream.slot)
        guard left < count else { return room }
        return min(room, max(left, session.connectionRoom - HTTP2Connection.halfWindow, 0))
    }

    private func writeData(_ payload: UnsafeRawBufferPointer, of stream: HTTP2Stream, isLast: Bool) {
        holdOutput()
        withUnsafeTemporaryAllocation(byteCount: HTTP2Connection.dataHeaderBytes, alignment: 1) { header in
            Session.writeDataHeader(
                count: payload.count, isLast: isLast, stream: session.number(of: stream.slot), to: header.baseAddress!)
            output.append(contentsOf: header)
        }
        session.takeRoom(payload.count, of: stream.slot, isLast: isLast)
        append(payload)
    }

    // MARK: Turns

    /// A window grew: the stream's, or all of them.
    func windowOpened(_ slot: Int?) {
        if let slot {
            if let stream = streams[slot] { takeTurn(stream) }
        } else {
            for stream in streams { if let stream { takeTurn(stream) } }
        }
        if !turns.isEmpty { worker.atEndOfTurn(self) }
    }

    func takeTurn(_ stream: HTTP2Stream) {
        guard stream.waitingCount > 0, !stream.flags.contains(.hasTurn) else { return }
        stream.flags.insert(.hasTurn)
        turns.append(stream)
    }

    /// Lets the streams for which bytes wait send one frame each, in turn, until nothing may leave any more.
    func serveTurns() {
        guard !turns.isEmpty else { return }
        // What opened a window is confirmed before DATA uses it.
        writeControl()
        var waiting = turns
        turns = []
        var position = 0
        while position < waiting.count {
            let stream = waiting[position]
            position += 1
            stream.flags.remove(.hasTurn)
            guard stream.waitingCount > 0 else { continue }
            let count = min(room(of: stream, forBytes: stream.waitingCount), stream.waitingCount)
            if count > 0 {
                writeWaiting(count, of: stream)
                if stream.waitingCount == 0 {
                    stream.sentAll()
                    guard state == .serving else { return }
                } else {
                    stream.flags.insert(.hasTurn)
                    waiting.append(stream)
                }
            } else if session.streamRoom(of: stream.slot) > 0 {
                // Only the connection's window, or the socket, is in its way.
                takeTurn(stream)
            }
        }
        wake(atMilliseconds: nextDeadline)
    }

    private func writeWaiting(_ count: Int, of stream: HTTP2Stream) {
        stream.withWaiting(count) { bytes, isLast in writeData(bytes, of: stream, isLast: isLast) }
    }
}

// MARK: - What waits at a stream

extension HTTP2Stream {
    /// The rest of a payload waits.
    func wait(_ bytes: UnsafeRawBufferPointer, isLast: Bool) {
        if isLast { flags.insert(.endsWhenSent) }
        guard !bytes.isEmpty else { return }
        keep(bytes)
        connection.worker.countHeld(bytes.count)
        connection.takeTurn(self)
        connection.wake(atMilliseconds: nextDeadline)
    }

    /// All that waited is written.
    func sentAll() {
        if flags.contains(.breaksWhenSent) {
            end(.truncated)
        } else if receiver == nil {
            end(.complete)
        } else {
            receiver?.clientDrained()
        }
    }
}

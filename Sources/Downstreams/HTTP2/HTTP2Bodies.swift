// Bodies of requests go on to their exchanges piece by piece. Invariant: what an exchange does not take waits at its stream, at most the
// stream's window, and its window is given back only when the exchange has taken it.

import HTTP
import HTTP2
import Reactor

extension HTTP2Connection {
    /// A piece of a body came. What lies behind it in the buffer is the session's and stays as it is.
    func receiveBody(_ slot: Int, _ bytes: UnsafeMutableRawBufferPointer, _ range: Range<Int>, isLast: Bool) {
        guard let stream = streams[slot] else { return }
        guard stream.receiver != nil else { return session.consumed(range.count, of: slot) }
        guard stream.accountBody(range.count, isLast: isLast) else {
            return breakOff(stream, "a body of another length than content-length says")
        }
        stream.noteBody()
        stream.receive(UnsafeMutableRawBufferPointer(rebasing: bytes[range]), isLast: isLast)
    }

    /// A body ended with trailers, which are not passed on.
    func receiveTrailers(_ slot: Int) {
        guard let stream = streams[slot], stream.receiver != nil else { return }
        // A tunnel has no fields at its end: only DATA and frames that manage its stream are allowed (RFC 9113 section 8.5).
        guard !stream.flags.contains(.asksForTunnel) else { return breakOff(stream, "HEADERS on a tunnel") }
        do throws(RequestProblem) { try checkTrailers(session.fields) } catch { return breakOff(stream, "malformed trailers") }
        guard stream.accountBody(0, isLast: true) else { return breakOff(stream, "a body of another length than content-length says") }
        stream.receive(worker.copyToScratch(UnsafeRawBufferPointer(start: nil, count: 0)), isLast: true)
    }

    private func breakOff(_ stream: HTTP2Stream, _ reason: StaticString) {
        session.reset(stream.slot, .protocolError)
        stream.left(.brokeRulesOfHTTP2(HTTP2Code(.protocolError), reason))
    }

    /// Exchanges that asked get more of their bodies.
    func deliverBodies() {
        guard flags.contains(.wantsBodies) else { return }
        flags.remove(.wantsBodies)
        for stream in streams where stream?.flags.contains(.wantsBody) == true {
            stream?.deliverPutAside()
            guard state == .serving else { return }
        }
    }
}

extension HTTP2Stream {
    /// Whether the exchange has got all of the request.
    var isRequestComplete: Bool { flags.contains(.requestIsComplete) }

    /// Subtracts body bytes from the announced length. False where they are too many, or too few at the end.
    func accountBody(_ count: Int, isLast: Bool) -> Bool {
        guard let missing = missingBodyBytes else { return true }
        guard UInt64(count) <= missing else { return false }
        missingBodyBytes = missing - UInt64(count)
        return !isLast || missingBodyBytes == 0
    }

    /// The client sends its body. The wait for a tunnel's other end goes on meanwhile.
    func noteBody() {
        if !flags.contains(.expectsTunnelEnd) { bodySince = connection.worker.now }
    }

    /// Gives a piece to the exchange, or puts it aside. It lies in the scratch buffer.
    func receive(_ piece: UnsafeMutableRawBufferPointer, isLast: Bool) {
        guard let receiver else { return }
        let isForTunnel = flags.contains(.asksForTunnel)
        guard putAside.isEmpty, !flags.contains(.isBodyPaused), flags.contains(.isTunnel) || !isForTunnel, receiver.takesRequestBody else {
            // Without room for one more that waits, the exchange ends itself.
            guard !connection.clients.isFull || receiver.mayWait() else { return }
            putAside.append(contentsOf: piece)
            connection.worker.countHeld(piece.count)
            if isLast { flags.insert(.putAsideIsLast) }
            return
        }
        pass(piece, isLast: isLast, to: receiver)
    }

    private func pass(_ piece: UnsafeMutableRawBufferPointer, isLast: Bool, to receiver: any RequestReceiver) {
        unreturnedBytes += piece.count
        if flags.contains(.isTunnel) { return passThroughTunnel(UnsafeRawBufferPointer(piece), isLast: isLast, to: receiver) }
        if isLast { flags.insert(.requestIsComplete) }
        let takesMore = withBytesKept(behind: piece) { receiver.received(body: piece, isLast: isLast) }
        // The exchange may be over.
        guard self.receiver != nil else { return }
        if takesMore { returnWindow() } else { flags.insert(.isBodyPaused) }
    }

    /// An exchange frames a piece in place for its server. Behind the piece stands the next frame, which was not read yet.
    private func withBytesKept(behind piece: UnsafeMutableRawBufferPointer, _ body: () -> Bool) -> Bool {
        guard let end = piece.baseAddress.map({ $0 + piece.count }) else { return body() }
        return withUnsafeTemporaryAllocation(byteCount: OutgoingFraming.roomBytes, alignment: 1) { kept in
            kept.copyMemory(from: UnsafeRawBufferPointer(start: end, count: kept.count))
            defer { end.copyMemory(from: kept.baseAddress!, byteCount: kept.count) }
            return body()
        }
    }

    func returnWindow() {
        guard unreturnedBytes > 0 else { return }
        connection.session.consumed(unreturnedBytes, of: slot)
        unreturnedBytes = 0
        if connection.session.hasControl { connection.worker.atEndOfTurn(connection) }
    }

    /// The exchange can take more of the body.
    func readOn() {
        guard receiver != nil, !isRequestComplete || flags.contains(.isTunnel) else { return }
        flags.insert(.wantsBody)
        connection.flags.insert(.wantsBodies)
        connection.worker.atEndOfTurn(connection)
    }

    /// Gives the exchange what was put aside. The scratch buffer must be free.
    func deliverPutAside() {
        flags.remove(.wantsBody)
        guard let receiver, receiver.takesRequestBody else { return }
        flags.remove(.isBodyPaused)
        returnWindow()
        noteBody()
        let isLast = flags.contains(.putAsideIsLast)
        guard !putAside.isEmpty || isLast else { return }
        let bytes = putAside
        putAside = []
        connection.worker.countHeld(-bytes.count)
        flags.remove(.putAsideIsLast)
        bytes.withUnsafeBytes { pass(connection.worker.copyToScratch($0), isLast: isLast, to: receiver) }
        connection.wake(atMilliseconds: nextDeadline)
    }

    /// The rest of the body is not wanted: what came and what is still to come is dropped, and its window given back.
    func dropBody() {
        connection.worker.countHeld(-putAside.count)
        if connection.state == .serving { connection.session.consumed(unreturnedBytes + putAside.count, of: slot) }
        unreturnedBytes = 0
        putAside = []
        if connection.session.hasControl { connection.worker.atEndOfTurn(connection) }
    }
}

// The response's side of a client's connection, as its exchange sees it: a head, the body's pieces framed for the client, an end; and what
// follows for the connection: the next request, or an end by which the client reads the last answer whole, or sees that it is not.
// Invariant: what is withheld goes out before anything else of the body does.

import HTTP
import Marks
import Reactor

extension HTTP1Connection {
    /// What the client's request and connection allow the response to be.
    private var responseTerms: ResponseTerms {
        // Bytes that came behind a request for an upgrade that is not granted could be read in two ways.
        let isAmbiguous = flags.contains(.asksForUpgrade) && !putAside.isEmpty
        let canKeepAlive =
            flags.contains(.requestKeepsAlive) && flags.isDisjoint(with: .isLast) && isRequestComplete && !clients.isDraining
            && !isAmbiguous
        return ResponseTerms(isHTTP10: flags.contains(.isHTTP10), canKeepAlive: canKeepAlive)
    }

    /// Begins the response: sends its head, or keeps it until the first bytes of the body go out with it.
    func begin(_ response: consuming OutgoingResponse, opening: [UInt8]?, awaitsBody: Bool) {
        let rendered = RenderedResponse(response, for: responseTerms, opening: opening)
        outgoingFraming = rendered.framing
        if rendered.keepsAlive { flags.insert(.responseKeepsAlive) } else { flags.remove(.responseKeepsAlive) }
        if rendered.endsByClosing { flags.insert(.endsByClosing) } else { flags.remove(.endsByClosing) }
        if awaitsBody { withheldHead = rendered.bytes } else { send(rendered.bytes) }
    }

    /// Sends an interim response's head; HTTP/1.0 knows none.
    func sendInterim(_ response: consuming OutgoingResponse) {
        if !flags.contains(.isHTTP10) { send(RenderedResponse.headOnly(response)) }
    }

    /// Sends a head that was withheld and for which nothing came to go with it.
    func sendWithheldHead() {
        guard !withheldHead.isEmpty else { return }
        send(takeWithheldHead())
    }

    private func takeWithheldHead() -> [UInt8] {
        let head = withheldHead
        withheldHead = []
        return head
    }

    /// Sends a piece of the body that lies in the worker's scratch buffer. Returns whether all that was sent has been taken.
    @discardableResult
    func sendBody(_ payload: UnsafeMutableRawBufferPointer, isLast: Bool) -> Bool {
        let framed = outgoingFraming.frame(payload, isLast: isLast)
        if withheldHead.isEmpty {
            send(framed)
        } else {
            takeWithheldHead().withUnsafeBytes { send($0, then: framed) }
        }
        return pendingCount == 0
    }

    /// Sends bytes of the proxy's own as part of the body. Not while received bytes wait in the scratch buffer.
    func sendOwn(_ bytes: [UInt8], isLast: Bool) -> Bool {
        bytes.withUnsafeBytes { bytes in sendBody(worker.copyToScratch(bytes), isLast: isLast) }
    }

    /// The exchange is over; what becomes of the connection follows at once.
    func endExchange(_ end: ResponseEnd) {
        receiver = nil
        switch end {
        case .complete where flags.contains(.isTunnel): closeGracefully(lingers: false)
        case .complete: endResponse()
        case .truncated:
            // The missing rest shows by itself where the length or the last chunk was promised; where only the connection's end
            // ends the body, a reset has to say it.
            guard flags.contains(.endsByClosing) else { return closeGracefully(lingers: false) }
            Mark.reached(.closeDelimitedBodyReset)
            closeNow(abortively: true)
        case .abandoned: closeNow(abortively: pendingCount > 0)
        }
    }

    /// The response is whole: the next request, or the connection's end.
    private func endResponse() {
        if flags.contains(.responseKeepsAlive), isRequestComplete, !clients.isDraining, !flags.contains(.discardsInput) {
            guard pendingCount > 0 else { return awaitRequest() }
            // Otherwise a client that asks and does not read could make us keep any number of answers.
            Mark.reached(.answerUnread)
            state = .flushing
            pauseReading()
            return wake(atMilliseconds: nextDeadline)
        }
        // A client whose request was not read whole may still be sending it; one that is done closes or is closed.
        closeGracefully(lingers: !isRequestComplete || !putAside.isEmpty || flags.contains(.discardsInput))
    }

    /// The next request, where one has not come already.
    func awaitRequest() {
        state = .idle
        waitingSince = worker.now
        if putAside.isEmpty { resumeReading() } else { continueAtTurnEnd() }
        wake(atMilliseconds: nextDeadline)
    }

    // MARK: Tunnels

    /// From now on bytes pass in both directions as they are.
    func beginTunnel(_ response: consuming OutgoingResponse) {
        send(RenderedResponse.headOnly(response))
        outgoingFraming = .plain
        flags.insert(.isTunnel)
        flags.remove(.responseKeepsAlive)
        continueAtTurnEnd()
    }

    /// One side has said goodbye; the other has the stall deadline for its own.
    func expectTunnelEnd() {
        flags.insert(.expectsTunnelEnd)
        waitingSince = worker.now
        wake(atMilliseconds: nextDeadline)
    }
}

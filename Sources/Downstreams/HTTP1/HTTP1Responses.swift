// The response's side of a client's connection, as its exchange sees it: a head, the body's framed pieces, an end. After that comes the
// next request, or an end that lets the client read the last answer completely, or see that it is truncated. Invariant: a withheld head
// goes out before anything else of the body.

import HTTP
import Marks
import Reactor

extension HTTP1Connection {
    /// What the client's request and connection allow for the response.
    private var responseTerms: ResponseTerms {
        // Bytes after a request for a refused upgrade could be read in two ways.
        let isAmbiguous = flags.contains(.asksForUpgrade) && !putAside.isEmpty
        let canKeepAlive =
            flags.contains(.requestKeepsAlive) && exceededLimit == nil && !flags.contains(.discardsInput) && isRequestComplete
            && !clients.isDraining
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

    /// Sends an interim response's head; HTTP/1.0 has none.
    func sendInterim(_ response: consuming OutgoingResponse) {
        if !flags.contains(.isHTTP10) { send(RenderedResponse.headOnly(response)) }
    }

    /// Sends a withheld head when nothing came to go with it.
    func sendWithheldHead() {
        guard !withheldHead.isEmpty else { return }
        send(takeWithheldHead())
    }

    private func takeWithheldHead() -> [UInt8] {
        let head = withheldHead
        withheldHead = []
        return head
    }

    /// Sends a piece of the body from the worker's scratch buffer. Returns whether everything sent has been taken.
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

    /// Sends the proxy's own bytes as part of the body. Not while the scratch buffer holds received bytes.
    func sendOwn(_ bytes: [UInt8], isLast: Bool) -> Bool {
        bytes.withUnsafeBytes { bytes in sendBody(worker.copyToScratch(bytes), isLast: isLast) }
    }

    /// Whether the response was begun without a length.
    var isOpenEnded: Bool { outgoingFraming == .chunked || flags.contains(.endsByClosing) }

    /// The exchange is over; the connection is kept or closed at once.
    func endExchange(_ end: ResponseEnd) {
        receiver = nil
        switch end {
        case .complete where flags.contains(.isTunnel): closeGracefully(lingers: false)
        case .complete: endResponse()
        case .truncated:
            // With a length or chunks the client sees that the rest is missing. A close-delimited body needs a reset.
            guard flags.contains(.endsByClosing) else { return closeGracefully(lingers: false) }
            Mark.reached(.closeDelimitedBodyReset)
            closeNow(abortively: true)
        case .abandoned: closeNow(abortively: pendingCount > 0)
        case .reset: closeNow(abortively: true)
        }
    }

    /// The response is complete: the next request follows, or the connection's end.
    private func endResponse() {
        if flags.contains(.responseKeepsAlive), isRequestComplete, !clients.isDraining, !flags.contains(.discardsInput) {
            guard pendingCount > 0 else { return awaitRequest() }
            // Without this, a client that sends requests and does not read could make us keep any number of answers.
            Mark.reached(.answerUnread)
            state = .flushing
            pauseReading()
            return wake(atMilliseconds: nextDeadline)
        }
        // If the request was not read completely, the client may still be sending it.
        closeGracefully(lingers: !isRequestComplete || !putAside.isEmpty || flags.contains(.discardsInput))
    }

    /// Waits for the next request, if none has come already.
    func awaitRequest() {
        state = .idle
        waitingSince = worker.now
        if putAside.isEmpty { resumeReading() } else { continueAtTurnEnd() }
        wake(atMilliseconds: nextDeadline)
    }

    // MARK: Tunnels

    /// From now on bytes pass unchanged in both directions.
    func beginTunnel(_ response: consuming OutgoingResponse) {
        send(RenderedResponse.headOnly(response))
        outgoingFraming = .plain
        flags.insert(.isTunnel)
        flags.remove(.responseKeepsAlive)
        continueAtTurnEnd()
    }

    /// One side has ended; the other must end before the stall deadline.
    func expectTunnelEnd() {
        flags.insert(.expectsTunnelEnd)
        waitingSince = worker.now
        wake(atMilliseconds: nextDeadline)
    }
}

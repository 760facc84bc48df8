// The response's side of a client's connection, as its exchange sees it: a head, the body's pieces framed for the client, an end; and what
// follows for the connection: the next request, or an end by which the client reads the last answer whole, or sees that it is not.
// Invariant: what is withheld goes out before anything else of the body does.

import HTTP
import Reactor

/// What a client's request says about the response it can be given.
struct ResponseTerms {
    /// HTTP/1.0: no chunks, no interim responses.
    var isHTTP10: Bool
    /// Whether the connection can serve another request after this response.
    var canKeepAlive: Bool
}

extension DownstreamConnection {
    /// Whether the client understands 1xx responses.
    var takesInterimResponses: Bool { !flags.contains(.isHTTP10) }

    /// Whether another request could follow on this connection.
    var canKeepAlive: Bool {
        flags.contains(.requestKeepsAlive) && flags.isDisjoint(with: .isLast) && isRequestComplete && !proxy.isDraining
    }

    /// What the client's request allows the response to be.
    func responseTerms(asksForUpgrade: Bool) -> ResponseTerms {
        // Bytes that came behind a request for an upgrade that is not granted could be read in two ways.
        let isAmbiguous = asksForUpgrade && !putAside.isEmpty
        return ResponseTerms(isHTTP10: flags.contains(.isHTTP10), canKeepAlive: canKeepAlive && !isAmbiguous)
    }

    /// Sends the response's head, and says how its body will be framed. A head that is withheld goes out with the first bytes of the
    /// body, for which the caller calls `sendBody`, or with `sendWithheldHead`.
    func beginResponse(
        _ head: [UInt8], framing: OutgoingFraming, keepsAlive: Bool, endsByClosing: Bool = false, isWithheld: Bool = false
    ) {
        outgoingFraming = framing
        if keepsAlive { flags.insert(.responseKeepsAlive) } else { flags.remove(.responseKeepsAlive) }
        if endsByClosing { flags.insert(.endsByClosing) } else { flags.remove(.endsByClosing) }
        if isWithheld { withheldHead = head } else { send(head) }
    }

    /// Sends an interim response's head.
    func sendInterimHead(_ head: [UInt8]) { send(head) }

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

    /// Sends a piece of the body that lies in the worker's scratch buffer.
    func sendBody(_ payload: UnsafeMutableRawBufferPointer, isLast: Bool) {
        let framed = outgoingFraming.frame(payload, isLast: isLast)
        if withheldHead.isEmpty {
            send(framed)
        } else {
            takeWithheldHead().withUnsafeBytes { send($0, then: framed) }
        }
    }

    /// Sends bytes of the proxy's own as part of the body. Not while received bytes wait in the scratch buffer.
    func sendOwn(_ bytes: [UInt8], isLast: Bool = false) {
        bytes.withUnsafeBytes { bytes in
            sendBody(worker.copyToScratch(bytes), isLast: isLast)
        }
    }

    /// The response is whole: the next request, or the connection's end.
    func endResponse() {
        if flags.contains(.responseKeepsAlive), isRequestComplete, !proxy.isDraining, !flags.contains(.discardsInput) {
            guard pendingCount > 0 else { return awaitRequest() }
            // Otherwise a client that asks and does not read could make us keep any number of answers.
            state = .flushing
            pauseReading()
            return wake(atMilliseconds: nextDeadline)
        }
        // A client whose request was not read whole may still be sending it; one that is done closes or is closed.
        closeGracefully(lingers: !isRequestComplete || !putAside.isEmpty || flags.contains(.discardsInput))
    }

    /// The response is not whole and will not be: the client has to see that (RFC 9112 section 8).
    func cutResponse() {
        // The missing rest shows by itself where the length or the last chunk was promised; where only the connection's end
        // ends the body, a reset has to say it.
        if flags.contains(.endsByClosing) { return closeNow(abortively: true) }
        closeGracefully(lingers: false)
    }

    /// The client is gone.
    func abandon() { closeNow(abortively: pendingCount > 0) }

    /// The exchange is over; what becomes of the connection follows at once.
    func exchangeFinished() { exchange = nil }

    /// The next request, where one has not come already.
    func awaitRequest() {
        state = .idle
        waitingSince = worker.now
        forwardedClient = nil
        if putAside.isEmpty { resumeReading() } else { continueAtTurnEnd() }
        wake(atMilliseconds: nextDeadline)
    }

    // MARK: Tunnels

    /// From now on bytes pass in both directions as they are.
    func beginTunnel(_ head: [UInt8]) {
        send(head)
        outgoingFraming = .plain
        flags.remove(.responseKeepsAlive)
        continueAtTurnEnd()
    }

    /// One side has said goodbye; the other has the stall deadline for its own.
    func expectTunnelEnd() {
        flags.insert(.expectsTunnelEnd)
        waitingSince = worker.now
        wake(atMilliseconds: nextDeadline)
    }

    /// Both sides have said goodbye.
    func endTunnel() { closeGracefully(lingers: false) }
}

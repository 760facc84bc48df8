// The beginning of a connection on a TLS listener: the handshake. After that an object for the negotiated protocol takes the connection
// over, so a served connection carries nothing of this.

import Configuration
import Reactor

/// A connection whose TLS handshake is in progress.
final class SecuredArrival: WaitingArrival {
    /// Waits for the handshake.
    func begin() { wake(atMilliseconds: deadline) }

    override var patienceMilliseconds: Int64 { arrival.patience(usual: clients.terms.timeouts.handshakeMilliseconds) }

    override func overdue() { fail(.handshakeTimeout(milliseconds: patienceMilliseconds)) }

    override func linkConnected() {
        if let security { clients.handler.handshakeSucceeded(version: security.version, isResumed: security.isResumed) }
        // A client that chooses nothing speaks HTTP/1.1; where that is not spoken, it is told so by an HTTP/2 connection's GOAWAY.
        if applicationProtocol == "h2" || !arrival.security.listener.speaksHTTP1 {
            becomeHTTP2Connection().begin()
        } else {
            becomeHTTP1Connection().begin()
        }
    }

    override func linkFoundPlainText() { becomeHTTP1Connection().answer(.plainText) }

    override func linkSecurityFailed(_ failure: TLSFailure) { fail(.tlsFailed(failure)) }
}

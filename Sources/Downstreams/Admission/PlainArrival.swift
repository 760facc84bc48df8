// The beginning of a connection on a plain address where HTTP/2 may be spoken: its first bytes tell the protocol (RFC 9113 section 3.3).
// Then an object for that protocol takes the connection over, so a served connection carries nothing of this.

import Configuration
import Reactor

/// A connection whose protocol is not known yet.
final class PlainArrival: WaitingArrival {
    /// No request of HTTP/1 begins with it: the preface is made so that servers of HTTP/1 refuse it.
    private static let prefaceStart = Array("PRI * HTTP/2.0\r\n".utf8)
    /// One read and the bytes before it fit into the scratch buffer.
    private static let readLimit: UInt32 = 16_384

    /// Its first bytes, as long as they could be the beginning of the preface.
    private var first: [UInt8] = []

    /// Waits for the first bytes.
    func begin(_ descriptor: Int32) throws(SystemError) {
        readLimitBytes = PlainArrival.readLimit
        try adopt(descriptor)
        wake(atMilliseconds: deadline)
    }

    override func overdue() {
        // A client that sent nothing only kept a connection ready.
        guard !first.isEmpty else { return end() }
        let failure = RequestFailure.headTimeout(milliseconds: patienceMilliseconds)
        guard arrival.security.listener.speaksHTTP1 else { return fail(.headTimeout(milliseconds: patienceMilliseconds)) }
        becomeHTTP1Connection().answer(failure)
    }

    override func linkReceived(_ bytes: UnsafeMutableRawBufferPointer) {
        var received = first
        received.append(contentsOf: bytes)
        let isPreface = received.count >= PlainArrival.prefaceStart.count && received.starts(with: PlainArrival.prefaceStart)
        guard isPreface || !PlainArrival.prefaceStart.starts(with: received) else { return first = received }
        // What came is given on as if it came now.
        if isPreface || !arrival.security.listener.speaksHTTP1 {
            let connection = becomeHTTP2Connection()
            connection.begin()
            connection.redeliver(received)
        } else {
            let connection = becomeHTTP1Connection()
            connection.begin()
            connection.redeliver(received)
        }
    }
}

// The beginning of a connection on a listener with the PROXY protocol: the proxy in front names its client before TLS and before HTTP.
// When the header is complete, another object takes the connection over, so a served connection carries nothing of this. Invariant: no
// byte behind the header is read here.

import Reactor

/// A connection whose client is not known yet.
final class ProxiedArrival: WaitingArrival {
    private var parser = ProxyHeaderParser()

    /// Waits for the header.
    func begin(_ descriptor: Int32) throws(SystemError) {
        readLimitBytes = UInt32(parser.missingCount)
        try adopt(descriptor)
        wake(atMilliseconds: deadline)
    }

    override func overdue() { fail(.proxyHeaderTimeout(milliseconds: patienceMilliseconds)) }

    override func linkReceived(_ bytes: UnsafeMutableRawBufferPointer) {
        do throws(ProxyHeaderError) {
            guard let client = try parser.receive(bytes.withMemoryRebound(to: UInt8.self) { $0 }.span) else {
                return readLimitBytes = UInt32(parser.missingCount)
            }
            clients.serve(surrender(), of: arrival, as: client)
        } catch {
            worker.warn("a trusted proxy sends no usable PROXY header: \(error.reason)")
            fail(.proxyHeaderBroken(error))
        }
    }

    override func linkReachedEnd() {
        // A peer that sends nothing was only checking whether the port is open.
        guard parser.hasBegun else { return end() }
        fail(.proxyHeaderCutOff)
    }

    /// An unknown client cannot be answered.
    override func end(abortively: Bool = true) { super.end(abortively: true) }
}

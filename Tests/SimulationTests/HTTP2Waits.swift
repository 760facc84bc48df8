// What must hold inside of a connection of HTTP/2 whenever its turn is over. Nobody can see from outside why bytes wait.

@testable import Downstreams
@testable import HTTP2
@testable import Reactor

extension HTTP2Connection {
    /// Half of a small window of a connection: what an event stream leaves to the others.
    private static let fairShare = 32_767

    /// The bytes that wait beside those of the link.
    var waitingBytes: Int {
        (state == .serving ? session.heldBytes : 0) + streams.reduce(0) { $0 + ($1.map { $0.waitingCount + $0.putAside.count } ?? 0) }
    }

    /// Bytes that wait although nothing is in their way, and window that nobody gives back.
    var needlessWaits: [String] {
        guard state == .serving, pendingCount == 0 else { return [] }
        var found: [String] = []
        for case let stream? in streams where stream.waitingCount > 0 {
            let (own, shared) = (session.streamRoom(of: stream.slot), session.connectionRoom)
            let leavesToOthers =
                stream.flags.contains(.isOpenEnded) && session.inFlight(of: stream.slot) >= HTTP2Connection.fairShare
                && shared <= HTTP2Connection.fairShare
            guard own > 0, shared > 0, !leavesToOthers else { continue }
            found.append("HTTP/2: \(stream.waitingCount) bytes wait, although the windows allow \(own) and \(shared)")
        }
        let held = session.limits.connectionWindowBytes - Int(session.connectionReceiveWindow + session.connectionUnreturned)
        if session.openCount == 0, held > 0 { found.append("HTTP/2: \(held) bytes of window are given back to nobody") }
        return found
    }
}

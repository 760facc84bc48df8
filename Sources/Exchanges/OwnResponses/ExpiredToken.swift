// What an EventSource is told whose token has just expired. A 401 would end it for good, and no script could see why. So it gets a stream
// with one event, and comes back later: by then the page may have renewed the token. It makes bytes and sends none.

import EventStream

/// The stream that tells an EventSource of its expired token.
enum ExpiredToken {
    /// For how long after a token's end clients are told, in seconds. A page that has not listened until then gets a 401.
    static let toldSeconds: Int64 = 300
    /// The name of the event.
    static let eventName = "token_expired"

    /// After how many milliseconds the client comes back: half of the time since the token's end. So nothing has to be remembered of a
    /// client, and it asks some fourteen times.
    static func retryMilliseconds(overSeconds seconds: Int64) -> UInt64 { UInt64(min(max(seconds * 500, 2_000), 60_000)) }

    /// The event.
    /// - Parameter lastEventID: the one that the client brought. The event repeats it, so that the client keeps it.
    static func event(overSeconds seconds: Int64, lastEventID: String?) -> [UInt8] {
        var bytes: [UInt8] = []
        // The name is a constant, and a head's field holds no line end.
        try? EventWriter().writeEvent(
            name: eventName, id: lastEventID, data: "{\"expired_for\":\(seconds)}",
            retryMilliseconds: retryMilliseconds(overSeconds: seconds), to: &bytes)
        return bytes
    }
}

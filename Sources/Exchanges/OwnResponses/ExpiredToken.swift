// What an EventSource is told whose token has just expired. A 401 would end it for good, and no script could see why. So it gets a stream
// with one event, and comes back later: by then the page may have renewed the token. It makes bytes and sends none.

import EventStream

/// The stream that tells an EventSource of its expired token.
enum ExpiredToken {
    /// For how long after a token's end clients are told, in seconds. A page that has not listened until then gets a 401.
    static let toldSeconds: Int64 = 300

    /// After how many milliseconds the client comes back: half of the time since the token's end. So nothing has to be remembered of a
    /// client, and it asks some twenty times. A browser keeps the time for its next stream as well, until a server sends another one. So
    /// the limit is also how long a page is without events when that stream is cut.
    static func retryMilliseconds(overSeconds seconds: Int64) -> UInt64 { UInt64(min(max(seconds * 500, 2_000), 20_000)) }

    /// The event.
    /// - Parameter lastEventID: the one that the client brought. The event repeats it, so that the client keeps it.
    static func event(named name: String, overSeconds seconds: Int64, lastEventID: String?) -> [UInt8] {
        var bytes: [UInt8] = []
        // The configuration has checked the name, and a head's field holds no line end.
        try? EventWriter().writeEvent(
            name: name, id: lastEventID, data: data(overSeconds: seconds),
            retryMilliseconds: retryMilliseconds(overSeconds: seconds), to: &bytes)
        return bytes
    }

    /// What every event of this kind says.
    static func data(overSeconds seconds: Int64) -> String { "{\"expired_for\":\(max(seconds, 0))}" }
}

// The eight streams that the second page shows: each sends events at a rhythm of its own. Invariant: numbers of a stream go up by one, and
// two events are never closer than half an interval, however late the call comes.

import HTTP

/// One of the eight streams, as one client gets it.
struct RhythmicStream {
    /// The paths are `/eight/1` to `/eight/8`.
    static let pathPrefix = "/eight/"

    /// What the streams pretend to be, and how far apart their events are. Alerts are silent for longer than the load balancer allows.
    static let kinds: [(name: String, intervalMilliseconds: Int64)] = [
        ("prices", 700), ("sensors", 900), ("logs", 1100), ("orders", 1300), ("viewers", 1700), ("chat", 2100), ("builds", 2900),
        ("alerts", 5300),
    ]

    private let intervalMilliseconds: Int64
    private var nextNumber: UInt64 = 1
    /// When the next event is due, in the worker's milliseconds.
    private(set) var nextMoment: Int64

    /// The stream of a path; nil where there is none.
    init?(path: String, now: Int64) {
        guard path.hasPrefix(RhythmicStream.pathPrefix), let number = Int(path.dropFirst(RhythmicStream.pathPrefix.utf8.count)),
            path.utf8.count == RhythmicStream.pathPrefix.utf8.count + 1, RhythmicStream.kinds.indices.contains(number - 1)
        else { return nil }
        intervalMilliseconds = RhythmicStream.kinds[number - 1].intervalMilliseconds
        nextMoment = now + intervalMilliseconds / 2
    }

    /// The number of the event that is due now; nil if none is. After a pause of the whole process, missed events are not made up for.
    mutating func takeDue(now: Int64) -> UInt64? {
        guard now >= nextMoment else { return nil }
        defer { nextNumber += 1 }
        nextMoment = max(nextMoment + intervalMilliseconds, now + intervalMilliseconds / 2)
        return nextNumber
    }
}

/// How a client reached the backend, as the proxy tells it.
struct ArrivalNote {
    /// The version of HTTP that the browser spoke: the `Via` field's, `1.1` or `2`.
    let version: String
    /// Whether the browser spoke TLS.
    let isSecured: Bool

    init(_ head: RequestHead) {
        let via = head.firstValue(of: .via).map { String(decoding: head.bytes[$0], as: UTF8.self) } ?? ""
        // Only digits and dots: the text goes into JSON.
        version = String(via.prefix { $0.isASCII && ($0.isNumber || $0 == ".") })
        isSecured = head.firstValue(of: .xForwardedProto).map { head.bytes[$0].elementsEqual("https".utf8) } ?? false
    }
}

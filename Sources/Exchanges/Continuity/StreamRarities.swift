// What only few kept streams have, outside of the stream: there is one for each idle client.

import EventStream
import Telemetry

/// What only few kept streams have.
final class StreamRarities {
    /// So many ends are remembered, of clients that want different types of events.
    private static let mostEnds = 64

    /// The stream of the exchange that opened a stream for all.
    let opener: StreamIdentifier?
    /// The seats of readers on other workers, with the stream of the exchange that read before each of them.
    var distantSeats: [DistantReader: (seat: Seat, previous: StreamIdentifier)] = [:]
    /// Where the last readers began that got everything, the end of the server's part included.
    private(set) var endedFrom: [UInt64] = []
    /// Published events that wait for the end of a block that is handed on in parts.
    var waiting: [OwnEvent] = []

    init(opener: StreamIdentifier? = nil) { self.opener = opener }

    /// A reader that began there has got everything.
    func ended(from cursor: UInt64) {
        guard !endedFrom.contains(cursor) else { return }
        if endedFrom.count == Self.mostEnds { endedFrom.removeFirst() }
        endedFrom.append(cursor)
    }
}

// Sends what the hop sees to the pages that watch. A page cannot see comments, status codes or resets of its own streams, but the hop
// can. Each page gets reports of its own streams only, by the name that it put into their URLs. Invariant: nothing is stored; the
// number of pages is bounded, and a page that does not read is disconnected.

import Bytes

/// The ways that the page compares, and a part of the last one.
enum DemoSide: String {
    /// Browser, hop, backend: without Heartwire.
    case direct
    /// Browser, hop, Heartwire, backend.
    case through
    /// Browser, hop, Heartwire, hop, backend: no heartbeats, so that both hops cut, and the page loses nothing all the same.
    case kept
    /// The second hop of `kept`, between Heartwire and the backend.
    case behind
}

/// The name of a watching page: up to 16 letters and digits, so that it needs no escaping anywhere.
struct PageName: Hashable {
    static let maximumBytes = 16
    let bytes: [UInt8]

    /// The value of the parameter `page` in a request target; `nil` if there is none, or no valid name.
    init?(inTarget target: ArraySlice<UInt8>) {
        guard let query = target.firstIndex(of: UInt8(ascii: "?")) else { return nil }
        let key = Array("page=".utf8)
        for parameter in target[(query + 1)...].split(separator: UInt8(ascii: "&")) where parameter.starts(with: key) {
            let value = parameter.dropFirst(key.count)
            guard !value.isEmpty, value.count <= PageName.maximumBytes, value.allSatisfy(isLetterOrDigit) else { return nil }
            bytes = Array(value)
            return
        }
        return nil
    }

}

/// Something that the hop saw happen to a stream.
enum HopSight: Equatable {
    /// The request for a stream was answered with another status than 200.
    case refused(status: Int)
    /// A comment line went by.
    case heartbeat
    /// The hop closed the connection after that long without a byte.
    case cut(idleMilliseconds: Int64)

    /// The sight as the data of an event.
    func json(side: DemoSide) -> String {
        switch self {
        case .refused(let status): "{\"side\":\"\(side.rawValue)\",\"kind\":\"refused\",\"status\":\(status)}"
        case .heartbeat: "{\"side\":\"\(side.rawValue)\",\"kind\":\"heartbeat\"}"
        case .cut(let idle): "{\"side\":\"\(side.rawValue)\",\"kind\":\"cut\",\"idleMilliseconds\":\(idle)}"
        }
    }
}

/// A receiver of reports.
protocol FeedReader: AnyObject {
    /// Takes bytes of an event stream; false if the reader has left, or is too far behind and was disconnected.
    func take(_ events: [UInt8]) -> Bool
}

/// Passes what the hop sees to the pages.
final class DemoFeed {
    /// How many pages may watch at once.
    static let maximumReaders = 64
    private var readers: [(page: PageName, reader: any FeedReader)] = []

    /// How many pages watch. For tests.
    var readerCount: Int { readers.count }

    /// Adds a page; false when there are too many.
    func join(_ reader: any FeedReader, page: PageName) -> Bool {
        guard readers.count < DemoFeed.maximumReaders else { return false }
        readers.append((page, reader))
        return true
    }

    /// Removes a page.
    func leave(_ reader: any FeedReader) {
        readers.removeAll { $0.reader === reader }
    }

    /// Reports to a page what happened to one of its streams.
    func report(_ sight: HopSight, side: DemoSide, page: PageName) {
        guard readers.contains(where: { $0.page == page }) else { return }
        let event = DemoStream.event(data: sight.json(side: side))
        // A disconnected reader leaves the list during this loop, so the loop uses a copy.
        for entry in readers where entry.page == page {
            if !entry.reader.take(event) { leave(entry.reader) }
        }
    }
}

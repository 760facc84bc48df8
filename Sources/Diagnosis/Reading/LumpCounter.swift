// Event log lines: whether a stream's events come one by one, or in lumps that end where a buffer is full. A hop that fills a buffer before
// it passes bytes on makes such lumps: from the end of one to the end of the next it is a multiple of 4 KiB, give or take an event.
//
// Bursts of the server's own are of any size, and even equal ones soon end elsewhere. Comments are in no line of the log, so a server that
// sends comments hides its lumps. Invariant: a bounded number of streams is followed.

/// Follows the events of each stream.
struct LumpCounter {
    /// A stream, and the instant that it is in.
    private struct Follower {
        var time: Int64
        var events: UInt32 = 1
        var bytes: UInt32
        var largest: UInt32
        /// Bytes waited for the client before it: then the proxy itself may have stopped reading.
        var isBlocked = true
        var isBlockedNext: Bool
        /// Bytes since the end of the stream's first lump, by how long the blank line behind each event is; nil before.
        var sinceLump: (short: UInt32, long: UInt32)?
        /// The largest event since then.
        var largestOfAll: UInt32 = 0
        var hadLump = false
    }

    /// Fewer events at once are no lump.
    private static let fewest: UInt32 = 5
    private static let page: UInt32 = 4_096
    private static let mostStreams = 1 << 16
    private static let mostExamples = 3

    private var numbers = NumberTable()
    private var followers: [Follower] = []
    private var facts = LumpFacts()

    /// An event of a stream that came then; its bytes without the blank line. `pending` waited for the client after it.
    mutating func add(_ number: UInt64, at time: Int64, bytes: UInt64, pending: UInt64, name: () -> String) {
        let size = UInt32(clamping: min(bytes, 1 << 20))
        guard let index = numbers[number].map(Int.init) else {
            guard followers.count < LumpCounter.mostStreams else { return }
            numbers.set(number, UInt32(followers.count))
            // What comes first may be what the client had missed, so it is not counted.
            followers.append(Follower(time: time, bytes: size, largest: size, isBlockedNext: pending > 0))
            return
        }
        if (time - followers[index].time).magnitude > 1 {
            end(index, name)
            followers[index].isBlocked = followers[index].isBlockedNext
            (followers[index].events, followers[index].bytes, followers[index].largest) = (0, 0, 0)
            followers[index].isBlockedNext = false
        }
        followers[index].time = time
        followers[index].events &+= 1
        followers[index].bytes = min(followers[index].bytes, 1 << 28) + size
        followers[index].largest = max(followers[index].largest, size)
        if pending > 0 { followers[index].isBlockedNext = true }
    }

    private mutating func end(_ index: Int, _ name: () -> String) {
        let instant = followers[index]
        let isLump = instant.events >= LumpCounter.fewest && instant.largest * 8 <= LumpCounter.page
        guard let before = instant.sinceLump else {
            if isLump { followers[index].sinceLump = (0, 0) }
            return
        }
        let since = (
            short: (before.short + instant.bytes + instant.events) % LumpCounter.page,
            long: (before.long + instant.bytes + 2 * instant.events) % LumpCounter.page
        )
        followers[index].sinceLump = since
        guard !instant.isBlocked else { return }
        facts.instants += 1
        guard isLump else { return }
        // The event that did not fit comes with the next lump.
        let slack = max(instant.largest, instant.largestOfAll) + 2
        followers[index].largestOfAll = max(instant.largest, instant.largestOfAll)
        facts.lumps += 1
        facts.bytes += Int(instant.bytes)
        if LumpCounter.isFull(since.short, slack) { facts.fullWithShortEnds += 1 }
        if LumpCounter.isFull(since.long, slack) { facts.fullWithLongEnds += 1 }
        facts.byChance += Double(2 * slack + 1) / Double(LumpCounter.page)
        guard !instant.hadLump else { return }
        facts.streams += 1
        followers[index].hadLump = true
        if facts.examples.count < LumpCounter.mostExamples { facts.examples.append(name()) }
    }

    private static func isFull(_ since: UInt32, _ slack: UInt32) -> Bool { min(since, page - since) <= slack }

    /// All that was seen. An instant that has not ended may not be over.
    func finish() -> LumpFacts { facts }
}

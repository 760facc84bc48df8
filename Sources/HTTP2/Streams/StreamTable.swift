// The streams of a connection (RFC 9113 section 5.1), as small structs in slots.
//
//             HEADERS                 END_STREAM from the client
//   idle ───────────────▶ open ─────────────────────────────▶ half-closed (remote): an event stream's usual state
//                          │  └ END_STREAM of ours ─▶ half-closed (local) ┐           │ END_STREAM of ours
//                          │ RST_STREAM of either                         ▼           ▼
//                          └──────────────────────────────────────────▶ closed ◀──────┘
//
// A closed stream is found by no number any more. Its slot stays its own until its exchange is over and releases it.
// Invariant: `order` holds the slots of all streams that are not closed, by rising number.

/// A stream. An idle one costs this, and two bytes in `order`.
struct Stream {
    struct Flags: OptionSet {
        let rawValue: UInt8
        /// END_STREAM came.
        static let remoteEnded = Flags(rawValue: 1)
        /// END_STREAM was sent.
        static let localEnded = Flags(rawValue: 2)
        /// Both ended, or either side reset the stream.
        static let closed = Flags(rawValue: 4)
        /// The head of an answer was sent.
        static let answered = Flags(rawValue: 8)
        /// With either of them nothing more may be sent.
        static let noMoreSent = Flags(rawValue: localEnded.rawValue | closed.rawValue)
    }

    /// Its number; 0 in a free slot.
    var number: UInt32
    /// The bytes of DATA that we may send; below zero after a smaller INITIAL_WINDOW_SIZE. In a free slot: the next free one, or -1.
    var sendWindow: Int32
    /// The bytes of DATA that the client may send.
    var receiveWindow: Int32
    /// The bytes that the exchange has taken and that are not given back to the client yet.
    var unreturned: Int32 = 0
    var flags: Flags = []
    /// The empty DATA frames since the last that held something.
    var emptyData: UInt8 = 0
}

/// The streams that have a slot.
struct StreamTable {
    /// So many slots are kept for the next streams of a connection that has none.
    private static let keptSlots = 8

    private var streams: [Stream] = []
    private var order: [UInt16] = []
    private var firstFree: Int32 = -1
    /// The slots in use: streams whose exchanges are not over.
    private(set) var occupied = 0

    /// The streams that are not closed.
    var openCount: Int { order.count }

    /// The stream in that slot, which must be in use.
    subscript(slot: Int) -> Stream {
        @inline(__always) get {
            precondition(streams[slot].number != 0, "the slot is free")
            return streams[slot]
        }
        @inline(__always) _modify {
            precondition(streams[slot].number != 0, "the slot is free")
            yield &streams[slot]
        }
    }

    /// The slot of the stream with that number, if it is not closed.
    func slot(of number: UInt32) -> Int? {
        guard let first = order.first else { return nil }
        // Numbers are odd and rise, so a stream stands at this position, or before it where others have closed.
        let (distance, isBelow) = number.subtractingReportingOverflow(streams[Int(first)].number)
        if isBelow { return nil }
        var low = 0
        var high = min(Int(distance / 2), order.count - 1) + 1
        var middle = high - 1
        while low < high {
            let slot = Int(order[middle])
            let found = streams[slot].number
            if found == number { return slot }
            if found < number { low = middle + 1 } else { high = middle }
            middle = (low &+ high) / 2
        }
        return nil
    }

    /// Whether that slot belongs to the stream with that number, which is not closed.
    func isOpen(_ slot: Int, _ number: UInt32) -> Bool {
        slot < streams.count && streams[slot].number == number && !streams[slot].flags.contains(.closed)
    }

    /// Opens a stream. Its number is above all earlier ones.
    mutating func open(_ stream: Stream) -> Int {
        let slot: Int
        if firstFree >= 0 {
            slot = Int(firstFree)
            firstFree = streams[slot].sendWindow
            streams[slot] = stream
        } else {
            slot = streams.count
            streams.append(stream)
        }
        occupied += 1
        order.append(UInt16(slot))
        return slot
    }

    /// The stream is closed: no frame finds it any more.
    mutating func close(_ slot: Int) {
        guard !self[slot].flags.contains(.closed) else { return }
        self[slot].flags.insert(.closed)
        if let position = order.firstIndex(of: UInt16(slot)) { order.remove(at: position) }
    }

    /// The slot of a closed stream becomes free. When no stream is left, a table that was large gives its memory back.
    mutating func free(_ slot: Int) {
        precondition(self[slot].flags.contains(.closed), "only a closed stream's slot becomes free")
        streams[slot] = Stream(number: 0, sendWindow: firstFree, receiveWindow: 0)
        firstFree = Int32(slot)
        occupied -= 1
        if occupied == 0, streams.count > StreamTable.keptSlots { self = StreamTable() }
    }

    /// Moves the windows of all streams by a new INITIAL_WINDOW_SIZE (section 6.9.2). False if one exceeds 2^31-1.
    mutating func moveSendWindows(by difference: Int64) -> Bool {
        for slot in order {
            let window = Int64(streams[Int(slot)].sendWindow) + difference
            guard window <= Int64(Int32.max) else { return false }
            streams[Int(slot)].sendWindow = Int32(max(window, Int64(Int32.min)))
        }
        return true
    }
}

/// Numbers of streams that we reset while the client could still send on them: its frames for them were on their way, and are no fault.
struct ResetStreams {
    /// How many are remembered. A client that does not know our limit yet may have more streams refused in its first packets; what it
    /// sends on them is answered as on any closed stream.
    static let maximumCount = 256

    private var numbers: [UInt32] = []
    private var oldest = 0

    mutating func insert(_ number: UInt32) {
        if numbers.count < ResetStreams.maximumCount {
            numbers.append(number)
        } else {
            numbers[oldest] = number
            oldest = (oldest + 1) % ResetStreams.maximumCount
        }
    }

    func contains(_ number: UInt32) -> Bool { numbers.contains(number) }
}

// Deadlines of many endpoints at the cost of one wake-up a tick: a hashed timing wheel (Varghese and Lauck, scheme 6 with one turn).
// Each endpoint slot has exactly one deadline. The wheel is lazy: it only asks the owner to look again at the earlier moment, so
// postponing a deadline costs nothing. Invariant: an armed slot is in exactly one bucket, and never behind `current`.

/// One deadline for each of many slots, with a precision of one tick.
public struct TimerWheel {
    /// The length of a tick in milliseconds: no timer fires early, and none later than by one tick.
    public static let tickMilliseconds: Int64 = 8
    /// Powers of two: the place of a tick is its lowest bits. The wheel is asked at each turn, so divisions would be felt.
    private static let bucketCount = 4096
    private static let wordCount = bucketCount / 64
    private static let none: Int32 = -1

    private struct Node {
        var next = TimerWheel.none
        var previous = TimerWheel.none
        /// The tick at which the node fires; -1 when it is not armed.
        var tick: Int64 = -1
    }

    private var nodes: [Node] = []
    private var heads = [Int32](repeating: TimerWheel.none, count: TimerWheel.bucketCount)
    private var occupied = [UInt64](repeating: 0, count: TimerWheel.wordCount)
    private var current: Int64
    /// How many slots are armed.
    public private(set) var armedCount = 0

    /// A wheel that starts now.
    public init(nowMilliseconds: Int64) { current = nowMilliseconds / TimerWheel.tickMilliseconds }

    /// Makes room for slots up to and with this one.
    public mutating func reserve(slot: Int) {
        while nodes.count <= slot { nodes.append(Node()) }
    }

    /// Asks for `slot` to be looked at no later than one tick after `deadlineMilliseconds`. If it is armed for an earlier moment, that
    /// stays, and the owner arms it again then; an earlier deadline replaces a later one. A deadline beyond one turn of the wheel (32
    /// s) fires at the turn's end and must be armed again.
    public mutating func arm(slot: Int, deadlineMilliseconds: Int64) {
        // Rounded up so that no deadline, however far, can overflow.
        let (whole, rest) = deadlineMilliseconds.quotientAndRemainder(dividingBy: TimerWheel.tickMilliseconds)
        let exact = rest > 0 ? whole + 1 : whole
        let tick = min(max(exact, current + 1), current + Int64(TimerWheel.bucketCount) - 1)
        if nodes[slot].tick >= 0 {
            if nodes[slot].tick <= tick { return }
            unlink(slot)
        }
        link(slot, tick)
    }

    /// Drops the slot's deadline.
    public mutating func disarm(slot: Int) {
        if nodes[slot].tick >= 0 { unlink(slot) }
    }

    /// Milliseconds until the next slot has to be looked at; `nil` when none is armed.
    public func millisecondsUntilNext(nowMilliseconds: Int64) -> Int64? {
        guard armedCount > 0 else { return nil }
        return max(0, nextOccupiedTick() * TimerWheel.tickMilliseconds - nowMilliseconds)
    }

    /// The first tick behind the current one at which a slot fires. One is armed.
    private func nextOccupiedTick() -> Int64 {
        let start = TimerWheel.bucket(of: current + 1)
        var word = start >> 6
        var bits = occupied[word] & (~0 &<< UInt64(start & 63))
        for _ in 0...TimerWheel.wordCount {
            if bits != 0 {
                let bucket = word &* 64 &+ bits.trailingZeroBitCount
                return current &+ 1 &+ Int64((bucket &- start) & (TimerWheel.bucketCount - 1))
            }
            word = (word &+ 1) & (TimerWheel.wordCount - 1)
            bits = occupied[word]
        }
        preconditionFailure("an armed slot is in a bucket")
    }

    private static func bucket(of tick: Int64) -> Int { Int(truncatingIfNeeded: tick) & (bucketCount - 1) }

    /// Removes one slot whose moment has come; `nil` when none is left. Call it until then.
    public mutating func nextDue(nowMilliseconds: Int64) -> Int? {
        let target = nowMilliseconds / TimerWheel.tickMilliseconds
        while true {
            let head = heads[TimerWheel.bucket(of: current)]
            if head != TimerWheel.none {
                // The bucket of the current tick holds only nodes of this tick: no slot is armed a whole turn ahead.
                unlink(Int(head))
                return Int(head)
            }
            if current >= target { return nil }
            current = armedCount == 0 ? target : min(target, nextOccupiedTick())
        }
    }

    private mutating func link(_ slot: Int, _ tick: Int64) {
        let bucket = TimerWheel.bucket(of: tick)
        let head = heads[bucket]
        nodes[slot] = Node(next: head, previous: TimerWheel.none, tick: tick)
        if head != TimerWheel.none { nodes[Int(head)].previous = Int32(slot) }
        heads[bucket] = Int32(slot)
        occupied[bucket >> 6] |= 1 &<< UInt64(bucket & 63)
        armedCount += 1
    }

    private mutating func unlink(_ slot: Int) {
        let node = nodes[slot]
        let bucket = TimerWheel.bucket(of: node.tick)
        if node.previous == TimerWheel.none { heads[bucket] = node.next } else { nodes[Int(node.previous)].next = node.next }
        if node.next != TimerWheel.none { nodes[Int(node.next)].previous = node.previous }
        if heads[bucket] == TimerWheel.none { occupied[bucket >> 6] &= ~(1 &<< UInt64(bucket & 63)) }
        nodes[slot] = Node()
        armedCount -= 1
    }
}

// What a client has spent of its budgets (SessionLimits).
//
//   frame ──▶ its own budget ──(spent)──▶ glitches ──(three quarters)──▶ GOAWAY in good order
//                                                  └─(all)────────────▶ the connection ends
//
// Some budgets end the connection by themselves: abandoned streams, changes of windows, bytes of overhead.
// Invariant: all time comes in as an argument, in milliseconds; a clock that goes back gives nothing and takes nothing.

/// One budget, in thousandths, so that a millisecond refills whole numbers.
private struct Bucket {
    private(set) var left: Int64
    private let full: Int64
    private let perMillisecond: Int64

    init(_ budget: Budget) {
        full = Int64(budget.atOnce) * 1_000
        left = full
        perMillisecond = Int64(budget.perSecond)
    }

    /// Whether less than a quarter is left.
    var isNearlySpent: Bool { left < full / 4 }

    @inline(__always)
    mutating func add(_ count: Int) { left = min(left &+ Int64(count) &* 1_000, full) }

    mutating func refill(after elapsed: Int64) {
        let (earned, overflows) = elapsed.multipliedReportingOverflow(by: perMillisecond)
        left = overflows ? full : min(left + earned, full)
    }

    /// Whether there was enough.
    @inline(__always)
    mutating func take(_ count: Int) -> Bool {
        guard left >= Int64(count) &* 1_000 else { return false }
        left &-= Int64(count) &* 1_000
        return true
    }
}

/// The budgets of one connection.
struct Budgets {
    private var abandoned: Bucket
    private var chatter: Bucket
    private var windowChanges: Bucket
    private var overhead: Bucket
    private var glitches: Bucket
    private var credit: Int
    private let creditPerStream: Int
    private let creditPerSentData: Int
    private let overheadPerSentData: Int
    private let overheadPerPayloadByte: Int
    private var refilledAt: Int64

    /// Why the connection has to end; nil as long as all budgets last.
    private(set) var exceeded: StaticString?
    /// Whether so many glitches were seen that the client had better open another connection.
    private(set) var isNearlySpent = false

    init(_ limits: SessionLimits, now: Int64) {
        abandoned = Bucket(limits.abandonedStreams)
        chatter = Bucket(limits.chatter)
        windowChanges = Bucket(limits.windowChanges)
        overhead = Bucket(limits.overheadBytes)
        glitches = Bucket(limits.glitches)
        credit = limits.initialCredit
        creditPerStream = limits.creditPerStream
        creditPerSentData = limits.creditPerSentData
        overheadPerSentData = limits.overheadBytesPerSentData
        overheadPerPayloadByte = limits.overheadBytesPerPayloadByte
        refilledAt = now
    }

    /// Gives back what the time since the last call is worth.
    @inline(__always)
    mutating func refill(now: Int64) { if now > refilledAt { refill(to: now) } }

    private mutating func refill(to now: Int64) {
        // After a day every bucket is full, whatever it holds; so nothing overflows.
        let (since, overflows) = now.subtractingReportingOverflow(refilledAt)
        let elapsed = overflows ? 86_400_000 : min(since, 86_400_000)
        refilledAt = now
        abandoned.refill(after: elapsed)
        chatter.refill(after: elapsed)
        windowChanges.refill(after: elapsed)
        overhead.refill(after: elapsed)
        glitches.refill(after: elapsed)
    }

    private mutating func end(_ reason: StaticString) {
        if exceeded == nil { exceeded = reason }
    }

    /// The client did what a correct client never does, so many times.
    mutating func glitch(_ count: Int = 1) {
        if !glitches.take(count) { end("too many frames that a correct client does not send") }
        if glitches.isNearlySpent { isNearlySpent = true }
    }

    /// A stream ended before the head of an answer.
    mutating func abandon() {
        if !abandoned.take(1) { end("too many streams ended before they were answered") }
    }

    /// A frame came that costs work and carries nothing.
    mutating func chat() {
        if !chatter.take(1) { glitch() }
    }

    /// INITIAL_WINDOW_SIZE changed while so many streams are open.
    mutating func changeWindows(of streams: Int) {
        if !windowChanges.take(max(streams, 1)) { end("INITIAL_WINDOW_SIZE changes too often") }
    }

    /// WINDOW_UPDATE, or a frame for a closed stream, came.
    mutating func useCredit() {
        if credit > 0 { credit -= 1 } else { glitch() }
    }

    /// The client opened a stream.
    mutating func openedStream() { credit = min(credit &+ creditPerStream, 1 << 40) }

    /// We send a DATA frame.
    @inline(__always)
    mutating func sentData() {
        credit = min(credit &+ creditPerSentData, 1 << 40)
        overhead.add(overheadPerSentData)
    }

    /// Bytes came that carry nothing.
    @inline(__always)
    mutating func receive(overhead bytes: Int) {
        if !overhead.take(bytes) { end("too little payload in too many bytes") }
    }

    /// Bytes of a body or a field block came.
    @inline(__always)
    mutating func receive(payload bytes: Int) { overhead.add(bytes &* overheadPerPayloadByte) }
}

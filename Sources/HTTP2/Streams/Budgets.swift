// What a client has spent of its budgets (SessionLimits).
//
//   frame ──▶ its own budget ──(spent)──▶ glitches ──(three quarters)──▶ GOAWAY in good order
//                                                  └─(all)────────────▶ the connection ends
//
// Some budgets end the connection by themselves: abandoned streams, changes of windows, bytes of overhead.
// Invariant: all time comes in as an argument, in milliseconds; a clock that goes back gives nothing and takes nothing.

/// What is left of one budget, in thousandths, so that a millisecond refills whole numbers.
private struct Bucket {
    private(set) var left: Int64

    init(_ budget: Budget) { left = Int64(budget.atOnce) * 1_000 }

    mutating func add(_ thousandths: Int64, upTo budget: Budget) { left = min(left + thousandths, Int64(budget.atOnce) * 1_000) }

    /// Whether there was enough.
    mutating func take(_ count: Int) -> Bool {
        guard left >= Int64(count) * 1_000 else { return false }
        left -= Int64(count) * 1_000
        return true
    }
}

/// The budgets of one connection.
struct Budgets {
    /// The limits of the session.
    let limits: SessionLimits
    private var abandoned: Bucket
    private var chatter: Bucket
    private var windowChanges: Bucket
    private var overhead: Bucket
    private var glitches: Bucket
    private var credit: Int
    private var refilledAt: Int64

    /// Why the connection has to end; nil as long as all budgets last.
    private(set) var exceeded: SessionError?

    init(_ limits: SessionLimits, now: Int64) {
        self.limits = limits
        abandoned = Bucket(limits.abandonedStreams)
        chatter = Bucket(limits.chatter)
        windowChanges = Bucket(limits.windowChanges)
        overhead = Bucket(limits.overheadBytes)
        glitches = Bucket(limits.glitches)
        credit = limits.initialCredit
        refilledAt = now
    }

    /// Whether so many glitches were seen that the client had better open another connection.
    var isNearlySpent: Bool { glitches.left < Int64(limits.glitches.atOnce) * 250 }

    /// Gives back what the time since the last call is worth.
    @inline(__always)
    mutating func refill(now: Int64) { if now > refilledAt { refill(after: now - refilledAt, now: now) } }

    private mutating func refill(after elapsed: Int64, now: Int64) {
        refilledAt = now
        // After a day every bucket is full, whatever it holds; so nothing overflows.
        let elapsed = min(elapsed, 86_400_000)
        func refill(_ bucket: inout Bucket, _ budget: Budget) {
            let (earned, overflows) = elapsed.multipliedReportingOverflow(by: Int64(budget.perSecond))
            bucket.add(overflows ? Int64(budget.atOnce) * 1_000 : earned, upTo: budget)
        }
        refill(&abandoned, limits.abandonedStreams)
        refill(&chatter, limits.chatter)
        refill(&windowChanges, limits.windowChanges)
        refill(&overhead, limits.overheadBytes)
        refill(&glitches, limits.glitches)
    }

    private mutating func end(_ reason: StaticString) {
        if exceeded == nil { exceeded = SessionError(.enhanceYourCalm, reason, isAbuse: true) }
    }

    /// The client did what a correct client never does, so many times.
    mutating func glitch(_ count: Int = 1) {
        if !glitches.take(count) { end("too many frames that a correct client does not send") }
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
    mutating func openedStream() { credit = min(credit + limits.creditPerStream, 1 << 40) }

    /// We send a DATA frame.
    @inline(__always)
    mutating func sentData() {
        credit = min(credit &+ limits.creditPerSentData, 1 << 40)
        overhead.add(Int64(limits.overheadBytesPerSentData) * 1_000, upTo: limits.overheadBytes)
    }

    /// Bytes came that carry nothing.
    @inline(__always)
    mutating func receive(overhead bytes: Int) {
        if !overhead.take(bytes) { end("too little payload in too many bytes") }
    }

    /// Bytes of a body or a field block came.
    @inline(__always)
    mutating func receive(payload bytes: Int) {
        overhead.add(Int64(bytes * limits.overheadBytesPerPayloadByte) * 1_000, upTo: limits.overheadBytes)
    }
}

// When the backend sends and when it is silent. It has neither sockets nor a clock. Invariant: numbers go up by one, and two events are
// never closer than the interval, however late the call comes.

/// The numbers and the moments of the demo's events: a burst, a silence, a burst.
struct BurstSchedule {
    private let timing: DemoTiming
    private var sentOfBurst = 0
    /// The number that the next event will have; the first is 1.
    private(set) var nextNumber: UInt64 = 1
    /// When the next event is due, in the worker's milliseconds.
    private(set) var nextMoment: Int64

    init(timing: DemoTiming, beginningAt moment: Int64) {
        self.timing = timing
        nextMoment = moment
    }

    /// The number of the event that is due now; `nil` if none is. One event per call: after a pause of the whole process the missed
    /// events are not made up for.
    mutating func takeDue(now: Int64) -> UInt64? {
        guard now >= nextMoment else { return nil }
        let number = nextNumber
        nextNumber += 1
        sentOfBurst += 1
        let endsBurst = sentOfBurst >= timing.eventsPerBurst
        if endsBurst { sentOfBurst = 0 }
        let pause = endsBurst ? timing.silenceMilliseconds : timing.eventIntervalMilliseconds
        nextMoment = max(nextMoment + pause, now + min(pause, timing.eventIntervalMilliseconds / 2))
        return number
    }
}

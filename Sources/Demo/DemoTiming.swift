// The demo's durations. They are chosen so that ten seconds show the whole story. Invariant: with the defaults a silence of the backend
// is longer than the hop's idle limit, a heartbeat comes well before that limit, and the browser is back only after the next burst has
// begun, so that something is lost. Heartwire, which asks again within half a second, is back before it, and is not cut twice in a silence.

/// How fast the demo goes. All spans are in milliseconds.
package struct DemoTiming: Sendable, Equatable {
    /// How long a connection through the hop may go without a byte in either direction.
    package var hopIdleLimitMilliseconds: Int64 = 3000
    /// After how much silence Heartwire sends a heartbeat.
    package var heartbeatMilliseconds: Int64 = 1000
    /// From one event of a burst to the next; shorter than the heartbeat interval, so that no heartbeat falls into a burst.
    package var eventIntervalMilliseconds: Int64 = 800
    /// How many events make a burst.
    package var eventsPerBurst = 4
    /// From the last event of a burst to the first of the next.
    package var silenceMilliseconds: Int64 = 4800
    /// The `retry` that the backend sends: three seconds, which is also Chromium's default.
    package var reconnectMilliseconds: UInt64 = 3000

    /// The demo's usual pace.
    package init() {}
}

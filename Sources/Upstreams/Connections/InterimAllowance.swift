// How many interim responses one request may get. A server that works for an hour may say so every few seconds (102, 103). A server
// that sends nothing else would keep the proxy busy without limit. So their rate and their bytes are bounded, not their number.

/// The interim responses (1xx, RFC 9110 section 15.2) that a server may still send to one request.
struct InterimAllowance {
    /// How many may come at once.
    static let burst: Int64 = 16
    /// After that many milliseconds another one may come.
    static let intervalMilliseconds: Int64 = 1_000
    /// The most bytes of all of them together.
    static let byteLimit = 1 << 20

    /// The rest of the burst, in milliseconds of waiting time.
    private var credit = burst * intervalMilliseconds
    private var lastAt: Int64 = .max
    private var byteCount = 0

    /// Counts one of so many bytes. Returns which limit it exceeds, in words; nil where it exceeds none.
    mutating func take(bytes count: Int, now: Int64) -> String? {
        credit = min(credit + max(now - lastAt, 0), Self.burst * Self.intervalMilliseconds) - Self.intervalMilliseconds
        lastAt = now
        byteCount += count
        if credit < 0 { return "more interim responses than \(Self.burst) at once and one in \(Self.intervalMilliseconds) ms" }
        if byteCount > Self.byteLimit { return "interim responses of more than \(Self.byteLimit) bytes" }
        return nil
    }
}

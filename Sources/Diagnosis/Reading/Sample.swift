// Which clients and streams are kept when there are too many: a decision by hash, the same for every line, so that an opening, its end and
// the same client's return stay or go together.

/// What is kept.
struct Sample {
    /// Below so many clients single streams are taken out instead: half of three clients is a matter of chance.
    private static let fewClients = 1_024

    let most: Int
    /// The lower half of each kept stream's number, in the order of the streams.
    var numbers: [UInt32] = []
    private var clientShift = 0
    private var streamShift = 0

    init(most: Int) { self.most = max(most, 4) }

    /// One in so many was kept.
    var keptOneIn: Int { 1 << (clientShift + streamShift) }

    /// Keeps half of what it kept before.
    mutating func halve(clientCount: Int) {
        if clientCount >= Sample.fewClients { clientShift = min(clientShift + 1, 30) } else { streamShift = min(streamShift + 1, 30) }
    }

    @inline(__always)
    func keeps(client: UInt64, stream number: UInt64) -> Bool {
        clientShift &+ streamShift == 0
            || client & ((1 as UInt64) &<< UInt64(clientShift) &- 1) == 0
                && UInt32(truncatingIfNeeded: number) & ((1 as UInt32) &<< UInt32(streamShift) &- 1) == 0
    }

    /// Whether a line without a stream's number is kept.
    @inline(__always)
    func keeps(client: UInt64, _ place: LogPlace) -> Bool {
        let mixed = (UInt64(place.file) &<< 32 | UInt64(place.line)) &* 0xD6E8_FEB8_6659_FD93
        return keeps(client: client, stream: mixed &>> 32)
    }
}

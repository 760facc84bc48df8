// How the responses of a kept world's servers are replaced, drawn from its seed.

import Configuration
import TestSupport

/// The choices of a world in which a server says the same on all connections of a user.
struct RecyclingPlan {
    let recycle: Recycle
    /// How late an event comes over a connection, at most: each has a lag of its own.
    let lagMilliseconds: Int
    /// Whether pages stay, and servers drop nothing: all that happens to a stream is that its responses are replaced.
    let isSteady: Bool

    /// A proxy reads both responses for some time, though the next one says nothing. What happened before that one began and has not come
    /// over the present one by then, nobody can miss.
    static let knownLagMilliseconds = 800

    init(_ chance: inout Chance) {
        recycle = Recycle(ageMilliseconds: chance.pick([1_000, 3_000, 8_000]), manner: chance.pick([.overlap, .overlap, .interrupt]))
        lagMilliseconds = chance.pick([0, 60, Self.knownLagMilliseconds, 2_500])
        isSteady = chance.permille(500)
    }

    /// Whether both connections are there for a while.
    var overlaps: Bool { recycle.manner == .overlap }

    /// Whether each event comes once, and no gap: what the present response has not said in time comes over the next one.
    var losesNothing: Bool { isSteady && overlaps && !isLate }

    /// Whether a connection may be later than a proxy can see.
    var isLate: Bool { lagMilliseconds > Self.knownLagMilliseconds }

    /// For somebody who reads of a failure.
    var summary: String {
        "recycle \(recycle.ageMilliseconds) \(recycle.manner), lag \(lagMilliseconds)\(isSteady ? ", steady" : "")"
    }
}

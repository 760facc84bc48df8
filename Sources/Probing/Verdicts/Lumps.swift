// How events that were sent steadily came: one by one, a little late, in lumps, or all at the end.

import ProbeScripts

/// The shape of one response that was sent in steady pieces.
struct Lumps {
    /// What the hops did to it.
    enum Kind: Equatable {
        /// Each piece came when it was sent.
        case passes
        /// Pieces came, but late by up to so many milliseconds.
        case late(Int64)
        /// Pieces came together, so many bytes at a time.
        case collected(bytes: Int)
        /// Nothing came before the end, or nothing at all.
        case untilEnd
    }

    /// Below this a piece is on time: schedulers and networks are not exact.
    static let onTimeMilliseconds: Int64 = 120

    let kind: Kind
    /// At how many different moments bytes came.
    let moments: Int

    /// Reads a play of steady items; nil if nothing can be said, as where no response came. `way` is what the quickest item takes.
    init?(_ observation: Observation, way: Int64) {
        guard let script = observation.plan.script, observation.headAt != nil || observation.lastByteAt != nil else { return nil }
        moments = observation.arrivals.count
        let planned = Int64(script.durationMilliseconds)
        guard let first = observation.arrivals.first else {
            // The head came and no byte behind it, for as long as the play lasted.
            guard observation.ending == .stopped || observation.endedAt >= planned else { return nil }
            kind = .untilEnd
            return
        }
        // Items are not seen in compressed bytes: then their first moment tells.
        if first.at >= planned - 500 - script.firstGap, planned >= 2_000, moments <= 3 {
            kind = .untilEnd
            return
        }
        guard !observation.items.isEmpty else {
            kind = moments * 2 >= script.itemCount ? .passes : .collected(bytes: observation.bodyBytes / max(1, moments))
            return
        }
        let delays = observation.items.map { $0.at - $0.item.madeAt - way }.sorted()
        let usual = delays[delays.count * 8 / 10]
        if usual <= Self.onTimeMilliseconds {
            kind = .passes
        } else if moments * 10 >= observation.items.count * 8 {
            kind = .late(usual)
        } else {
            kind = .collected(bytes: observation.arrivals.map(\.bytes).max() ?? 0)
        }
    }
}

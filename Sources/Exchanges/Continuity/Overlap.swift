// Two responses of one server at a time, where a response is replaced while it is read (`recycle … overlap`).
//
//     old   ──▶ log, and noted from the new request on          the switch: both are quiet and say the same, or it is time,
//     new   ──▶ held ─────────────────────────────────────────▶ or the old one ends: then the new one goes to the log
//
// Invariant: what both have said goes to the log once, as far as `OverlapAlignment` can tell it.

import EventStream
import Reactor
import Telemetry
import Upstreams

/// What two responses of one server have in common, and when they are looked at.
final class Overlap {
    /// For how long both are read at most.
    static let mostMilliseconds: Int64 = 2_000
    /// How long both have to be quiet before the switch.
    static let quietMilliseconds: Int64 = 100
    /// For how long, from its beginning on, the new response may say what the old one has said already.
    static let memoryMilliseconds: Int64 = 30_000
    /// How soon they are looked at again.
    static let lookMilliseconds: Int64 = 50

    var alignment: OverlapAlignment
    /// Monotonic milliseconds: when the new response began, and when either of them last said something.
    var beganAt: Int64 = 0
    var lastSaidAt: Int64 = 0
    var nextLookAt = Int64.max

    init(greetings: [[UInt8]], eventLimit: Int) { alignment = OverlapAlignment(greetings: greetings, blockLimit: eventLimit) }
}

extension StreamFeed {
    /// The next response has begun, while the old one is read.
    func overlaps(_ old: ServerPart, _ new: ServerPart, _ overlap: Overlap) {
        new.isHeld = true
        (overlap.beganAt, overlap.lastSaidAt) = (now, now)
        overlap.nextLookAt = now + Overlap.lookMilliseconds
        state = .overlapping(old, new, overlap)
        stream.wakeAtDeadline()
    }

    /// The next response says something.
    func hold(_ payload: UnsafeMutableRawBufferPointer, of part: ServerPart) {
        guard case .overlapping(let old, let new, let overlap) = state, new === part, !payload.isEmpty else { return }
        let bytes = UnsafeMutableRawBufferPointer(payload).bindMemory(to: UInt8.self)
        overlap.alignment.newSaid(UnsafeBufferPointer(bytes).span)
        overlap.lastSaidAt = now
        guard overlap.alignment.isFull else { return }
        // A client that has parts of an event of the old response needs its end.
        if stream.isHandingOnParts { newIsOver(old, new, overlap) } else { switchOver(old, new, overlap) }
    }

    /// Looks whether it is time for the switch.
    func look(_ old: ServerPart, _ new: ServerPart, _ overlap: Overlap) {
        let isLate = now >= overlap.beganAt + Overlap.mostMilliseconds
        let isQuiet = now >= overlap.lastSaidAt + Overlap.quietMilliseconds
        let isReady = isLate || isQuiet && overlap.alignment.seam(in: stream.log) != .apart
        if isReady, !stream.isHandingOnParts { return switchOver(old, new, overlap) }
        overlap.nextLookAt = now + Overlap.lookMilliseconds
    }

    /// The old response is left, and the new one goes on in its place.
    func switchOver(_ old: ServerPart, _ new: ServerPart, _ overlap: Overlap) {
        old.leave()
        old.overlap = nil
        var (held, seam) = overlap.alignment.switchOver(in: stream.log)
        new.isHeld = false
        new.recognition = .aligned(overlap)
        proxy.counters.add(.streamsRecycled)
        read(new)
        stream.goesOn(from: new.serverName, .recycled, isWhole: seam != .apart)
        guard !held.isEmpty else { return }
        held.withUnsafeMutableBytes { stream.receive($0, of: new) }
    }

    /// The new response ends or breaks before the switch: the old one is read on, and another one is asked for later.
    func newIsOver(_ old: ServerPart, _ new: ServerPart, _ overlap: Overlap) {
        new.leave()
        goOn(with: old)
        recycleAt = now + Overlap.mostMilliseconds
        stream.wakeAtDeadline()
    }

    /// The old response is read on, and is not replaced.
    func goOn(with old: ServerPart) {
        old.overlap = nil
        recycleAt = .max
        state = .reading(old)
    }
}

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
    /// For how long both are read at most, where they say the same, or the old one is quiet and the new one has said nothing; and in other
    /// cases: an old one that is behind has to catch up.
    static let mostMilliseconds: Int64 = 2_000
    static let longestMilliseconds: Int64 = 10_000
    /// How long both have to be quiet before the switch.
    static let quietMilliseconds: Int64 = 100
    /// How much later than the new response the old one may say the same: servers write to their connections one after the other. For so
    /// long both are read at least where the new one says nothing, since what happened before it began is on the old one alone.
    static let latenessMilliseconds: Int64 = 1_000
    /// For how long, from its beginning on, the new response may say what the old one has said already.
    static let memoryMilliseconds: Int64 = 30_000
    /// How soon they are looked at again.
    static let lookMilliseconds: Int64 = 50

    var alignment: OverlapAlignment
    /// Monotonic milliseconds: when the new response began, and when each of them last said something.
    var beganAt: Int64 = 0
    var oldSaidAt: Int64 = 0
    var newSaidAt: Int64 = 0
    /// Since when the new one has said events that the old one has not said; `.max` while there are none.
    var apartSince = Int64.max
    var nextLookAt = Int64.max

    init(greetings: [[UInt8]], eventLimit: Int, said: SaidBlocks?) {
        alignment = OverlapAlignment(greetings: greetings, blockLimit: eventLimit, said: said)
    }

    /// The old response has ended, and the next one, which was asked for before, begins: what the old one has said since then may come
    /// again.
    func goesOn(in log: BlockLog, now: Int64) {
        beganAt = now
        _ = alignment.switchOver(in: log)
    }
}

extension StreamFeed {
    /// The next response has begun, while the old one is read.
    func overlaps(_ old: ServerPart, _ new: ServerPart, _ overlap: Overlap) {
        new.isHeld = true
        (overlap.beganAt, overlap.oldSaidAt, overlap.newSaidAt) = (now, now, now)
        overlap.nextLookAt = now + Overlap.lookMilliseconds
        state = .overlapping(old, new, overlap)
        stream.wakeAtDeadline()
    }

    /// The next response says something.
    func hold(_ payload: UnsafeMutableRawBufferPointer, of part: ServerPart) {
        guard case .overlapping(let old, let new, let overlap) = state, new === part, !payload.isEmpty else { return }
        let bytes = UnsafeMutableRawBufferPointer(payload).bindMemory(to: UInt8.self)
        overlap.alignment.newSaid(UnsafeBufferPointer(bytes).span)
        overlap.newSaidAt = now
        guard overlap.alignment.isFull else { return }
        // A client that has parts of an event of the old response needs its end, and a slow one needs what that has not said yet.
        if stream.isHandingOnParts || isCatchingUp { newIsOver(old, new) } else { switchOver(old, new, overlap) }
    }

    /// Looks whether it is time for the switch.
    func look(_ old: ServerPart, _ new: ServerPart, _ overlap: Overlap) {
        overlap.nextLookAt = now + Overlap.lookMilliseconds
        // While a slow client keeps the old response from being read, nobody knows what it has said.
        guard !isCatchingUp, !stream.isHandingOnParts else { return }
        let seam = overlap.alignment.seam(in: stream.log)
        overlap.apartSince = seam == .apart ? min(overlap.apartSince, now) : .max
        if now >= overlap.beganAt + Overlap.longestMilliseconds || isTime(old, overlap, seam) { switchOver(old, new, overlap) }
    }

    private func isTime(_ old: ServerPart, _ overlap: Overlap, _ seam: OverlapAlignment.Seam) -> Bool {
        let isLate = now >= overlap.beganAt + Overlap.mostMilliseconds
        let areQuiet = isQuiet(old, overlap) && now >= overlap.newSaidAt + Overlap.quietMilliseconds
        return switch seam {
        case .met: isLate || areQuiet
        case .quiet: isLate && isQuiet(old, overlap) || areQuiet && now >= overlap.beganAt + Overlap.latenessMilliseconds
        case .apart: isLate && isQuiet(old, overlap) && now >= overlap.apartSince + Overlap.latenessMilliseconds
        }
    }

    /// Whether the old response has said nothing for a moment, and is between two events.
    private func isQuiet(_ old: ServerPart, _ overlap: Overlap) -> Bool {
        now >= overlap.oldSaidAt + Overlap.quietMilliseconds && !old.cutter.isInsideBlock
    }

    /// The old response is left, and the new one goes on in its place.
    /// - Parameter isOver: whether the old one has said all that it had to say.
    func switchOver(_ old: ServerPart, _ new: ServerPart, _ overlap: Overlap, isOver: Bool = false) {
        // A reader may leave while it is served, and the last one may take the stream with it.
        let stream = self.stream
        let wasQuiet = isOver || isQuiet(old, overlap)
        old.leave()
        old.overlap = nil
        var (held, seam) = overlap.alignment.switchOver(in: stream.log)
        new.isHeld = false
        new.recognition = .aligned(overlap)
        read(new)
        stream.goesOn(with: new, .recycled, isWhole: seam == .met || seam == .quiet && wasQuiet)
        guard !held.isEmpty else { return }
        held.withUnsafeMutableBytes { stream.receive($0, of: new) }
    }

    /// The new response ends or breaks before the switch: the old one is read on, and another one is asked for later.
    func newIsOver(_ old: ServerPart, _ new: ServerPart) {
        new.leave()
        goOn(with: old)
        recycleAt = now + Overlap.mostMilliseconds + pauseAfterShortResponse()
        stream.wakeAtDeadline()
    }

    /// The old response is read on, and is not replaced.
    func goOn(with old: ServerPart) {
        old.overlap = nil
        recycleAt = .max
        state = .reading(old)
    }
}

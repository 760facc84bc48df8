// A server's response is replaced by its next one before the server, or a hop in front of it, ends it (`recycle`).
//
//     break:    reads the old one ──behind an event──▶ ends it, and asks for the next one
//     overlap:  reads the old one, and asks for the next one beside it: see Overlap.swift

import Configuration
import EventStream

extension StreamFeed {
    /// How soon the feed looks again whether an event has ended, where a response is replaced behind it.
    private static let eventLookMilliseconds: Int64 = 50

    /// A response has begun. It is replaced in the last 15 % of the route's time, each at a moment of its own.
    func planRecycling() {
        guard let recycle = terms.policy.recycle, request != nil else { return }
        let age = Int64(recycle.ageMilliseconds)
        // Age counts from the beginning of a response, however long another one was read beside it.
        recycleAt = beganAt + age - Int64(proxy.chance(below: UInt64(max(1, age * 15 / 100))))
        stream.wakeAtDeadline()
    }

    /// Asks for the next response: behind an event at which the present one is ended, or while it is read.
    func recycle(_ part: ServerPart) {
        guard let request, let recycle = terms.policy.recycle, !proxy.isDraining else { return recycleAt = .max }
        // An address that is no longer the upstream's is read until its response ends.
        if let pin, !addresses.contains(pin) { return recycleAt = .max }
        // What a slow client keeps the proxy from reading would be lost.
        guard !isCatchingUp else { return recycleAt = now + Self.pausedLookMilliseconds }
        if recycle.manner == .overlap {
            return tryAgain(Masking(since: now, request, proxy.generation, isRecycling: true, replacing: part))
        }
        if part.cutter.isInsideBlock, stream.isHandingOnParts || now < beganAt + Int64(recycle.ageMilliseconds) {
            recycleAt = now + Self.eventLookMilliseconds
            return
        }
        part.leave()
        stream.merging?.readUntil = now
        tryAgain(Masking(since: now, request, proxy.generation, isRecycling: true))
    }
}

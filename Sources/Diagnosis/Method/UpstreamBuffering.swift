// A hop between the server and this proxy that holds bytes back until its buffer is full, by the event log.

import Glibc

enum UpstreamBuffering {
    private static let fewestLumps = 10
    /// Of all instants in which events came; a hop that waits for a full buffer lets nothing pass in between.
    private static let shareOfInstants = 0.5
    private static let shareFull = 0.8

    /// Lumps that end where a buffer is full, far more often than by chance.
    static func find(in facts: LogFacts) -> Finding? {
        let lumps = facts.lumps
        let full = max(lumps.fullWithShortEnds, lumps.fullWithLongEnds)
        guard lumps.lumps >= fewestLumps, Double(lumps.lumps) >= shareOfInstants * Double(lumps.instants),
            Double(full) >= shareFull * Double(lumps.lumps), Chance.atLeast(full, mean: lumps.byChance) + log(2) < Chance.level
        else { return nil }
        // As sure as any cause at the server that only numbers tell. A server's own bursts may be nearly as large as a buffer: over few of
        // them the difference does not add up.
        let ofEach = lumps.lumps / lumps.streams
        let confidence = ofEach >= 20 ? 0.8 : ofEach >= 10 ? 0.65 : 0.45
        var finding = Finding(kind: .buffering, side: .upstream, streams: lumps.streams, confidence: confidence)
        let size = Double(lumps.bytes) / Double(lumps.lumps) / 1_024
        finding.evidence = [
            "\(Words.count(full)) of \(Words.count(lumps.lumps)) lumps of five and more events end where a buffer of 4 KiB or a multiple is"
                + " full",
            "a lump has about \(Words.decimal(size)) KiB, and hardly an event comes between two lumps",
            "for example in the \(lumps.examples.count == 1 ? "stream" : "streams") \(Words.list(lumps.examples))",
        ]
        return finding
    }
}

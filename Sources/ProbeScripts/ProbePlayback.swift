// Plays a script: which item is due when, and its bytes. It knows no clock and sends nothing. Invariant: items have the numbers 0, 1, 2 …
// in their order, and each holds the milliseconds since the request at which it was made, so that a client can tell a late item.

/// A script that is being played.
package struct ProbePlayback: Sendable {
    private let script: ProbeScript
    private var part = 0
    private var playedOfPart = 0
    private var dueAt: Int64
    private var hasOpened = false
    /// How many items have been made.
    package private(set) var count = 0

    /// A playback at its beginning.
    package init(_ script: ProbeScript) {
        self.script = script
        dueAt = Int64(script.holdMilliseconds)
        skip()
    }

    private mutating func skip() {
        if part < script.parts.count { dueAt += Int64(script.parts[part].gapMilliseconds) }
    }

    /// When the next item is due, in milliseconds since the request; nil after the last one.
    package var nextAt: Int64? { part < script.parts.count ? dueAt : nil }

    /// Appends the item that is due. The first event also holds what the endpoint has to say of the request: `opening`, one text for
    /// each line.
    package mutating func writeNext(at milliseconds: Int64, opening: @autoclosure () -> [String], to bytes: inout [UInt8]) {
        precondition(part < script.parts.count, "nothing is left to play")
        let kind = script.parts[part]
        let start = bytes.count
        bytes += "\(kind.isComment ? ":" : "data:") n=\(count) ms=\(milliseconds)".utf8
        if !kind.isComment, !hasOpened {
            hasOpened = true
            for line in opening() { bytes += "\ndata: \(line)".utf8 }
        }
        let missing = kind.bytes - (bytes.count - start) - 3
        if missing >= 0 { bytes += [0x20] + [UInt8](repeating: UInt8(ascii: "."), count: missing) }
        bytes += "\n\n".utf8
        count += 1
        playedOfPart += 1
        if playedOfPart == kind.count {
            part += 1
            playedOfPart = 0
        }
        skip()
    }
}

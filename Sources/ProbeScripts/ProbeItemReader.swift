// Finds the items of a playback in the bytes that a client receives, in any pieces, and what the endpoint says of the request.
// Invariant: no bytes can make it keep more than one line of bounded length and a bounded number of facts.

import Bytes

/// One event or comment of a playback that has come.
package struct ProbeItem: Sendable, Equatable {
    /// Its number, from 0.
    package var number: Int
    /// When the endpoint made it, in milliseconds since the request reached it.
    package var madeAt: Int64
    /// Whether it is a comment.
    package var isComment: Bool

    /// An item.
    package init(number: Int, madeAt: Int64, isComment: Bool) {
        self.number = number
        self.madeAt = madeAt
        self.isComment = isComment
    }
}

/// Reads a playback.
package struct ProbeItemReader: Sendable {
    private static let lineBytes = 1_024
    private static let factLimit = 160

    private var line: [UInt8] = []
    /// What the endpoint said of the request: `nonce`, `http`, `heartbeat`, and `field NAME` for each field.
    package private(set) var facts: [(name: String, value: String)] = []

    /// A reader at the beginning of a body.
    package init() {}

    /// Follows the next bytes; returns the items whose lines ended in them.
    package mutating func receive(_ bytes: UnsafeRawBufferPointer) -> [ProbeItem] {
        var items: [ProbeItem] = []
        for byte in bytes {
            guard byte == lineFeed || byte == carriageReturn else {
                if line.count < Self.lineBytes { line.append(byte) }
                continue
            }
            if let item = endLine() { items.append(item) }
        }
        return items
    }

    private mutating func endLine() -> ProbeItem? {
        defer { line.removeAll(keepingCapacity: true) }
        let text = String(decoding: line, as: UTF8.self)
        let isComment = text.hasPrefix(": ")
        guard isComment || text.hasPrefix("data: ") else { return nil }
        let rest = text.dropFirst(isComment ? 2 : 6)
        if rest.hasPrefix("n=") { return item(rest, isComment: isComment) }
        if !isComment, facts.count < Self.factLimit, let place = rest.firstIndex(of: "=") {
            facts.append((String(rest[..<place]), String(rest[rest.index(after: place)...])))
        }
        return nil
    }

    private func item(_ text: Substring, isComment: Bool) -> ProbeItem? {
        let words = text.split(separator: " ")
        guard words.count >= 2, words[1].hasPrefix("ms="), let number = Int(words[0].dropFirst(2)), number >= 0,
            let madeAt = Int64(words[1].dropFirst(3)), (0...Int64(2 * ProbeScript.lifeMilliseconds)).contains(madeAt)
        else { return nil }
        return ProbeItem(number: number, madeAt: madeAt, isComment: isComment)
    }
}

// A head that has not come whole. Most heads come in one piece and never need it, so a connection holds one of
// these only while it waits for the rest. Invariant: it never holds more than the head limit and one read.

import HTTP

/// Collects the bytes of a head that comes in pieces.
final class PartialHead {
    fileprivate var scanner: HeadScanner
    fileprivate var bytes: [UInt8] = []

    fileprivate init(scanner: HeadScanner) { self.scanner = scanner }

    /// Whether a byte of the first line has come; empty lines before it do not count.
    var hasBegun: Bool { scanner.hasBegun }
}

/// A head that has come whole.
struct ReceivedHead<Head> {
    var head: Head
    /// How many of the bytes that were given last belong to it.
    var consumed: Int
}

extension PartialHead? {
    /// Takes received bytes as (the next part of) a head; nil when more is needed, and all of them were taken.
    mutating func receive<Head>(
        _ bytes: UnsafeRawBufferPointer, kind: HeadKind, limits: HeadLimits,
        parse: (Span<UInt8>) throws(HTTPError) -> Head
    ) throws(HTTPError) -> ReceivedHead<Head>? {
        let received = bytes.bindMemory(to: UInt8.self)
        if let partial = self {
            let consumed = try partial.scanner.receive(received.span)
            partial.bytes.append(contentsOf: received[..<(consumed ?? received.count)])
            guard let consumed else { return nil }
            self = nil
            return ReceivedHead(head: try parse(partial.bytes.span), consumed: consumed)
        }
        var scanner = HeadScanner(kind: kind, limits: limits)
        guard let consumed = try scanner.receive(received.span) else {
            let partial = PartialHead(scanner: scanner)
            partial.bytes.append(contentsOf: received)
            self = partial
            return nil
        }
        return ReceivedHead(
            head: try parse(UnsafeBufferPointer(rebasing: received[..<consumed]).span), consumed: consumed)
    }
}

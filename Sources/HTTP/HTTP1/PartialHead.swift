// An incomplete head. Most heads come in one piece and never need this type, so a connection holds one only while it waits for the
// rest. Invariant: it never holds more than the head limit and one read.

/// Collects the bytes of a head that comes in pieces.
public final class PartialHead {
    fileprivate var scanner: HeadScanner
    fileprivate var bytes: [UInt8] = []

    fileprivate init(scanner: HeadScanner) { self.scanner = scanner }

    /// Takes the next bytes. If they complete the head, returns how many of them belong to it.
    fileprivate func receive(_ received: UnsafeBufferPointer<UInt8>) throws(HTTPError) -> Int? {
        var scanner = self.scanner
        defer { self.scanner = scanner }
        let consumed = try scanner.receive(received.span)
        bytes.append(contentsOf: received[..<(consumed ?? received.count)])
        return consumed
    }

    /// How many bytes of the head have come.
    public var byteCount: Int { bytes.count }

    /// Whether a byte of the first line has come; empty lines before it do not count.
    public var hasBegun: Bool { scanner.hasBegun }
}

/// A complete head.
public struct ReceivedHead<Head> {
    /// The parsed head.
    public var head: Head
    /// How many of the last given bytes belong to it.
    public var consumed: Int
}

extension PartialHead? {
    /// Takes received bytes as (the next part of) a request's head. Nil when more is needed; all bytes were taken then.
    ///
    /// - Throws: what the head breaks, the same for every split.
    public mutating func receiveRequest(
        _ bytes: UnsafeRawBufferPointer, limits: HeadLimits
    ) throws(HTTPError) -> ReceivedHead<RequestHead>? {
        try receive(bytes, kind: .request, limits: limits) { span throws(HTTPError) in try RequestHead.parse(span, limits: limits) }
    }

    /// Takes received bytes as (the next part of) a response's head. Nil when more is needed; all bytes were taken then.
    ///
    /// - Throws: what the head breaks, the same for every split.
    public mutating func receiveResponse(
        _ bytes: UnsafeRawBufferPointer, limits: HeadLimits
    ) throws(HTTPError) -> ReceivedHead<ResponseHead>? {
        try receive(bytes, kind: .response, limits: limits) { span throws(HTTPError) in try ResponseHead.parse(span, limits: limits) }
    }

    @inline(__always)
    private mutating func receive<Head>(
        _ bytes: UnsafeRawBufferPointer, kind: HeadKind, limits: HeadLimits,
        parse: (Span<UInt8>) throws(HTTPError) -> Head
    ) throws(HTTPError) -> ReceivedHead<Head>? {
        let received = bytes.bindMemory(to: UInt8.self)
        if let partial = self {
            guard let consumed = try partial.receive(received) else { return nil }
            self = nil
            let whole = partial.bytes
            return ReceivedHead(head: try parse(whole.span), consumed: consumed)
        }
        // Nearly all heads come complete and valid.
        if let end = HeadScanner.endOfWholeHead(received.span, limits: limits),
            let head = try? parse(UnsafeBufferPointer(rebasing: received[..<end]).span)
        {
            return ReceivedHead(head: head, consumed: end)
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

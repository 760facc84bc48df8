// Finds the single events of a stream, with what a log may say of each: its number, type, id and size.
//
// The trace has its own scanner, so a stream without an event log pays nothing for it. The caller writes the log. Invariant: of an
// event's data nothing is kept, and of its type and id a bounded beginning. Any split of the same bytes finds the same events.

/// A type that wants to know more of an event than its end.
protocol ScanWitness {
    /// Whether the witness looks at anything. A constant for the compiler, which leaves out code without effect.
    static var isLooking: Bool { get }
    /// Whether the scan must stop here.
    var wantsToLook: Bool { get }
    /// A line with the event's type begins. It replaces an earlier type of the same event.
    mutating func typeBegins()
    /// More of the value.
    mutating func typeGoesOn(_ bytes: Span<UInt8>)
    /// A blank line. Without data it ends no event that a browser would dispatch.
    mutating func blankLine(_ range: Range<Int>, endsEvent: Bool, withIdentifier: Bool)
    /// The first byte of these bytes belongs to the blank line that ended the bytes before.
    mutating func blankLineGoesOn(to offset: Int)
}

/// A witness that looks at nothing.
struct NoWitness: ScanWitness {
    static var isLooking: Bool { false }
    var wantsToLook: Bool { false }
    mutating func typeBegins() {}
    mutating func typeGoesOn(_ bytes: Span<UInt8>) {}
    mutating func blankLine(_ range: Range<Int>, endsEvent: Bool, withIdentifier: Bool) {}
    mutating func blankLineGoesOn(to offset: Int) {}
}

/// Finds the events of a stream, one after the other.
public struct EventTrace: Sendable {
    /// How many bytes of a type are kept.
    public static let typeLimit = 256

    private var scanner: EventScanner
    private var details = Details()

    /// A trace that continues from the scanner's position, which must be between two events or at the start of a stream.
    public init(following scanner: EventScanner = EventScanner()) { self.scanner = scanner }

    /// The number of the last event, counted from 1 as a browser dispatches events.
    public var number: UInt64 { scanner.eventCount }

    /// How many bytes the last event had, comments inside it included, without the blank line that ended it.
    public var byteCount: UInt64 { details.byteCount }

    /// The last event's type as it came, at most its first 256 bytes. Empty if the server named no type, or an empty one.
    public var type: [UInt8] { details.type }

    /// Whether `type` leaves out the end of a longer one.
    public var isTypeTruncated: Bool { details.isTypeTruncated }

    /// Whether the last event brought its own id. Otherwise the event has the stream's last id.
    public var hasIdentifier: Bool { details.hasIdentifier }

    /// The id that the last event brought, as it came, at most its first 256 bytes.
    public var identifier: [UInt8] { details.identifier }

    /// Whether `identifier` leaves out the end of a longer one.
    public var isIdentifierTruncated: Bool { scanner.isLastEventIDTruncated }

    /// Follows these bytes from `offset` to the end of the next event in them, and moves `offset` there. Start with 0 for new bytes.
    /// Returns false when no further event ends in the bytes; then all of them have been followed. Allocates only for the stream's
    /// first event and for longer ids than before.
    public mutating func next(in bytes: Span<UInt8>, from offset: inout Int) -> Bool {
        details.wantsToLook = false
        offset = scanner.scan(bytes, from: offset, before: &details)
        if details.wantsToLook {
            details.identifier.removeAll(keepingCapacity: true)
            if details.hasIdentifier { scanner.appendLastEventID(to: &details.identifier) }
            return true
        }
        details.piecesEnd(count: bytes.count)
        return false
    }

    private struct Details: ScanWitness, Sendable {
        static var isLooking: Bool { true }

        var wantsToLook = false
        var type: [UInt8] = []
        var isTypeTruncated = false
        var identifier: [UInt8] = []
        var hasIdentifier = false
        var byteCount: UInt64 = 0
        /// Where the open event, or the next one, begins in the current bytes.
        private var start = 0
        /// How many bytes of the event came in earlier pieces.
        private var earlierByteCount: UInt64 = 0
        /// The type belongs to an event that is already over.
        private var isTypeStale = false

        mutating func typeBegins() {
            type.removeAll(keepingCapacity: true)
            isTypeTruncated = false
            isTypeStale = false
        }

        mutating func typeGoesOn(_ bytes: Span<UInt8>) {
            let room = EventTrace.typeLimit &- type.count
            if bytes.count > room { isTypeTruncated = true }
            for index in 0..<min(room, bytes.count) { type.append(bytes[index]) }
        }

        mutating func blankLine(_ range: Range<Int>, endsEvent: Bool, withIdentifier: Bool) {
            if isTypeStale { typeBegins() }
            isTypeStale = true
            if endsEvent {
                wantsToLook = true
                hasIdentifier = withIdentifier
                byteCount = earlierByteCount &+ UInt64(range.lowerBound &- start)
            }
            earlierByteCount = 0
            start = range.upperBound
        }

        mutating func blankLineGoesOn(to offset: Int) { start = offset }

        /// These bytes have been followed to their end.
        mutating func piecesEnd(count: Int) {
            earlierByteCount &+= UInt64(count &- start)
            start = 0
        }
    }
}

// Telling the events of a stream apart, one by one, with what may be said of each in a log: its number, type, id and size.
//
// It follows by a scanner of its own, so that nothing of this is on the way of an event where nobody wants to know. What it
// finds is the caller's to write down. Invariant: of an event's data nothing is kept, of type and id a bounded beginning; and any
// split of the same bytes finds the same events.

/// Whoever wants to know more of an event than that it has ended.
protocol ScanWitness {
    /// Whether anybody looks at all. Known to the compiler, which leaves out what is for nobody.
    static var isLooking: Bool { get }
    /// Whether the scan shall stop here.
    var wantsToLook: Bool { get }
    /// A line begins whose value is the event's type, in place of any earlier one.
    mutating func typeBegins()
    /// More of the value.
    mutating func typeGoesOn(_ bytes: Span<UInt8>)
    /// A blank line. Without data it ends no event that a browser would dispatch.
    mutating func blankLine(_ range: Range<Int>, endsEvent: Bool, withIdentifier: Bool)
    /// The first byte of these bytes belongs to the blank line that ended the ones before.
    mutating func blankLineGoesOn(to offset: Int)
}

/// Nobody looks.
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

    /// A trace that goes on where the scanner is, which has to be between two events, or at the start of a stream.
    public init(following scanner: EventScanner = EventScanner()) { self.scanner = scanner }

    /// Which event of the stream the last one was, counted from 1 as a browser dispatches them.
    public var number: UInt64 { scanner.eventCount }

    /// How many bytes the last event had, comments inside it included, without the blank line that ended it.
    public var byteCount: UInt64 { details.byteCount }

    /// The last event's type, at most its first 256 bytes, as they came; empty where the server named none, or an empty one.
    public var type: [UInt8] { details.type }

    /// Whether `type` leaves out the end of a longer one.
    public var isTypeTruncated: Bool { details.isTypeTruncated }

    /// Whether the last event brought an id of its own; otherwise it has that of the stream.
    public var hasIdentifier: Bool { details.hasIdentifier }

    /// The id that the last event brought, at most its first 256 bytes, as they came.
    public var identifier: [UInt8] { details.identifier }

    /// Whether `identifier` leaves out the end of a longer one.
    public var isIdentifierTruncated: Bool { scanner.isLastEventIDTruncated }

    /// Goes on in these bytes from `offset`, which is 0 where they have only come, until behind the next event that ends in them.
    /// False when there is no other; then all of the bytes have been followed. Allocates only what the stream's first event, or a
    /// longer id than before, makes it keep.
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
        /// The event that is open, or the next one, begins here in the bytes that are followed.
        private var start = 0
        /// How many of its bytes came before them.
        private var earlierByteCount: UInt64 = 0
        /// The type belongs to an event that has ended.
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

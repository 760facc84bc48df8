// Follows the bytes of a text/event-stream, in any pieces (WHATWG HTML 9.2.5, 9.2.6).
//
// The scanner knows where lines and events end, counts the events that a browser would dispatch, and keeps the last event id and the
// retry value. It never stores data or event types. The weaver decides what may be put between the bytes. A `ScanWitness` can learn
// more of each event; for a scan without one the compiler leaves all calls out.
//
// Invariants: any split of the same bytes leads to the same state (except `lastBoundary`, which belongs to one call), and no bytes can
// make the scanner trap.

import Bytes

/// Follows an event stream and says whether its last byte is inside a line, inside an event or between events.
public struct EventScanner: Sendable {
    /// Where the bytes so far have ended.
    public enum Position: Sendable, Equatable {
        /// No event is open: at the start, after a blank line, or after comments that follow one.
        case betweenEvents
        /// After a complete line of an event that has not ended yet.
        case betweenLines
        /// After bytes without a line end.
        case insideLine
    }

    // What kind of line is being read (WHATWG HTML 9.2.6).
    //
    //     streamStart -EF-> oneOfMark -BB-> twoOfMark -BF-> lineStart
    //     lineStart -':'-> comment
    //     lineStart -other-> name -"data:"-> data
    //                             -"id:"-> idStart -> id -NUL-> ignored
    //                             -"retry:"-> retryStart -> retryEmpty -> retryDigits -no digit-> ignored
    //                             -"event:", where a witness looks-> typeStart -> type
    //                             -any other name-> ignored
    //
    // A line end leads from each of them back to lineStart.
    private enum State: UInt8 {
        case streamStart
        case oneOfMark
        case twoOfMark
        case lineStart
        case comment
        case name
        case data
        case idStart
        case id
        case retryStart
        case retryEmpty
        case retryDigits
        case typeStart
        case type
        case ignored
    }

    private struct Flags: OptionSet {
        let rawValue: UInt8
        /// The last byte was a CR, so an LF that follows belongs to it.
        static let afterCarriageReturn = Flags(rawValue: 1)
        /// The last line that ended was blank.
        static let afterBlankLine = Flags(rawValue: 2)
        /// A line other than a comment has ended since the last blank line.
        static let eventIsOpen = Flags(rawValue: 4)
        /// A `data` line has ended since the last blank line.
        static let eventHasData = Flags(rawValue: 8)
        /// `retry` holds a value.
        static let hasRetry = Flags(rawValue: 16)
        /// An `id` line with a value has ended.
        static let hasSeenIdentifier = Flags(rawValue: 32)
    }

    // Field names as little-endian words, which the state `name` collects.
    private static let dataName: UInt64 = 0x6174_6164
    private static let idName: UInt64 = 0x6469
    private static let retryName: UInt64 = 0x79_7274_6572
    private static let typeName: UInt64 = 0x74_6E65_7665
    private static let longestNameCount: UInt8 = 5
    private static let dataPrefix: UInt64 = 0x3A_6174_6164
    private static let dataPrefixMask: UInt64 = 0xFF_FFFF_FFFF
    private static let dataPrefixCount = 5

    /// How many events a browser would have dispatched: blank lines after at least one `data` line.
    public private(set) var eventCount: UInt64 = 0

    /// The bytes of a field name or the value of a `retry` that are being read.
    private var scratch: UInt64 = 0
    private var retry: UInt64 = 0
    private var boundary: Int = -1
    private var identifier = IdentifierBuffer()
    private var nameCount: UInt8 = 0
    private var state: State = .streamStart
    private var flags: Flags = []

    /// A scanner at the start of a stream.
    public init() {}

    /// Where the bytes so far have ended. An unfinished byte order mark counts as `.insideLine`.
    public var position: Position {
        switch state {
        case .streamStart, .lineStart:
            flags.contains(.eventIsOpen) ? .betweenLines : .betweenEvents
        default:
            .insideLine
        }
    }

    /// Whether the last byte was a CR. It has ended its line; an LF that follows belongs to it.
    public var endsWithCarriageReturn: Bool { flags.contains(.afterCarriageReturn) }

    /// The offset just behind the last blank line that ended in the bytes of the last `receive`; nil if none did. An LF that completes
    /// a blank line's CR from the call before also counts: the offset is then 1.
    public var lastBoundary: Int? { boundary < 0 ? nil : boundary }

    /// The last value of a `retry` line, in milliseconds. A value that does not fit becomes the largest one.
    public var retryMilliseconds: UInt64? { flags.contains(.hasRetry) ? retry : nil }

    /// The last event id as of the last blank line: its first 256 bytes, as they came. Empty if there was none or an empty id reset it.
    /// Makes a copy, so not for hot paths.
    public var lastEventID: [UInt8] { identifier.committed }

    /// Whether `lastEventID` leaves out the end of an id longer than 256 bytes.
    public var isLastEventIDTruncated: Bool { identifier.isTruncated }

    /// Whether any `id` line so far had a value.
    public var hasSeenIdentifier: Bool { flags.contains(.hasSeenIdentifier) }

    /// Follows the next bytes of the stream.
    ///
    /// Allocates only for an id that is longer than all before, so a few times in a stream's life.
    public mutating func receive(_ bytes: Span<UInt8>) {
        var nobody = NoWitness()
        _ = scan(bytes, from: 0, before: &nobody)
    }

    /// The last event id as of the last blank line, appended to `bytes`: its first 256 bytes.
    func appendLastEventID(to bytes: inout [UInt8]) { identifier.appendCommitted(to: &bytes) }

    /// Follows the bytes from `start` to their end, or to where the witness wants to stop. Returns the offset behind the followed
    /// bytes. The caller must follow the same bytes to their end before it gives others.
    @inline(__always)
    mutating func scan<Witness: ScanWitness>(_ bytes: Span<UInt8>, from start: Int, before witness: inout Witness) -> Int {
        let count = bytes.count
        var index = start
        if start == 0 { index = begin(bytes, before: &witness) }
        while index < count {
            switch state {
            case .lineStart:
                index = beginLine(in: bytes, at: index, before: &witness)
                if Witness.isLooking, witness.wantsToLook { return index }
            case .data, .comment, .ignored:
                index = ByteSearch.firstLineEnd(in: bytes, from: index)
                if index < count {
                    index = endLine(in: bytes, at: index)
                }
            case .name:
                index = readName(in: bytes, at: index, before: &witness)
            case .idStart, .id:
                index = readIdentifier(in: bytes, at: index)
            case .retryStart, .retryEmpty, .retryDigits:
                index = readRetry(in: bytes, at: index)
            case .typeStart, .type:
                index = readType(in: bytes, at: index, before: &witness)
            case .streamStart, .oneOfMark, .twoOfMark:
                index = readByteOrderMark(in: bytes, at: index)
            }
        }
        return index
    }

    /// A leading LF may belong to the CR that came last. Returns where the next line begins.
    @inline(__always)
    private mutating func begin<Witness: ScanWitness>(_ bytes: Span<UInt8>, before witness: inout Witness) -> Int {
        boundary = -1
        guard bytes.count > 0, flags.contains(.afterCarriageReturn) else { return 0 }
        flags.remove(.afterCarriageReturn)
        guard bytes[0] == lineFeed else { return 0 }
        if flags.contains(.afterBlankLine) {
            boundary = 1
            if Witness.isLooking { witness.blankLineGoesOn(to: 1) }
        }
        return 1
    }

    /// Looks at the first bytes of a line and skips what they already decide.
    @inline(__always)
    private mutating func beginLine<Witness: ScanWitness>(in bytes: Span<UInt8>, at index: Int, before witness: inout Witness) -> Int {
        if bytes.count &- index >= 8,
            ByteWord.load(bytes, at: index) & Self.dataPrefixMask == Self.dataPrefix
        {
            state = .data
            return index &+ Self.dataPrefixCount
        }
        switch bytes[index] {
        case lineFeed, carriageReturn:
            let isEvent = flags.contains(.eventHasData)
            let hasIdentifier = identifier.hasPending
            dispatch()
            let next = afterLineEnd(in: bytes, at: index)
            boundary = next
            if Witness.isLooking { witness.blankLine(index..<next, endsEvent: isEvent, withIdentifier: hasIdentifier) }
            return next
        case UInt8(ascii: ":"):
            state = .comment
            return index &+ 1
        default:
            state = .name
            scratch = 0
            nameCount = 0
            return index
        }
    }

    /// A blank line (WHATWG HTML 9.2.6, "dispatch the event"): the id is committed with or without data.
    @inline(__always)
    private mutating func dispatch() {
        if flags.contains(.eventHasData) {
            eventCount &+= 1
        }
        identifier.commit()
        flags.remove([.eventIsOpen, .eventHasData])
        flags.insert(.afterBlankLine)
    }

    /// The line end at `index` ends a line that is not blank. Returns the offset behind it.
    @inline(__always)
    private mutating func endLine(in bytes: Span<UInt8>, at index: Int) -> Int {
        flags.remove(.afterBlankLine)
        if state == .data {
            flags.insert([.eventIsOpen, .eventHasData])
        } else if state != .comment {
            endField()
        }
        state = .lineStart
        return afterLineEnd(in: bytes, at: index)
    }

    /// A complete field other than `data:` with a colon takes effect.
    private mutating func endField() {
        flags.insert(.eventIsOpen)
        switch state {
        case .name where isName(Self.dataName, count: 4):
            flags.insert(.eventHasData)
        case .name where isName(Self.idName, count: 2):
            identifier.endLine()
        case .idStart, .id:
            identifier.endLine()
            if !identifier.isPendingEmpty { flags.insert(.hasSeenIdentifier) }
        case .retryDigits:
            retry = scratch
            flags.insert(.hasRetry)
        case .name, .streamStart, .oneOfMark, .twoOfMark, .lineStart, .comment, .data, .retryStart, .retryEmpty, .typeStart, .type,
            .ignored:
            break
        }
    }

    /// The offset behind the line end at `index`: an LF after a CR belongs to it. A CR as the last byte ends its line too.
    @inline(__always)
    private mutating func afterLineEnd(in bytes: Span<UInt8>, at index: Int) -> Int {
        let next = index &+ 1
        guard bytes[index] == carriageReturn else { return next }
        if next == bytes.count {
            flags.insert(.afterCarriageReturn)
            return next
        }
        return bytes[next] == lineFeed ? next &+ 1 : next
    }

    private mutating func readByteOrderMark(in bytes: Span<UInt8>, at index: Int) -> Int {
        switch (state, bytes[index]) {
        case (.streamStart, 0xEF):
            state = .oneOfMark
        case (.oneOfMark, 0xBB):
            state = .twoOfMark
        case (.twoOfMark, 0xBF):
            state = .lineStart
        case (.streamStart, _):
            state = .lineStart
            return index
        default:
            // These bytes are no byte order mark, so they begin an unknown field name.
            state = .ignored
            return index
        }
        return index &+ 1
    }

    private mutating func readName<Witness: ScanWitness>(in bytes: Span<UInt8>, at index: Int, before witness: inout Witness) -> Int {
        let byte = bytes[index]
        switch byte {
        case lineFeed, carriageReturn:
            if Witness.isLooking, isName(Self.typeName, count: 5) { witness.typeBegins() }
            return endLine(in: bytes, at: index)
        case UInt8(ascii: ":"):
            if isName(Self.dataName, count: 4) {
                state = .data
            } else if isName(Self.idName, count: 2) {
                state = .idStart
            } else if isName(Self.retryName, count: 5) {
                state = .retryStart
                scratch = 0
            } else if Witness.isLooking, isName(Self.typeName, count: 5) {
                state = .typeStart
                witness.typeBegins()
            } else {
                state = .ignored
            }
        default:
            guard nameCount < Self.longestNameCount else {
                state = .ignored
                return index
            }
            scratch |= UInt64(byte) << (UInt64(nameCount) &* 8)
            nameCount &+= 1
        }
        return index &+ 1
    }

    @inline(__always)
    private func isName(_ name: UInt64, count: UInt8) -> Bool { scratch == name && nameCount == count }

    private mutating func readIdentifier(in bytes: Span<UInt8>, at start: Int) -> Int {
        var index = start
        if state == .idStart {
            if bytes[index] == space {
                state = .id
                return index &+ 1
            }
            state = .id
        }
        while index < bytes.count {
            switch bytes[index] {
            case lineFeed, carriageReturn:
                return endLine(in: bytes, at: index)
            case 0:
                // An id with a NUL is ignored as a whole.
                identifier.discardGrowing()
                state = .ignored
                return index &+ 1
            case let byte:
                identifier.grow(byte)
                index &+= 1
            }
        }
        return index
    }

    private mutating func readType<Witness: ScanWitness>(in bytes: Span<UInt8>, at start: Int, before witness: inout Witness) -> Int {
        var index = start
        if state == .typeStart {
            state = .type
            if bytes[index] == space { index &+= 1 }
        }
        let end = ByteSearch.firstLineEnd(in: bytes, from: index)
        witness.typeGoesOn(bytes.extracting(index..<end))
        return end < bytes.count ? endLine(in: bytes, at: end) : end
    }

    private mutating func readRetry(in bytes: Span<UInt8>, at index: Int) -> Int {
        switch bytes[index] {
        case lineFeed, carriageReturn:
            return endLine(in: bytes, at: index)
        case space where state == .retryStart:
            state = .retryEmpty
        case let digit where isDigit(digit):
            let (tenfold, isTooLarge) = scratch.multipliedReportingOverflow(by: 10)
            let (sum, isSumTooLarge) = tenfold.addingReportingOverflow(UInt64(digit &- 0x30))
            scratch = isTooLarge || isSumTooLarge ? .max : sum
            state = .retryDigits
        default:
            state = .ignored
        }
        return index &+ 1
    }
}

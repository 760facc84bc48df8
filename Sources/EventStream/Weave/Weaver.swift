// Decides which of the upstream's bytes go on, and where the proxy may insert its own bytes.
//
// The weaver follows the stream with a scanner. Others decide when heartbeats are due and what they say, and send the bytes. Invariant:
// an EventSource reads from the downstream bytes, without the inserted ones, the same events, ids and retry values as from the
// upstream's (WHATWG HTML 9.2.6). At most three kinds of bytes are not passed on as they come: a byte order mark that is no longer at
// the start; the LF of a CRLF between whose bytes something was inserted; and, until the mark is decided, its first one or two bytes.
// CRLF that something was woven into, and, until it is decided, the first one or two bytes of a mark.

import Bytes
import Marks

/// Where the proxy may place something of its own in the downstream.
public enum Placement: Sendable, Equatable {
    /// No event is open: a comment with its blank line, or an event of the proxy, may stand here.
    case betweenEvents
    /// Only a bare comment line may stand here: an event is open, or a blank line would lose an id that the browser brought.
    case betweenLines
    /// A line is open: nothing may be inserted.
    case nowhere
}

/// Which of the received bytes go to the downstream: withheld bytes first, then the range.
public struct Forward: Sendable, Equatable {
    /// How many bytes of `Weaver.byteOrderMark`, from its first, go before the range: 0 to 2.
    public var withheldCount: Int
    /// The range of the received bytes that follows.
    public var range: Range<Int>

    init(withheldCount: Int, range: Range<Int>) {
        self.withheldCount = withheldCount
        self.range = range
    }
}

/// Inserts the proxy's comments and events into one upstream's event stream.
public struct Weaver: Sendable {
    /// The byte order mark in UTF-8, of which the first one or two bytes may be withheld.
    public static let byteOrderMark: (UInt8, UInt8, UInt8) = (0xEF, 0xBB, 0xBF)

    private enum State: UInt8 {
        /// All bytes so far may still be a byte order mark; `withheldCount` of them are withheld.
        case undecided
        case following
        case finished
    }

    /// The scanner that follows the upstream: events, last id, retry.
    public private(set) var scanner = EventScanner()

    /// How many LFs were dropped because something was inserted behind their CR. Modulo 2^32, because each idle stream has one, and eight
    /// bytes more are sixteen of its memory. For tests.
    public private(set) var swallowedLineFeedCount: UInt32 = 0

    private var state: State = .undecided
    private var withheldCount: UInt8 = 0
    private var hasDroppedMark = false
    /// Something was inserted before the upstream's first byte went on.
    private var startsWoven = false
    /// A blank line of the proxy would have an effect that no blank line of the upstream has had yet.
    private var guardsIdentifier: Bool
    /// Whether the browser came with a last event id.
    public let resumes: Bool
    /// Something was inserted directly behind a CR, so an LF that comes next is dropped.
    private var swallowsLineFeed = false

    /// A weaver at the start of an upstream's stream.
    ///
    /// - Parameter resumes: Whether the browser came with a `Last-Event-ID`. By WHATWG HTML 9.2.6 any blank line, also one that
    ///   dispatches nothing, sets the last event id to the stream's own, which is empty at first. Until the upstream's first blank line
    ///   the weaver therefore allows bare comments only, so that an early disconnect loses no id.
    public init(resumes: Bool = false) {
        self.resumes = resumes
        guardsIdentifier = resumes
    }

    /// How many bytes of a byte order mark were dropped because something was inserted before it: 0 or 3. For tests.
    public var droppedByteOrderMarkByteCount: Int { hasDroppedMark ? 3 : 0 }

    /// Where something may be inserted now, behind everything that went on so far.
    public var placement: Placement {
        let outsideEvents = guardsIdentifier ? Placement.betweenLines : .betweenEvents
        if state == .undecided {
            return outsideEvents
        }
        switch scanner.position {
        case .betweenEvents: return outsideEvents
        case .betweenLines: return .betweenLines
        case .insideLine: return .nowhere
        }
    }

    /// Whether a blank line follows a comment of the proxy here. No form allows one that would end an event or lose an id.
    public func takesBlankLine(_ form: CommentForm) -> Bool {
        placement == .betweenEvents && form.hasBlankLine(hasIdentifier: hasIdentifier)
    }

    /// Whether the client keeps an id: the stream has shown one, or the request brought it.
    public var hasIdentifier: Bool { resumes || scanner.hasSeenIdentifier }

    /// Whether no event is open. A stream that ends here loses no event.
    public var isBetweenEvents: Bool { state == .undecided || scanner.position == .betweenEvents }

    /// Takes the next bytes of the upstream and says which of them go on. Allocates nothing itself.
    ///
    /// Not to be called after `finish`.
    public mutating func receive(_ bytes: Span<UInt8>) -> Forward {
        precondition(state != .finished, "bytes of the upstream after its end")
        scanner.receive(bytes)
        if guardsIdentifier, scanner.lastBoundary != nil { guardsIdentifier = false }
        let count = bytes.count
        if state == .undecided {
            return receiveStart(bytes)
        }
        var start = 0
        if swallowsLineFeed, count > 0 {
            swallowsLineFeed = false
            if bytes[0] == lineFeed {
                Mark.reached(.lineFeedSwallowed)
                swallowedLineFeedCount &+= 1
                start = 1
            }
        }
        return Forward(withheldCount: 0, range: start..<count)
    }

    private mutating func receiveStart(_ bytes: Span<UInt8>) -> Forward {
        let count = bytes.count
        let withheldBefore = Int(withheldCount)
        var index = 0
        while index < count, withheldCount < 3, bytes[index] == Self.byteOfMark(withheldCount) {
            withheldCount &+= 1
            index &+= 1
        }
        if withheldCount < 3, index == count {
            if withheldCount > 0 { Mark.reached(.byteOrderMarkWithheld) }
            return Forward(withheldCount: 0, range: 0..<0)
        }
        let isMark = withheldCount == 3
        withheldCount = 0
        state = .following
        if isMark, startsWoven {
            Mark.reached(.byteOrderMarkDropped)
            hasDroppedMark = true
            return Forward(withheldCount: 0, range: index..<count)
        }
        if withheldBefore > 0 && !isMark { Mark.reached(.withheldBytesSent) }
        return Forward(withheldCount: withheldBefore, range: 0..<count)
    }

    /// The upstream has ended. Returns how many bytes of `byteOrderMark` were still withheld and go on now: 0 to 2.
    public mutating func finish() -> Int {
        let remaining = Int(withheldCount)
        withheldCount = 0
        state = .finished
        return remaining
    }

    /// The caller reports here that it inserted something where `placement` allowed it.
    public mutating func didWeave() {
        precondition(placement != .nowhere, "something was woven into an open line")
        if state == .undecided {
            startsWoven = true
        }
        if guardsIdentifier { Mark.reached(.identifierGuarded) }
        swallowsLineFeed = scanner.endsWithCarriageReturn
    }

    /// Places a heartbeat behind everything that went on so far. Returns its bytes, which the caller sends now; nil where a line is open.
    /// One call that changes the weaver, because calls that only read would copy it and count its references for each heartbeat.
    public mutating func weave(_ heartbeat: Heartbeat) -> [UInt8]? {
        let placement = self.placement
        guard placement != .nowhere else { return nil }
        didWeave()
        return heartbeat.bytes(at: placement, hasIdentifier: hasIdentifier)
    }

    private static func byteOfMark(_ index: UInt8) -> UInt8 {
        switch index {
        case 0: byteOrderMark.0
        case 1: byteOrderMark.1
        default: byteOrderMark.2
        }
    }
}

// What is known of one block of an event stream: what stands before a blank line, without its comments.
//
// A block is the unit of everything that keeps streams: stored, numbered, replayed and passed on whole. With data it is an event, without
// it a change of state. A block's facts are read once, where it is cut, and its bytes are never parsed again. Invariant: all ranges lie
// inside the block's normalised bytes.

/// The facts of one whole block.
package struct Block: Sendable, Equatable {
    /// What a block does to the last event id of a browser.
    package enum IdentifierEffect: Sendable, Equatable {
        /// The id stays as it is.
        case none
        /// The block sets an id.
        case set
        /// An `id` line without a value: the browser brings no id after it.
        case emptied
    }

    /// The block's normalised bytes, the blank line included: LF ends, no comments, no byte order mark, all other lines as they came.
    package internal(set) var byteCount: Int {
        @inline(__always) get { Int(shortByteCount) }
        @inline(__always) set { shortByteCount = UInt32(truncatingIfNeeded: newValue) }
    }
    // Each stream has a block in its cutter, so its numbers have 32 bits.
    private var shortByteCount: UInt32 = 0
    /// Whether the block has data, so that a browser dispatches an event. Without data the block only changes state.
    package internal(set) var hasData = false
    /// Whether the block is larger than the limit. Its bytes have been handed on in parts and are kept nowhere.
    package internal(set) var isOversized = false
    /// Whether a `retry` line takes effect.
    var hasRetry = false
    private var retry: UInt32 = 0
    private var identifierStart: UInt32 = 0
    private var identifierEnd: UInt32 = 0
    private var identifierLineStart: UInt32 = 0
    private var typeStart: UInt32 = 0
    private var typeEnd: UInt32 = 0
    /// How many `id` lines take effect. The last one counts.
    var identifierLineCount: UInt32 = 0

    /// What a browser that reads this block waits before it reconnects, at most 49 days; nil where the block does not say.
    package var retryMilliseconds: UInt64? { hasRetry ? UInt64(retry) : nil }

    /// What the block does to the last event id.
    package var identifierEffect: IdentifierEffect {
        identifierLineCount == 0 ? .none : identifierStart == identifierEnd ? .emptied : .set
    }

    /// The id's value in the block's bytes; empty without an id.
    package var identifier: Range<Int> { Int(identifierStart)..<Int(identifierEnd) }

    /// The line of the last id, with its line end.
    var identifierLine: Range<Int> { Int(identifierLineStart)..<Int(identifierEnd) &+ (identifierLineCount == 0 ? 0 : 1) }

    /// The event's type in the block's bytes; empty for a `message`.
    package var type: Range<Int> { Int(typeStart)..<Int(typeEnd) }

    /// Takes a line of the block into account. The line begins at `start` of the bytes, which are `shift` bytes before the block's own.
    @inline(__always)
    mutating func note(_ line: FieldLine, at start: Int, shift: Int) {
        switch line {
        case .data: hasData = true
        case .identifier(let value):
            identifierLineCount &+= 1
            identifierLineStart = UInt32(truncatingIfNeeded: start &+ shift)
            identifierStart = UInt32(truncatingIfNeeded: value.lowerBound &+ shift)
            identifierEnd = UInt32(truncatingIfNeeded: value.upperBound &+ shift)
        case .type(let value):
            typeStart = UInt32(truncatingIfNeeded: value.lowerBound &+ shift)
            typeEnd = UInt32(truncatingIfNeeded: value.upperBound &+ shift)
        case .retry(let milliseconds):
            hasRetry = true
            retry = UInt32(clamping: milliseconds)
        case .skipped, .other: break
        }
    }
}

// What a line that Heartwire itself writes may not hold, and the check for it.
//
// Shared by the writer and the heartbeat. Invariant: bytes that pass the check cannot end a line.

import Bytes

/// A text that cannot stand in one line of an event stream. The caller that gave the text is at fault.
public enum FieldError: Error, Sendable, Equatable {
    /// The part of an event or comment that a text was meant for.
    public enum Field: Sendable, Equatable {
        /// The value of an `event` line.
        case eventName
        /// The value of an `id` line.
        case id
        /// The text of a comment.
        case comment
    }

    /// A heartbeat event needs a name: without one it would reach the page as a message.
    case emptyEventName
    /// The text holds a CR, an LF or a NUL.
    case forbiddenByte(UInt8, in: Field)

    static func check(_ text: String, for field: Field) throws(FieldError) {
        for byte in text.utf8 where byte == 0 || byte == lineFeed || byte == carriageReturn {
            throw .forbiddenByte(byte, in: field)
        }
    }
}

// What a heartbeat says, made once for each route.
//
// When it is due and where it may stand are left to others. Invariant: its bytes end with a line end, hold no
// `id`, `retry` or byte order mark, and between the lines of an event they are one comment line.

/// The bytes of a heartbeat for each place where it may stand.
public struct Heartbeat: Sendable, Equatable {
    /// What a heartbeat is made of.
    public enum Kind: Sendable, Equatable {
        /// A comment, which no page script sees.
        case comment
        /// A named event with empty data, for pages that watch for silence themselves.
        case event(name: String)
        /// A comment and a named event.
        case both(name: String)
    }

    /// An empty comment and a blank line, which is what clients that split a stream at blank lines expect.
    private static let fullComment: [UInt8] = [0x3A, 0x0A, 0x0A]

    /// An empty comment line, which may stand behind any complete line.
    private static let bareComment: [UInt8] = [0x3A, 0x0A]

    private let fullForm: [UInt8]

    /// A heartbeat of this kind. `text` follows the colon of its comment, a space between them.
    ///
    /// Throws where the text or the event's name holds a CR, LF or NUL, or the name is empty. A kind without
    /// a comment uses the text nowhere.
    public init(_ kind: Kind, text: String = "") throws(FieldError) {
        try FieldError.check(text, for: .comment)
        var bytes: [UInt8] = []
        switch kind {
        case .comment:
            Self.appendComment(text, to: &bytes)
        case .event(let name):
            try Self.appendEvent(name, to: &bytes)
        case .both(let name):
            Self.appendComment(text, to: &bytes)
            try Self.appendEvent(name, to: &bytes)
        }
        bytes.append(Byte.lineFeed)
        fullForm = bytes
    }

    /// What wakes the page's `onopen` and intermediaries behind a response head: an empty comment, with a blank line where
    /// one may stand.
    public static func openingComment(at placement: Placement) -> [UInt8] {
        placement == .betweenEvents ? fullComment : bareComment
    }

    /// What to send there: between events the whole heartbeat, between the lines of an event a bare comment,
    /// nowhere nothing. The arrays are made beforehand; this allocates nothing.
    public func bytes(at placement: Placement) -> [UInt8] {
        switch placement {
        case .betweenEvents: fullForm
        case .betweenLines: Self.bareComment
        case .nowhere: []
        }
    }

    private static func appendComment(_ text: String, to bytes: inout [UInt8]) {
        bytes.append(Byte.colon)
        if !text.isEmpty {
            bytes.append(Byte.space)
            bytes.append(contentsOf: text.utf8)
        }
        bytes.append(Byte.lineFeed)
    }

    /// A `data` line without a value makes the data buffer one LF, which is not empty: the event is
    /// dispatched, and its data is the empty string (WHATWG HTML 9.2.6).
    private static func appendEvent(_ name: String, to bytes: inout [UInt8]) throws(FieldError) {
        guard !name.isEmpty else { throw .emptyEventName }
        try FieldError.check(name, for: .eventName)
        bytes.append(contentsOf: "event: ".utf8)
        bytes.append(contentsOf: name.utf8)
        bytes.append(contentsOf: "\ndata:\n".utf8)
    }
}

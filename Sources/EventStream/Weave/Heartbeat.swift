// What a heartbeat says, made once for each route.
//
// When it is due and where it may stand are left to others. Invariant: its bytes end with a line end, hold no
// `id`, `retry` or byte order mark, and between the lines of an event they are one comment line.

/// Whether a blank line follows a comment of the proxy's own between events. To an EventSource it is all the same; other
/// clients are of two kinds, and what is right for one breaks the other.
public enum CommentForm: Sendable, Equatable {
    /// A line alone once the client keeps an id, which the stream has shown or the request brought: there are clients that dispatch
    /// an empty event at each blank line from then on. Before that a block.
    case automatic
    /// A line alone, for clients that dispatch an event at every blank line.
    case line
    /// A line and a blank line, for clients that split the stream at blank lines and look only at the first line of each piece.
    case block

    /// Whether a blank line follows a comment between events.
    func hasBlankLine(hasIdentifier: Bool) -> Bool {
        switch self {
        case .automatic: !hasIdentifier
        case .line: false
        case .block: true
        }
    }
}

/// The bytes of a heartbeat for each place where it may stand. A class, because each heartbeat that is sent would count the references
/// of a struct's arrays.
public final class Heartbeat: Sendable {
    /// What a heartbeat is made of.
    public enum Kind: Sendable, Equatable {
        /// A comment, which no page script sees.
        case comment
        /// A named event with empty data, for pages that watch for silence themselves.
        case event(name: String)
        /// A comment and a named event.
        case both(name: String)
    }

    private let form: CommentForm
    /// The comment's line, which may stand behind any complete line.
    private let commentLine: [UInt8]
    /// The line and a blank line.
    private let commentBlock: [UInt8]
    /// What holds an event, and ends with a blank line; nil for a kind that is a comment alone.
    private let eventBlock: [UInt8]?

    /// A heartbeat of this kind. `text` follows the colon of each of its comments, a space between them.
    ///
    /// - Throws: Where the text or the event's name holds a CR, LF or NUL, or the name is empty.
    public init(_ kind: Kind, text: String = "", form: CommentForm = .automatic) throws(FieldError) {
        try FieldError.check(text, for: .comment)
        self.form = form
        commentLine = Array((text.isEmpty ? ":\n" : ": \(text)\n").utf8)
        commentBlock = commentLine + [Byte.lineFeed]
        var bytes: [UInt8] = []
        switch kind {
        case .comment: break
        case .event(let name): try Self.appendEvent(name, to: &bytes)
        case .both(let name):
            bytes += commentLine
            try Self.appendEvent(name, to: &bytes)
        }
        eventBlock = bytes.isEmpty ? nil : bytes + [Byte.lineFeed]
    }

    /// What wakes the page's `onopen` and intermediaries behind a response head, whatever the kind: a comment.
    public func openingComment(in weaver: Weaver) -> [UInt8] {
        weaver.takesBlankLine(form) ? commentBlock : commentLine
    }

    /// What to send now: between events the whole heartbeat, between the lines of an event a comment line, nowhere nothing.
    /// The arrays are made beforehand; this allocates nothing.
    ///
    /// - Parameter hasIdentifier: Whether the client keeps an id (`Weaver.hasIdentifier`).
    public func bytes(at placement: Placement, hasIdentifier: Bool) -> [UInt8] {
        switch placement {
        case .betweenEvents: eventBlock ?? (form.hasBlankLine(hasIdentifier: hasIdentifier) ? commentBlock : commentLine)
        case .betweenLines: commentLine
        case .nowhere: []
        }
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

// The bytes of a heartbeat, made once for each route.
//
// Others decide when a heartbeat is due and where it may stand. Invariant: its bytes end with a line end and hold no `id`, `retry` or
// byte order mark. Between the lines of an event they are one comment line.

import Bytes

/// Whether a blank line follows a comment of the proxy between events. An EventSource reads both forms alike. Other clients are of two
/// kinds, and each form breaks one of them.
public enum CommentForm: Sendable, Equatable {
    /// A line alone once the client keeps an id, from the stream or from the request: some clients then dispatch an empty event at each
    /// blank line. Before that a block.
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

/// The bytes of a heartbeat for each place where it may stand. A class: a struct's arrays would cost reference counting for each
/// heartbeat.
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
    /// The comment's line, which may follow any complete line.
    private let commentLine: [UInt8]
    /// The line and a blank line.
    private let commentBlock: [UInt8]
    /// The bytes with the event and its blank line; nil for a kind that is only a comment.
    private let eventBlock: [UInt8]?

    /// A heartbeat of this kind. `text` follows the colon of each of its comments, after a space.
    ///
    /// - Throws: Where the text or the event's name holds a CR, LF or NUL, or the name is empty.
    public init(_ kind: Kind, text: String = "", form: CommentForm = .automatic) throws(FieldError) {
        try FieldError.check(text, for: .comment)
        self.form = form
        commentLine = Array((text.isEmpty ? ":\n" : ": \(text)\n").utf8)
        commentBlock = commentLine + [lineFeed]
        var bytes: [UInt8] = []
        switch kind {
        case .comment: break
        case .event(let name): try Self.appendEvent(name, to: &bytes)
        case .both(let name):
            bytes += commentLine
            try Self.appendEvent(name, to: &bytes)
        }
        eventBlock = bytes.isEmpty ? nil : bytes + [lineFeed]
    }

    /// The comment right after a response head, whatever the kind. It makes the page's `onopen` fire and intermediaries pass the head
    /// on.
    public func openingComment(in weaver: Weaver) -> [UInt8] {
        weaver.takesBlankLine(form) ? commentBlock : commentLine
    }

    /// The bytes to send now: between events the whole heartbeat, between the lines of an event a comment line, otherwise nothing.
    /// Allocates nothing: the arrays exist already.
    ///
    /// - Parameter hasIdentifier: Whether the client keeps an id (`Weaver.hasIdentifier`).
    func bytes(at placement: Placement, hasIdentifier: Bool) -> [UInt8] {
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

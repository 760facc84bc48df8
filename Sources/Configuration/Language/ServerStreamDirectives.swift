// The directives of `route` blocks about the server's part of a kept stream: what happens when it is over and the client is still there.
//
// Invariant: as in ContinuityDirectives.swift; what a page could not see itself is never lost without a word to the operator.

/// How the servers' parts of a kept stream follow each other.
enum ServerStreamDirectives {
    /// The directives, all of which mean nothing without `history`.
    static let names = rows.map(\.directive.name)

    static let rows: [Row<RouteDraft>] = [
        .numberOrOff(
            "mask", \.continuity.continuity.maskMilliseconds, .milliseconds(100...DirectiveTable.hour),
            "For how long a server whose stream is over is asked again while the client's response goes on."),
        .list("greeting", "TYPE...", "Events that are dropped at the beginning of a stream that the server was asked for again.") {
            interpreter, word, draft in
            guard interpreter.isEventName(word) else { return }
            let greetings = draft.continuity.continuity.greetings
            guard !greetings.contains(word.text) else { return interpreter.error(word, "this type is named twice") }
            guard greetings.count < ContinuityDraft.mostNames else {
                return interpreter.error(word, "a route can name at most \(ContinuityDraft.mostNames) types here")
            }
            draft.continuity.continuity.greetings.append(word.text)
        },
    ]
}

extension Interpreter {
    /// Checks what was said about the server's part of kept streams when the whole block has been read.
    mutating func finishServerStreams(of draft: RouteDraft, _ said: [String: Statement]) {
        let continuity = draft.continuity.continuity
        guard continuity.maskMilliseconds != nil else {
            guard let greeting = said["greeting"]?.name else { return }
            // A 'mask' that could not be read has been reported.
            if said["mask"].map({ $0.arguments[0].text == "off" }) ?? true {
                error(greeting, "'greeting' means nothing without 'mask'; write, for example: mask 1m")
            }
            return
        }
        if let gap = said["gap"], continuity.gap == .off, !continuity.isResumable {
            warn(
                gap.arguments[0],
                "with 'mask' a page does not see that its server was away, and nothing tells it what it missed; write: gap event, or gap "
                    + "reconnect")
        }
    }
}

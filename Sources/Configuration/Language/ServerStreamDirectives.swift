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
        .own(
            "recycle", "DURATION overlap|break|off", arguments: 1...2, default: "off", quantity: recycleAge,
            "Before which age a server's stream is replaced by the next one, and whether the next one is opened first."
        ) { interpreter, statement, draft in
            interpreter.readRecycle(statement.arguments, into: &draft.continuity.continuity.recycle)
        },
    ]

    fileprivate static let recycleAge = Quantity.milliseconds(1_000...DirectiveTable.day)
}

extension Interpreter {
    fileprivate mutating func readRecycle(_ words: [Word], into recycle: inout Recycle?) {
        guard words[0].text != "off" else {
            if words.count > 1 { error(words[1], "nothing can follow 'recycle off'") }
            recycle = nil
            return
        }
        guard let age = read(ServerStreamDirectives.recycleAge, words[0]) else { return }
        guard words.count > 1 else {
            let text = words[0].text
            return error(words[0], "is the next stream opened first? Write: recycle \(text) overlap, or if not: recycle \(text) break")
        }
        guard let manner = choose(words[1], from: [("overlap", Recycle.Manner.overlap), ("break", .interrupt)]) else { return }
        recycle = Recycle(ageMilliseconds: age, manner: manner)
    }

    /// Checks what was said about the server's part of kept streams when the whole block has been read.
    mutating func finishServerStreams(of draft: RouteDraft, _ said: [String: Statement]) {
        let continuity = draft.continuity.continuity
        guard continuity.maskMilliseconds != nil else {
            // A 'mask' that could not be read has been reported.
            guard said["mask"].map({ $0.arguments[0].text == "off" }) ?? true else { return }
            if let greeting = said["greeting"]?.name {
                error(greeting, "'greeting' means nothing without 'mask'; write, for example: mask 1m")
            }
            if continuity.recycle != nil, let recycle = said["recycle"]?.name {
                error(recycle, "the next stream may not be there at once, so 'recycle' needs 'mask'; write, for example: mask 1m")
            }
            return
        }
        if continuity.recycle?.manner == .interrupt, continuity.gap == .reconnect, !continuity.isResumable,
            let manner = said["recycle"]?.arguments.last
        {
            warn(
                manner,
                "with 'break' there is a gap at each change, and with 'gap reconnect' each client then has to come back; write: gap event, "
                    + "or, where the servers send what follows Last-Event-ID, resumable on")
        }
        if let gap = said["gap"], continuity.gap == .off, !continuity.isResumable {
            warn(
                gap.arguments[0],
                "with 'mask' a page does not see that its server was away, and nothing tells it what it missed; write: gap event, or gap "
                    + "reconnect")
        }
    }
}

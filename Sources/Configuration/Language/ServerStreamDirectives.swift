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
        .own(
            "merge", "all [unique id|data DURATION]|off", arguments: 1...4, default: "off", quantity: repetition,
            "Whether a stream has the events of all servers, and for how long an event of one is dropped when another one has sent it."
        ) { interpreter, statement, draft in
            interpreter.readMerge(statement, into: &draft.continuity)
        },
    ]

    fileprivate static let recycleAge = Quantity.milliseconds(1_000...DirectiveTable.day)
    fileprivate static let repetition = Quantity.milliseconds(100...DirectiveTable.hour)
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

    fileprivate mutating func readMerge(_ statement: Statement, into draft: inout ContinuityDraft) {
        let words = statement.arguments
        guard let merges = choose(words[0], from: [("all", true), ("off", false)]) else { return }
        guard merges else {
            if words.count > 1 { error(words[1], "nothing can follow 'merge off'") }
            return
        }
        var merge = Merge()
        defer { (draft.continuity.merge, draft.merge) = (merge, statement.name) }
        guard words.count > 1, choose(words[1], from: [("unique", true)]) != nil else { return }
        guard words.count > 2 else {
            return error(words[1], "what do equal events have in common? Write, for example: merge all unique id 10s")
        }
        guard let mark = choose(words[2], from: [("id", Merge.Repetition.Mark.id), ("data", .data)]) else { return }
        guard words.count > 3 else {
            return error(words[2], "for how long is an event known? Write, for example: merge all unique \(words[2].text) 10s")
        }
        guard let time = read(ServerStreamDirectives.repetition, words[3]) else { return }
        merge.dropped = Merge.Repetition(mark, withinMilliseconds: time)
    }

    /// Checks what was said about the server's part of kept streams when the whole block has been read.
    mutating func finishServerStreams(of draft: RouteDraft, _ said: [String: Statement]) {
        let continuity = draft.continuity.continuity
        if draft.continuity.merge != nil, continuity.history.ids != .own, let ids = draft.continuity.idsWord {
            error(ids, "each server counts its events for itself, so with 'merge' clients get ids of the proxy; write: ids own")
        }
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

extension FileDraft {
    /// Warns of routes that merge the streams of one address.
    func checkMerging(_ interpreter: inout Interpreter) {
        // With errors in the file, a route may have no upstream.
        guard !interpreter.report.hasErrors else { return }
        for (draft, route) in zip(routes, configuration.routes) where draft.route.continuity != nil {
            let servers = configuration.upstreams[route.upstreamIndex].servers
            guard let word = draft.continuity.merge, servers.count == 1, servers[0].isUnix || AddressRange(servers[0].host) != nil else {
                continue
            }
            interpreter.warn(
                word,
                "this upstream has one address, so there is nothing to merge; write several, or a name that stands for all "
                    + "addresses")
        }
    }
}

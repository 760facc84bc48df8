// The directives of `route` blocks about the ends of tokens: what the clients of streams are told, and when.
//
// Invariant: as in Interpreter.swift; without `bearer_check` no end is known, and they mean nothing (CheckDirectives.swift).

enum ExpiryDirectives {
    private static let lead = Quantity.milliseconds(1_000...DirectiveTable.hour)

    static let rows: [Row<RouteDraft>] = [
        .own(
            "expired", "event [NAME]|status", arguments: 1...2, default: "event token_expired",
            "How an EventSource learns that the time of its token is over: by an event, or by a status."
        ) { interpreter, statement, draft in
            let words = statement.arguments
            guard let sendsEvent = interpreter.choose(words[0], from: [("event", true), ("status", false)]) else { return }
            guard words.count > 1 else {
                draft.check.check.expiry.eventName = sendsEvent ? ExpiryPolicy.defaultEventName : nil
                return
            }
            guard sendsEvent else { return interpreter.error(words[1], "nothing can follow 'expired status'") }
            if interpreter.isEventName(words[1]) { draft.check.check.expiry.eventName = words[1].text }
        },
        .own(
            "expiring", "DURATION [event [NAME]]|off", arguments: 1...3, default: "off", quantity: lead,
            "How long before the end of its token a stream warns its page, by an event."
        ) { interpreter, statement, draft in
            let words = statement.arguments
            guard words[0].text != "off" else {
                if words.count > 1 { interpreter.error(words[1], "nothing can follow 'expiring off'") }
                draft.check.check.expiry.warning = nil
                return
            }
            guard let milliseconds = interpreter.read(lead, words[0]) else { return }
            draft.check.check.expiry.warning = ExpiryPolicy.Warning(leadMilliseconds: milliseconds)
            guard words.count > 1, interpreter.choose(words[1], from: [("event", true)]) != nil, words.count > 2 else { return }
            if interpreter.isEventName(words[2]) { draft.check.check.expiry.warning?.eventName = words[2].text }
        },
    ]
}

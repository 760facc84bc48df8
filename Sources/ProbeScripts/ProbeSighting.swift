// How the proxy saw one stream of its endpoint: the answer to `PATH/seen?nonce=…`, as one line of text.

/// What the proxy knows of a stream that it played.
package struct ProbeSighting: Sendable, Equatable {
    /// When it ended, in milliseconds since the request; nil while it is open.
    package var endedAfterMilliseconds: Int64?
    /// Why, as the log names it.
    package var cause: String?
    /// On which side, as the log names it.
    package var side: String?
    /// How long nothing had been sent to the client when it ended; while it is open, until now.
    package var silenceMilliseconds: Int64
    /// How many items were sent.
    package var items: Int

    /// A sighting.
    package init(
        endedAfterMilliseconds: Int64? = nil, cause: String? = nil, side: String? = nil, silenceMilliseconds: Int64, items: Int
    ) {
        self.endedAfterMilliseconds = endedAfterMilliseconds
        self.cause = cause
        self.side = side
        self.silenceMilliseconds = silenceMilliseconds
        self.items = items
    }

    /// The line for a stream.
    package func line(nonce: String) -> String {
        var text = "nonce=\(nonce) items=\(items) silence=\(silenceMilliseconds)"
        if let endedAfterMilliseconds { text += " ended=\(endedAfterMilliseconds)" }
        if let cause { text += " cause=\(cause)" }
        if let side { text += " side=\(side)" }
        return text + "\n"
    }

    /// The line for a nonce that this process has not played, or no longer knows.
    package static func unknownLine(nonce: String) -> String { "nonce=\(nonce) unknown\n" }

    /// What an answer says. Outer nil: it is no answer about this nonce. Inner nil: the proxy does not know the nonce.
    package static func read(_ line: Substring, nonce: String) -> ProbeSighting?? {
        var values: [Substring: Substring] = [:]
        for word in line.prefix(512).split(whereSeparator: { $0 == " " || $0 == "\n" }) {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            values[parts[0]] = parts.count == 2 ? parts[1] : ""
        }
        guard values["nonce"].map({ $0 == nonce }) == true else { return nil }
        if values["unknown"] != nil { return .some(nil) }
        guard let items = values["items"].flatMap({ Int($0) }), let silence = values["silence"].flatMap({ Int64($0) }) else { return nil }
        let isWord = { (text: Substring) in text.utf8.allSatisfy { ($0 >= 0x61 && $0 <= 0x7A) || $0 == 0x5F } }
        return ProbeSighting(
            endedAfterMilliseconds: values["ended"].flatMap { Int64($0) }, cause: values["cause"].flatMap { isWord($0) ? String($0) : nil },
            side: values["side"].flatMap { isWord($0) ? String($0) : nil }, silenceMilliseconds: silence, items: items)
    }
}

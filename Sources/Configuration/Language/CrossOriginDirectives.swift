// The directives of `route` blocks for pages: which pages of other origins may read answers, whether they may send cookies, and how a
// page that opens a new EventSource names the last event that it has seen.
//
// Invariant: as in Interpreter.swift; without origins the server alone decides, and `allow_credentials` means nothing.

import Credentials

/// What pages may do.
enum CrossOriginDirectives {
    /// How many origins a list can have.
    private static let mostOrigins = 64

    static let rows: [Row<RouteDraft>] = [
        .list(
            "allow_origin", "ORIGIN...",
            "Pages of these other origins may read all answers of the route and use its cookies; pages of others may not."
        ) { interpreter, word, draft in
            interpreter.addOrigin(word, to: &draft.route.allowedOrigins)
        },
        .flag("allow_credentials", \.route.allowsCredentials, "Whether pages of `allow_origin` may send cookies."),
        .own(
            "last_event_id_from", "query NAME", arguments: 2...2, default: "(none)",
            "Turns a query parameter into the Last-Event-ID field."
        ) { interpreter, statement, draft in
            let words = statement.arguments
            guard interpreter.choose(words[0], from: [("query", true)]) != nil else { return }
            do throws(Malformed) { _ = try TokenSource.read(isQuery: true, name: words[1].text) } catch {
                return interpreter.error(words[1], error.message)
            }
            draft.route.eventIDParameter = words[1].text
        },
    ]

    fileprivate static func fault(of origin: OriginPattern, beside origins: [OriginPattern]) -> String? {
        if origins.contains(origin) { return "this origin is named twice" }
        return origins.count < mostOrigins ? nil : "a route can allow at most \(mostOrigins) origins"
    }
}

extension Interpreter {
    /// Reads one origin of a list.
    mutating func addOrigin(_ word: Word, to origins: inout [OriginPattern]) {
        do throws(Malformed) {
            let origin = try OriginPattern.read(word.text)
            if let fault = CrossOriginDirectives.fault(of: origin, beside: origins) { return error(word, fault) }
            origins.append(origin)
        } catch { self.error(word, error.message) }
    }

    /// Checks what was said about pages when the whole block has been read.
    mutating func finishCrossOrigin(of draft: RouteDraft, _ said: [String: Statement]) {
        if let name = draft.route.eventIDParameter, draft.bearer.sources.contains(.query(name: name)),
            let word = said["last_event_id_from"]?.arguments[1]
        {
            error(word, "this parameter is a token, as 'bearer_from' says")
        }
        guard said["allow_origin"] == nil, let word = said["allow_credentials"]?.name else { return }
        error(word, "'allow_credentials' means nothing without 'allow_origin'; write, for example: allow_origin https://app.example.com")
    }
}

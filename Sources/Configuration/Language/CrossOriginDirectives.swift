// The directives of `route` blocks for pages of other origins: which pages may read answers, and whether they may send cookies.
//
// Invariant: as in Interpreter.swift; without origins the server alone decides, and the other directive means nothing.

/// Pages of other origins.
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
    mutating func finishCrossOrigin(_ said: [String: Statement]) {
        guard said["allow_origin"] == nil, let word = said["allow_credentials"]?.name else { return }
        error(word, "'allow_credentials' means nothing without 'allow_origin'; write, for example: allow_origin https://app.example.com")
    }
}

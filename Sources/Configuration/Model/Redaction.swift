// Removes secrets from configuration lines and command-line words before they are shown.
//
// Invariant: the shown text holds nothing that follows the name of a secret directive, however both are spelt and joined. Of a URL or
// address it holds neither the user's name, nor the password, nor the query. Each is replaced by one mark, so that its length is not
// shown either.

import Bytes

enum Redaction {
    static let mark: Unicode.Scalar = "…"

    /// The names of algorithms are shorter.
    private static let leastKeyCharacters = 8
    /// No directives, but words of other programs, behind which people write a secret.
    private static let foreignNames: [[UInt8]] = ["client", "introspect", "password"].map { Array($0.utf8) }

    /// The names of secret directives.
    private static let secrets: [[UInt8]] = DirectiveTable.all.filter(\.isSecret).map { Array($0.name.utf8) }

    // MARK: A line of a file

    /// A line as it may be shown. Columns count from one in the written line; `column` converts them.
    struct Line {
        private(set) var text: String
        /// Whether the line seems to hold a login with a blank in it. Each word of such a login would be shown on its own.
        let hasDividedLogin: Bool
        private var moved: [(range: Range<Int>, count: Int)] = []
        /// The last column that may be pointed at.
        private let last: Int

        init(_ written: String) {
            let scalars = Array(written.unicodeScalars)
            // The text is UTF-16, in which the words cannot be recognised.
            guard !scalars.contains("\0") else {
                text = ""
                hasDividedLogin = false
                last = 0
                return
            }
            let end = secretStart(in: scalars) ?? scalars.count
            var shown: [Unicode.Scalar] = []
            var index = 0
            let groups = groups(of: scalars[..<end])
            hasDividedLogin = groups.count < words(of: scalars[..<end]).count
            for word in groups {
                guard let safe = withoutLogin(Array(scalars[word])) else { continue }
                shown += scalars[index..<word.lowerBound] + safe
                index = word.upperBound
                moved.append((word, safe.count))
            }
            shown += scalars[index..<end]
            last = shown.count
            if end < scalars.count { shown.append(mark) }
            text = moved.isEmpty && end == scalars.count ? written : string(shown)
        }

        /// Where a column of the written line is now. A hidden column is moved to where the hidden text began.
        func column(of written: Int) -> Int {
            var place = written - 1
            for (range, count) in moved where range.lowerBound < written - 1 {
                place -= written - 1 < range.upperBound ? written - 1 - range.lowerBound : range.count - count
            }
            return min(place, last) + 1
        }
    }

    /// Whether the value of a secret directive stands, by mistake, on the line after it.
    static func continuesOnNextLine(_ text: String) -> Bool {
        let scalars = Array(text.unicodeScalars)
        guard let name = secretName(in: scalars) else { return false }
        let value = withoutComment(scalars[name...])
        let rest = value.filter { !isBlank($0) && !isControl($0) }
        let written = words(of: value)
        let needed = DirectiveTable.all.first { $0.isSecret && text.contains($0.name) }?.argumentCount.lowerBound ?? 1
        let last = written.last.map { string(value[$0]) }
        if written.count < needed || last == "bearer" || last == "basic" { return true }
        if rest.allSatisfy({ "=:\\{".unicodeScalars.contains($0) }) || rest.last == "{" || rest.last == "\\" { return true }
        return rest.count(where: { $0 == "\"" }) % 2 == 1
    }

    /// Whether a line is empty, or a comment that names no secret directive. A secret may follow such lines.
    static func isPassedOver(_ text: String) -> Bool {
        let scalars = Array(text.unicodeScalars)
        guard let first = scalars.first(where: { !isControl($0) && $0 != " " }) else { return true }
        return first == "#" && !namesSecret(scalars)
    }

    /// What follows the name of a directive, up to a comment.
    private static func withoutComment(_ scalars: ArraySlice<Unicode.Scalar>) -> ArraySlice<Unicode.Scalar> {
        var isInsideQuotes = false
        var previous: Unicode.Scalar = " "
        for index in scalars.indices {
            let scalar = scalars[index]
            if scalar == "\"" { isInsideQuotes.toggle() }
            let beginsWord = isBlank(previous) || isControl(previous) || "=:\\{".unicodeScalars.contains(previous)
            if scalar == "#", !isInsideQuotes, beginsWord { return scalars[..<index] }
            previous = scalar
        }
        return scalars
    }

    /// The words of a line. A login with a blank in it counts as one word: from a word with a scheme or a colon to one with an `@`.
    private static func groups(of scalars: ArraySlice<Unicode.Scalar>) -> [Range<Int>] {
        var found: [Range<Int>] = []
        var start: Int?  // Where in `found` a login may have begun.
        var isComment = false
        for word in words(of: scalars) {
            let text = scalars[word].drop { $0 == "\"" }
            found.append(word)
            if text.elementsEqual("#".unicodeScalars) { isComment = true }
            guard !isComment, !text.starts(with: Upstream.Server.unixPrefix.unicodeScalars) else { continue }
            let hasScheme = String(String.UnicodeScalarView(text)).contains("://")
            if start == nil && text.contains(":") || hasScheme && text.contains("@") { start = found.count - 1 }
            guard text.contains("@"), let first = start, first < found.count - 1 else { continue }
            found[first...] = [found[first].lowerBound..<word.upperBound]
        }
        return found
    }

    /// The words of a line, quoted ones with their quotes.
    private static func words(of scalars: ArraySlice<Unicode.Scalar>) -> [Range<Int>] {
        var found: [Range<Int>] = []
        var start: Int?
        var isInsideQuotes = false
        for index in scalars.indices {
            if scalars[index] == "\"" { isInsideQuotes.toggle() }
            if isBlank(scalars[index]), !isInsideQuotes {
                if let start { found.append(start..<index) }
                start = nil
            } else if start == nil {
                start = index
            }
        }
        if let start { found.append(start..<scalars.endIndex) }
        return found
    }

    // MARK: A word

    /// A word, or a few, as a message may show it.
    static func word(_ text: String) -> String {
        let scalars = Array(text.unicodeScalars)
        if let end = secretStart(in: scalars) { return string(scalars[..<end] + [mark]) }
        return withoutLogin(scalars).map { string($0) } ?? text
    }

    /// The rest of a URL or address without its login and query; nil if it has neither.
    private static func withoutLogin(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar]? {
        let text = scalars.drop { $0 == "\"" }
        guard !text.starts(with: Upstream.Server.unixPrefix.unicodeScalars) else { return nil }
        let scheme = text.indices.dropLast(2).first { text[$0] == ":" && text[$0 + 1] == "/" && text[$0 + 2] == "/" }
        var start = scheme.map { $0 + 3 } ?? text.startIndex
        // Without a scheme, text before an `@` is a login only if it holds a password.
        let at = text.lastIndex(of: "@").flatMap { scheme != nil || text[..<$0].contains(":") ? $0 : nil }
        // A path with nothing in front of it belongs to a route or a file.
        let query = scheme != nil || text.first != "/" ? text[start...].firstIndex(of: "?") : nil
        if let at, at < start { start = text.startIndex }
        guard let query, query + 1 < text.endIndex else { return at.map { scalars[..<start] + [mark] + text[$0...] } }
        guard let at else { return scalars[...query] + [mark] }
        // It is unknown whether this is a password with a `?` in it or a query with an `@`, so both are hidden.
        return query < at ? scalars[..<start] + [mark] : scalars[..<start] + [mark] + text[at...query] + [mark]
    }

    // MARK: Secrets

    /// Whether the name of a secret directive, or a similar word, stands in a part of a line.
    static func namesSecret(_ scalars: some Sequence<Unicode.Scalar>) -> Bool { secretName(in: Array(scalars)) != nil }

    /// Where the secret begins, behind the name of a secret directive and whatever joins the two; nil if nothing follows.
    private static func secretStart(in scalars: [Unicode.Scalar]) -> Int? {
        guard let name = secretName(in: scalars) else { return nil }
        var start = name
        while start < scalars.count, isBlank(scalars[start]) || "=:".unicodeScalars.contains(scalars[start]) { start += 1 }
        return start < scalars.count ? start : nil
    }

    /// The end of the first name of a secret directive, or of a similar word.
    private static func secretName(in scalars: [Unicode.Scalar]) -> Int? {
        var isFirst = true
        var isKey = false
        var index = 0
        let isComment = scalars.first { !isControl($0) && !isBlank($0) } == "#"
        while index < scalars.count {
            let start = index
            var name: [UInt8] = []
            while index < scalars.count, let byte = nameByte(scalars[index]) {
                name.append(byte)
                index += 1
            }
            if !name.isEmpty {
                if let count = secretCount(in: name, isFirst: isFirst) { return start + count }
                // A key for HMAC is a secret, although `key` takes none.
                if isKey, name.starts(with: "hs".utf8) { return index }
                // Credentials follow the name of their scheme, whatever the directive in front of it is called.
                if !isFirst, !isComment, name.elementsEqual("bearer".utf8) || name.elementsEqual("basic".utf8) { return index }
                // Somebody who writes `key` means `sealing_key` where neither an algorithm nor a file follows.
                if isKey, isKeyText(scalars[start...]) { return start }
                isKey = isFirst && name.elementsEqual("key".utf8)
                isFirst = false
            }
            index += 1
        }
        return nil
    }

    /// Whether a text begins with a word that may be a whole key, or a part of one.
    private static func isKeyText(_ text: ArraySlice<Unicode.Scalar>) -> Bool {
        let word = text.prefix { !isBlank($0) && $0 != "\"" }
        return word.count >= leastKeyCharacters && !word.contains(".")
    }

    /// How many characters may be shown of a run of letters, digits, `-` and `_` that is or holds the name of a secret directive.
    private static func secretCount(in run: [UInt8], isFirst: Bool) -> Int? {
        // Somebody who writes only `secret`, or `jwt_secret`, means `shared_secret`. In other places the word may be a value itself.
        if isFirst, run.suffix(6).elementsEqual("secret".utf8) || foreignNames.contains(run) { return run.count }
        for secret in secrets {
            if let place = run.indices.first(where: { run[$0...].starts(with: secret) }) { return place + secret.count }
            if isNear(run, secret) { return run.count }
            // In a misspelt name with the secret right behind it, the end of the name is unknown.
            let lengths = max(1, secret.count - 3)...(secret.count + 3)
            if isFirst, lengths.contains(where: { $0 < run.count && isNear(Array(run[..<$0]), secret) }) {
                return zip(run, secret).prefix { $0 == $1 }.count
            }
        }
        return nil
    }

    private static func isNear(_ run: [UInt8], _ secret: [UInt8]) -> Bool {
        abs(run.count - secret.count) <= 3 && editDistance(run, secret) <= 3
    }

    /// A letter in lower case, a digit, or `_` for `_` and `-`; nil for any other character.
    private static func nameByte(_ scalar: Unicode.Scalar) -> UInt8? {
        guard let byte = UInt8(exactly: scalar.value) else { return nil }
        if isLetterOrDigit(byte) { return lowercased(byte) }
        return scalar == "_" || scalar == "-" ? UInt8(ascii: "_") : nil
    }

    private static func string(_ scalars: some Sequence<Unicode.Scalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }
}

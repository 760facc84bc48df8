// What may be shown of what was written in a configuration or on the command line.
//
// Invariant: what is shown holds nothing that follows the name of a secret directive, however both are spelt and joined, and of a
// URL neither the user's name, nor the password, nor the query. Each becomes one mark, so that its length is not shown either.

enum Redaction {
    static let mark: Unicode.Scalar = "…"

    /// The names of secret directives.
    private static let secrets: [[UInt8]] = DirectiveTable.all.filter(\.isSecret).map { Array($0.name.utf8) }

    // MARK: A line of a file

    /// A line as it may be shown. Columns, counted from one, are those of the line as it was written until `column` has moved them.
    struct Line {
        private(set) var text: String
        private var moved: [(range: Range<Int>, count: Int)] = []
        /// The last place that may be pointed at.
        private let last: Int

        init(_ written: String) {
            let scalars = Array(written.unicodeScalars)
            // Text in UTF-16, whose words would not be known.
            guard !scalars.contains("\0") else {
                text = ""
                last = 0
                return
            }
            let end = secretStart(in: scalars) ?? scalars.count
            var shown: [Unicode.Scalar] = []
            var index = 0
            for word in words(of: scalars[..<end]) {
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

        /// Where a column of the written line is now: what is hidden is pointed at where it began.
        func column(of written: Int) -> Int {
            var place = written - 1
            for (range, count) in moved where range.lowerBound < written - 1 {
                place -= written - 1 < range.upperBound ? written - 1 - range.lowerBound : range.count - count
            }
            return min(place, last) + 1
        }
    }

    /// Whether what a secret directive is to be set to stands, by mistake, on the line after it.
    static func continuesOnNextLine(_ text: String) -> Bool {
        let scalars = Array(text.unicodeScalars)
        guard let name = secretName(in: scalars) else { return false }
        let rest = scalars[name...].filter { !isBlank($0) && !isControl($0) }
        if rest.allSatisfy({ "=:\\{".unicodeScalars.contains($0) }) || rest.last == "{" || rest.last == "\\" { return true }
        return rest.count(where: { $0 == "\"" }) % 2 == 1
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

    /// A word, or a few, as a message may show them.
    static func word(_ text: String) -> String {
        let scalars = Array(text.unicodeScalars)
        if let end = secretStart(in: scalars) { return string(scalars[..<end] + [mark]) }
        return withoutLogin(scalars).map { string($0) } ?? text
    }

    /// What is left of a URL without its login and query; nil where there is nothing of the kind.
    private static func withoutLogin(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar]? {
        let text = scalars.drop { $0 == "\"" }
        guard !text.starts(with: "unix:".unicodeScalars) else { return nil }
        let scheme = text.indices.dropLast(2).first { text[$0] == ":" && text[$0 + 1] == "/" && text[$0 + 2] == "/" }
        var start = scheme.map { $0 + 3 } ?? text.startIndex
        var rest = text[start...]
        var isChanged = false
        var login: [Unicode.Scalar] = []
        // Without a scheme it is a login only where there is a password.
        if let at = text.lastIndex(of: "@"), scheme != nil || text[..<at].contains(":") {
            if at < start { start = text.startIndex }
            rest = text[at...]
            login = [mark]
            isChanged = true
        }
        if scheme != nil, let query = rest.firstIndex(of: "?") {
            rest = rest[...query] + [mark]
            isChanged = true
        }
        return isChanged ? scalars[..<start] + login + rest : nil
    }

    // MARK: Secrets

    /// Whether the name of a secret directive, or of what nearly is one, stands in a part of a line.
    static func namesSecret(_ scalars: some Sequence<Unicode.Scalar>) -> Bool { secretName(in: Array(scalars)) != nil }

    /// Where what must not be shown begins, behind the name of a secret directive and what joins the two; nil where nothing follows.
    private static func secretStart(in scalars: [Unicode.Scalar]) -> Int? {
        guard let name = secretName(in: scalars) else { return nil }
        var start = name
        while start < scalars.count, isBlank(scalars[start]) || "=:".unicodeScalars.contains(scalars[start]) { start += 1 }
        return start < scalars.count ? start : nil
    }

    /// The end of the first name of a secret directive, or of what nearly is one.
    private static func secretName(in scalars: [Unicode.Scalar]) -> Int? {
        var isFirst = true
        var index = 0
        while index < scalars.count {
            let start = index
            var name: [UInt8] = []
            while index < scalars.count, let byte = nameByte(scalars[index]) {
                name.append(byte)
                index += 1
            }
            if !name.isEmpty {
                if let count = secretCount(in: name, isFirst: isFirst) { return start + count }
                isFirst = false
            }
            index += 1
        }
        return nil
    }

    /// How much of a run of letters, digits, `-` and `_` may be shown, where it is or holds the name of a secret directive.
    private static func secretCount(in run: [UInt8], isFirst: Bool) -> Int? {
        for secret in secrets {
            if let place = run.indices.first(where: { run[$0...].starts(with: secret) }) { return place + secret.count }
            if isNear(run, secret) { return run.count }
            // A misspelt name with the secret right behind it: where the name ends cannot be known.
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

    /// A letter in lower case, a digit, or `_` for that and for `-`; nil for all else.
    private static func nameByte(_ scalar: Unicode.Scalar) -> UInt8? {
        switch scalar {
        case "a"..."z", "0"..."9", "_": UInt8(truncatingIfNeeded: scalar.value)
        case "A"..."Z": UInt8(truncatingIfNeeded: scalar.value) | 0x20
        case "-": UInt8(ascii: "_")
        default: nil
        }
    }

    private static func isBlank(_ scalar: Unicode.Scalar) -> Bool { scalar == " " || scalar == "\t" }

    private static func string(_ scalars: some Sequence<Unicode.Scalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }
}

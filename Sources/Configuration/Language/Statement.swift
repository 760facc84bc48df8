// Groups lines of words into statements and their blocks. The interpreter gives the names their meaning.
//
// Invariant: the depth is bounded, so that no file can exhaust the stack.

/// A directive as it was written.
struct Statement: Equatable {
    var name: Word
    var arguments: [Word]
    /// The statements between its braces; nil without braces.
    var block: [Statement]?

    /// How deep blocks may nest: the language itself needs few levels.
    static let maximumDepth = 4

    /// The statements of a file.
    static func gather(_ lines: [[Word]], report: inout Report) -> [Statement] {
        // The innermost open statement comes last. The first entry is the file itself, which has no statement.
        var open: [(statement: Statement?, body: [Statement])] = [(nil, [])]
        for words in lines {
            guard let first = words.first, let last = words.last else { continue }
            if first.closesBlock {
                if words.count > 1 { report.error(words[1], "a '}' stands alone on its line") }
                if open.count == 1 {
                    report.error(first, "this '}' closes nothing")
                } else {
                    close(&open)
                }
                continue
            }
            if let stray = words.dropLast().first(where: { $0.opensBlock || $0.closesBlock }) ?? (last.closesBlock ? last : nil) {
                let rule = stray.opensBlock ? "a '{' is the last word of its line" : "a '}' stands alone on its line"
                report.error(stray, "\(rule); inside a word, use quotes")
                // `a { b c }` on one line is balanced: its content is dropped, the lines after it are not.
                let depth = words.reduce(0) { $0 + ($1.opensBlock ? 1 : $1.closesBlock ? -1 : 0) }
                if depth <= 0 { continue }
            }
            let opens = last.opensBlock
            if opens, words.count == 1 {
                report.error(first, "this '{' follows no directive; it belongs on the directive's line")
            }
            let arguments = words.dropFirst().filter { !$0.opensBlock }
            let statement = Statement(name: first, arguments: Array(arguments), block: nil)
            guard opens || words.contains(where: \.opensBlock) else {
                open[open.count - 1].body.append(statement)
                continue
            }
            guard open.count <= maximumDepth else {
                report.error(last, "blocks are nested too deeply")
                return []
            }
            open.append((statement, []))
        }
        while open.count > 1 {
            if let statement = open[open.count - 1].statement {
                report.error(statement.name, "the block of \(quoted(statement.name.text)) is not closed")
            }
            close(&open)
        }
        return open[0].body
    }

    private static func close(_ open: inout [(statement: Statement?, body: [Statement])]) {
        let (statement, body) = open.removeLast()
        guard var statement else { return }
        statement.block = body
        // A lone brace was reported already; its contents cannot be interpreted without a directive.
        if !statement.name.opensBlock { open[open.count - 1].body.append(statement) }
    }
}

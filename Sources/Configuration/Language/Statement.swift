// Gathers lines of words into statements and their blocks; what the names mean is the interpreter's.
//
// Invariant: depth is bounded, so that no file, however strange, exhausts the stack.

/// A directive as it was written.
struct Statement: Equatable {
    var name: Word
    var arguments: [Word]
    /// What stands between its braces; nil where it has none.
    var block: [Statement]?

    /// Blocks in blocks in blocks: the language itself needs one level.
    static let maximumDepth = 4

    /// The statements of a file.
    static func gather(_ lines: [[Word]], report: inout Report) -> [Statement] {
        // The statement whose block is open comes last, the file itself, which has no statement, first.
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
                // `a { b c }` on one line is balanced; what is inside is lost, the lines after it are not.
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

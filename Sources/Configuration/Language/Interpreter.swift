// Turns statements into a configuration by the tables of directives (`Directive.swift`).
//
// It does not stop at the first error. Invariant: each error is reported exactly once, at its place, and a configuration is only
// returned if there was none.

struct Interpreter {
    /// The words of a switch.
    static let onOrOff = [("on", true), ("off", false)]

    var report: Report

    init(report: Report) { self.report = report }

    // MARK: Any block

    /// Finds the row of each statement, checks the number of arguments and whether there is a block, and lets the row read them.
    ///
    /// - Returns: The last well-formed statement of each directive, by its name, for directives that depend on each other.
    @discardableResult
    mutating func interpret<Model: DirectiveModel>(_ statements: [Statement]?, into model: inout Model) -> [String: Statement] {
        var seen: [String: Word] = [:]
        var said: [String: Statement] = [:]
        for statement in statements ?? [] {
            guard let row = find(statement.name, in: Model.rows) else { continue }
            let directive = row.directive
            if !directive.isRepeatable, let first = seen[directive.name] {
                report.error(statement.name, "'\(directive.name)' is already said on line \(first.line)")
                continue
            }
            seen[directive.name] = statement.name
            guard isWellFormed(statement, directive) else { continue }
            said[directive.name] = statement
            row.read(&self, statement, &model)
        }
        return said
    }

    private mutating func find<Model: DirectiveModel>(_ name: Word, in rows: [Row<Model>]) -> Row<Model>? {
        if !name.isQuoted, let row = rows.first(where: { $0.directive.name == name.text }) { return row }
        guard !report.isFull else {
            report.error(name, "unknown directive")
            return nil
        }
        let scope = Model.scope
        let homes = DirectiveTable.all.filter { $0.name == name.text && $0.scope != scope }.map(\.scope.phrase)
        if !homes.isEmpty {
            report.error(name, "'\(name.text)' belongs \(homes.joined(separator: " or ")), not \(scope.phrase)")
            return nil
        }
        if report.isSecret(name.line) {
            report.error(name, "what belongs to the directive above stands on that directive's line")
            return nil
        }
        let known = rows.map(\.directive.name)
        var hint = suggestion(for: name.text, in: known)
        if hint.isEmpty { hint = "; known here: \(known.joined(separator: ", "))" }
        report.error(name, "unknown directive \(quoted(name.text)) \(scope.phrase)\(hint)")
        return nil
    }

    private mutating func isWellFormed(_ statement: Statement, _ directive: Directive) -> Bool {
        let count = statement.arguments.count
        let usage = "write: \(directive.name)\(directive.syntax.isEmpty ? "" : " \(directive.syntax)")"
        if count < directive.argumentCount.lowerBound {
            report.error(statement.name, "'\(directive.name)' needs more; \(usage)")
            return false
        }
        if count > directive.argumentCount.upperBound {
            report.error(
                statement.arguments[directive.argumentCount.upperBound],
                "this is one word too many for '\(directive.name)'; \(usage)")
            return false
        }
        if directive.block == .required, statement.block == nil {
            report.error(statement.name, "'\(directive.name)' needs a block; \(usage)")
            return false
        }
        if directive.block == .none, statement.block != nil {
            report.error(statement.name, "'\(directive.name)' has no block; \(usage)")
            return false
        }
        return true
    }

    /// Reads a number with its unit; nil after an error.
    mutating func read(_ quantity: Quantity, _ word: Word) -> Int? {
        do throws(Quantity.Failure) { return try quantity.read(word.text) } catch {
            report.error(word, error.message)
            return nil
        }
    }

    /// Reads one of a few words; nil after an error.
    mutating func choose<Value>(_ word: Word, from choices: [(String, Value)]) -> Value? {
        if let found = choices.first(where: { $0.0 == word.text }) { return found.1 }
        let known = choices.map(\.0)
        report.error(
            word, "\(quoted(word.text)) is none of \(known.joined(separator: ", "))\(suggestion(for: word.text, in: known))")
        return nil
    }

    mutating func error(_ word: Word, _ message: String) { report.error(word, message) }

    mutating func warn(_ word: Word, _ message: String) { report.warning(word, message) }
}

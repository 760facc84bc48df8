// Collects the errors of one file while it is read.
//
// Invariant: the number of stored errors is bounded, however bad the file is.

struct Report {
    static let maximumDiagnostics = 1_000

    let fileName: String
    /// The lines of the file, from the first on.
    var sourceLines: [String] = []
    private(set) var diagnostics: [ConfigurationDiagnostic] = []

    init(fileName: String) { self.fileName = fileName }

    /// How many errors there were, those that were not stored included. Warnings do not count.
    private(set) var errorCount = 0
    /// Whether there was an error.
    var hasErrors: Bool { errorCount > 0 }

    /// Whether nothing more is stored. Messages need not be composed then.
    var isFull: Bool { diagnostics.count >= Report.maximumDiagnostics }

    /// The diagnostics in the order of the file.
    var sorted: [ConfigurationDiagnostic] {
        diagnostics.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
    }

    mutating func add(
        _ severity: ConfigurationDiagnostic.Severity, line: Int, column: Int, _ message: String
    ) {
        if severity == .error { errorCount += 1 }
        guard !isFull else { return }
        let source = shown(line)
        let message =
            source?.hasDividedLogin == true
            ? "this line cannot be read, and its words are not repeated: it seems to hold a login with a blank in it" : message
        diagnostics.append(
            ConfigurationDiagnostic(
                severity: severity, fileName: fileName, line: line, column: column, message: message,
                sourceLine: source?.text ?? "", sourceColumn: source?.column(of: column) ?? 1))
    }

    mutating func error(_ word: Word, _ message: String) {
        add(.error, line: word.line, column: word.column, message)
    }

    mutating func warning(_ word: Word, _ message: String) {
        add(.warning, line: word.line, column: word.column, message)
    }

    // MARK: Secrets

    /// The line that was shown last. A bad line often has more than one mistake.
    private var shownLine: (number: Int, line: Redaction.Line?)?

    /// A line as it may be shown; nil if no line is shown.
    private mutating func shown(_ number: Int) -> Redaction.Line? {
        guard sourceLines.indices.contains(number - 1) else { return nil }
        if let shownLine, shownLine.number == number { return shownLine.line }
        let line = isSecret(number) ? nil : Redaction.Line(sourceLines[number - 1])
        shownLine = (number, line)
        return line
    }

    /// Whether each line is secret, from the first line to the last one requested.
    private var secrecy: [Bool] = []
    /// Whether the line after those is secret.
    private var nextIsSecret = false

    /// Whether a line holds, by mistake, the value of the secret directive in front of it. Each line is read once, because a file may
    /// have many mistakes after many comments.
    mutating func isSecret(_ number: Int) -> Bool {
        guard sourceLines.indices.contains(number - 1) else { return false }
        for text in sourceLines[min(secrecy.count, number)..<number] {
            secrecy.append(nextIsSecret)
            if !Redaction.isPassedOver(text) { nextIsSecret = Redaction.continuesOnNextLine(text) }
        }
        return secrecy[number - 1]
    }
}

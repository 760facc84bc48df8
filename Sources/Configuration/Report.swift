// Collects what is wrong with one file while it is read.
//
// Invariant: however bad the file, the number of things remembered is bounded.

struct Report {
    static let maximumDiagnostics = 1_000

    let fileName: String
    /// The lines of the file, from the first on.
    var sourceLines: [String] = []
    private(set) var diagnostics: [ConfigurationDiagnostic] = []

    init(fileName: String) { self.fileName = fileName }

    /// Whether there was an error, even one too many to be remembered.
    private(set) var hasErrors = false

    /// The diagnostics in the order of the file.
    var sorted: [ConfigurationDiagnostic] {
        diagnostics.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
    }

    mutating func add(
        _ severity: ConfigurationDiagnostic.Severity, line: Int, column: Int, _ message: String
    ) {
        if severity == .error { hasErrors = true }
        guard diagnostics.count < Report.maximumDiagnostics else { return }
        let source = line >= 1 && line <= sourceLines.count ? sourceLines[line - 1] : ""
        diagnostics.append(
            ConfigurationDiagnostic(
                severity: severity, fileName: fileName, line: line, column: column, message: message,
                sourceLine: Report.withoutSecrets(source)))
    }

    mutating func error(_ word: Word, _ message: String) {
        add(.error, line: word.line, column: word.column, message)
    }

    mutating func warning(_ word: Word, _ message: String) {
        add(.warning, line: word.line, column: word.column, message)
    }

    /// A line in which whatever follows the name of a secret directive, or of one misspelt, is hidden.
    private static func withoutSecrets(_ line: String) -> String {
        let scalars = line.unicodeScalars
        let start = scalars.firstIndex { $0 != " " && $0 != "\t" } ?? scalars.endIndex
        let end = scalars[start...].firstIndex { $0 == " " || $0 == "\t" } ?? scalars.endIndex
        let name = String(scalars[start..<end])
        let secrets = DirectiveTable.all.filter(\.isSecret).map(\.name)
        guard nearestWord(to: name, in: secrets) != nil else { return line }
        var result = String.UnicodeScalarView(scalars[..<end])
        for scalar in scalars[end...] { result.append(scalar == " " || scalar == "\t" ? scalar : "*") }
        return String(result)
    }
}

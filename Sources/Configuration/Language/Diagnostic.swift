// An error or warning about a configuration: where, what, and what was probably meant.
//
// Invariant: the shown text holds no control character of the file, nothing that follows a secret directive (`fingerprint_key`) and no
// login of a URL (Redaction.swift), because these texts end in terminals, tickets and logs.

/// One error or warning about a configuration.
package struct ConfigurationDiagnostic: Sendable, Equatable, CustomStringConvertible {
    /// Whether the configuration can be used in spite of it.
    package enum Severity: Sendable, Equatable {
        /// The configuration cannot be used.
        case error
        /// The configuration can be used, but probably does not say what was meant.
        case warning
    }

    /// Whether the configuration can be used in spite of it.
    package var severity: Severity
    /// The name of the file, as it was given.
    package var fileName: String
    /// The line, counted from one.
    package var line: Int
    /// The column, counted from one in characters (Unicode scalars; a tab is one).
    package var column: Int
    /// What is wrong, in one line.
    package var message: String
    /// The line itself, without secrets. Empty if it is not shown.
    package var sourceLine: String
    /// Where `column` is in `sourceLine`.
    var sourceColumn: Int

    /// `file:line:column: message`, the line, and a caret under the column.
    package var description: String {
        let label = severity == .warning ? "warning: " : ""
        let head = "\(printable(fileName)):\(line):\(column): \(label)\(printable(message))"
        let (shown, caret) = window()
        return shown.isEmpty ? head : "\(head)\n    \(shown)\n    \(caret)"
    }

    /// The part of a long line around the column, and the caret below it; tabs are kept so that the two align.
    private func window() -> (String, String) {
        let widest = 140
        let scalars = Array(sourceLine.unicodeScalars)
        let place = min(max(sourceColumn - 1, 0), scalars.count)
        let start = scalars.count > widest ? max(0, min(place - widest / 2, scalars.count - widest)) : 0
        var shown = String.UnicodeScalarView()
        var caret = String.UnicodeScalarView()
        for index in start..<min(scalars.count, start + widest) {
            let scalar = scalars[index]
            let isTab = scalar == "\t"
            shown.append(isTab ? "\t" : isControl(scalar) ? "\u{FFFD}" : scalar)
            if index < place { caret.append(isTab ? "\t" : " ") }
        }
        caret.append("^")
        return (String(shown), String(caret))
    }
}

/// All errors of one configuration, in the order of the file.
package struct ConfigurationErrors: Error, Sendable, Equatable, CustomStringConvertible {
    /// The errors, and the warnings among them; never empty.
    package var diagnostics: [ConfigurationDiagnostic]

    /// The text for the operator: every diagnostic, as long as they are few enough to read.
    package var description: String {
        let shown = diagnostics.prefix(30).map(\.description).joined(separator: "\n")
        let rest = diagnostics.count - 30
        return rest > 0 ? "\(shown)\n... and \(rest) more" : shown
    }
}

/// Whether a character could move a terminal's cursor, change its colours, or reverse its writing.
func isControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7f..<0xa0, 0x2028...0x202e, 0x2066...0x2069, 0xfeff: true
    default: false
    }
}

/// A text with control characters replaced, so that it is one line wherever it is shown.
func printable(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars { result.append(isControl(scalar) ? "\u{FFFD}" : scalar) }
    return String(result)
}

/// The written text between quotes, without secrets, and cut if it is too long.
func quoted(_ written: String) -> String {
    let text = Redaction.word(written)
    return text.unicodeScalars.count > 60 ? "'\(String(text.unicodeScalars.prefix(57)))...'" : "'\(text)'"
}

// What the tests of this target share.

import Testing

@testable import Configuration

/// Parses a text; environment variables come from the dictionary.
func parse(_ text: String, environment: [String: String] = [:]) throws(ConfigurationErrors) -> ConfigurationFile.Parsed {
    try ConfigurationFile.parse(Array(text.utf8), fileName: "test.conf") { environment[$0] }
}

/// The diagnostics of a text that must be refused.
func diagnostics(
    _ text: String, environment: [String: String] = [:], sourceLocation: SourceLocation = #_sourceLocation
) -> [ConfigurationDiagnostic] {
    do throws(ConfigurationErrors) {
        _ = try parse(text, environment: environment)
        Issue.record("this was accepted:\n\(text)", sourceLocation: sourceLocation)
        return []
    } catch { return error.diagnostics }
}

/// `line:column message` of each diagnostic.
func brief(_ all: [ConfigurationDiagnostic]) -> [String] { all.map { "\($0.line):\($0.column) \($0.message)" } }

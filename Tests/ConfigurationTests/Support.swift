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

/// A small generator whose whole course follows from its seed (splitmix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}

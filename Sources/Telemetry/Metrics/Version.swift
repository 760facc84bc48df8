// The program's version, as the command line and the metrics tell it.

/// The version of the program.
package enum Version {
    /// Three numbers, by semantic versioning.
    package static let number = "0.1.0"

    /// The commit that the program was built from, where `git archive` wrote it here: 40 hexadecimal digits.
    private static let commit = "$Format:%H$"

    /// The number, and the beginning of the commit where it is known: `0.1.0 (0123456789ab)`.
    package static var description: String { commit.contains(":") ? number : "\(number) (\(commit.prefix(12)))" }
}

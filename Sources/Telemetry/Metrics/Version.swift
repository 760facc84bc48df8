// The program's version, as the command line and the metrics tell it.

/// The version of the program.
package enum Version {
    /// Three numbers, by semantic versioning.
    package static let number = "0.1.0"
}

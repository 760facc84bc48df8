// Where a route's streams are recorded, and how much of them is kept.

/// A directory of recordings and its bounds.
package struct RecordingPolicy: Sendable, Hashable {
    /// The directory. It is made if there is none.
    package var directory: String
    /// How large a recording may become, in bytes.
    package var fileBytes = 16 << 20
    /// How large all recordings of the directory may become, in bytes.
    package var totalBytes = 1 << 30
    /// How many recordings the directory may hold.
    package var files = 1_000
    /// How long a recording may run, and how long it is kept after that, in milliseconds.
    package var ageMilliseconds = 604_800_000

    /// A directory with the documented bounds (conf/README.md).
    package init(directory: String) { self.directory = directory }
}

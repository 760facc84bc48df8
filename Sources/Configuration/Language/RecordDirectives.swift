// The directives of the `record` blocks of routes: how much a directory of recordings may hold.

extension RecordingPolicy: DirectiveModel {
    static var scope: Scope { .record }
    static var defaults: RecordingPolicy { RecordingPolicy(directory: "") }

    static let rows: [Row<RecordingPolicy>] = [
        .number("file_size", \.fileBytes, .bytes(65_536...1_073_741_824), "How large a recording may become; then it ends."),
        .number(
            "total_size", \.totalBytes, .bytes(1_048_576...1_099_511_627_776),
            "How large all recordings of the directory may become; then the oldest go."),
        .number("files", \.files, .count(1...100_000), "How many recordings the directory may hold; then the oldest go."),
        .number(
            "age", \.ageMilliseconds, .milliseconds(60_000...365 * DirectiveTable.day),
            "How long a recording may run, and how long it is kept after its last line."),
    ]
}

// The `openssl` program, by which tests make certificates.

import Foundation

/// Starts `openssl` and waits for it.
package enum OpenSSLProgram {
    /// A new folder for the files of one group of tests.
    package static func makeFolder(_ name: String) -> String {
        let folder = NSTemporaryDirectory() + "heartwire-\(name)-\(UUID().uuidString)"
        try! FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        return folder
    }

    /// Ends the test run with what `openssl` said where it fails.
    package static func run(_ arguments: String...) { run(arguments) }

    /// Ends the test run with what `openssl` said where it fails.
    ///
    /// It is not started by Foundation's `Process`, which has been seen to crash while other tests run.
    package static func run(_ arguments: [String]) {
        let words = ["/usr/bin/openssl"] + arguments
        var pointers = words.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        let problems = NSTemporaryDirectory() + "heartwire-openssl-\(UUID().uuidString)"
        defer { unlink(problems) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, problems, O_WRONLY | O_CREAT, 0o600)
        var process = pid_t()
        var status: Int32 = -1
        precondition(posix_spawn(&process, words[0], &actions, nil, &pointers, environ) == 0, "openssl cannot be started")
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        let text = FileManager.default.contents(atPath: problems).map { String(decoding: $0, as: UTF8.self) } ?? ""
        precondition(status == 0, "openssl \(arguments.joined(separator: " ")): \(text)")
    }
}

// The configuration language, from text to value; conf/README.md describes the language.
//
// `parse` is pure: the environment comes through a closure, and `load` reads the file. Invariant: no bytes, however malformed, make it
// trap, and all errors are found at once.

import Glibc

/// Reads texts in the configuration language.
package enum ConfigurationFile {
    /// A configuration and its warnings.
    package struct Parsed: Sendable, Equatable {
        /// The configuration, complete and consistent.
        package var configuration: Configuration
        /// Warnings about what may not be meant as it is written, in the order of the file.
        package var warnings: [ConfigurationDiagnostic]
    }

    /// Why a file could not be read at all; the description is one line for the operator.
    package struct Unreadable: Error, Sendable, Equatable, CustomStringConvertible {
        /// One line for the operator, with the file's name.
        package var description: String
    }

    /// Turns a text into a configuration.
    ///
    /// - Parameters:
    ///   - bytes: The text, UTF-8, at most 1 MiB.
    ///   - fileName: The name that messages show.
    ///   - environment: The value of an environment variable, or nil where it is not set.
    /// - Throws: All errors that the text has, with their places.
    package static func parse(
        _ bytes: [UInt8], fileName: String, environment: @escaping (String) -> String?
    ) throws(ConfigurationErrors) -> Parsed {
        var (lines, report) = Lexer.words(of: bytes, fileName: fileName, environment: environment)
        let statements = Statement.gather(lines, report: &report)
        var interpreter = Interpreter(report: report)
        let configuration = interpreter.interpretFile(statements)
        guard !interpreter.report.hasErrors else {
            throw ConfigurationErrors(diagnostics: interpreter.report.sorted)
        }
        return Parsed(configuration: configuration, warnings: interpreter.report.sorted)
    }

    /// The bytes of a file, for `parse`. It reads no more than one byte past the limit, which `parse` then reports.
    package static func load(path: String, on occasion: OperatorFile.Occasion = .start) throws(Unreadable) -> [UInt8] {
        do { return try load(path, on: occasion, patienceMilliseconds: OperatorFile.patienceMilliseconds) } catch {
            throw Unreadable(description: "cannot read the configuration file '\(printable(path))': \(error.reason)")
        }
    }

    static func load(
        _ path: String, on occasion: OperatorFile.Occasion, patienceMilliseconds: Int32
    ) throws(OperatorFile.Failure) -> [UInt8] {
        let (descriptor, isPlain) = try OperatorFile.open(path, on: occasion)
        defer { _ = close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= Lexer.maximumBytes {
            if !isPlain { try OperatorFile.wait(for: descriptor, milliseconds: patienceMilliseconds) }
            let count = read(descriptor, &chunk, chunk.count)
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR || errno == EAGAIN { continue }
                throw .last
            }
            bytes.append(contentsOf: chunk[..<count])
        }
        return bytes
    }

    /// The value of a variable in the environment of this process, for `parse`.
    package static func processEnvironment(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }
}

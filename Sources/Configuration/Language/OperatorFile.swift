// Checks a file that the operator names before it is read: a file that could block the reader, or that never ends, is refused.
// Invariant: a running proxy waits for no file.

import Glibc

/// What is known about a file without reading it.
package enum OperatorFile {
    /// When a file is read.
    package enum Occasion: Sendable {
        /// Before anything else happens: a pipe is waited for, as in `--config <(…)`.
        case start
        /// While the proxy serves: it must not wait, and a pipe that was read once is empty.
        case reload
    }

    /// After how long without data a pipe is given up.
    static let patienceMilliseconds: Int32 = 30_000
    private static let largestBytes = 16 << 20

    /// Why a file must not be opened by code that reads any file to its end; nil if it may, or if opening it will show the error. A
    /// pipe could block such code without limit, also at the start, when no signal is handled yet.
    package static func objection(to path: String) -> String? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        if let objection = objection(to: status.st_mode, on: .reload) { return objection }
        let isTooLarge = status.st_mode & S_IFMT == S_IFREG && Int(status.st_size) > largestBytes
        return isTooLarge ? "it is larger than \(Quantity.bytes(0...1).text(largestBytes))" : nil
    }

    /// Why a file cannot be read, in a few words.
    package struct Unreadable: Error {
        /// In the system's words, or the proxy's own.
        package let reason: String
    }

    /// The content of a small file: regular, at once, at most as large as a configuration may be.
    package static func content(of path: String) throws(Unreadable) -> [UInt8] {
        do throws(Failure) { return try ConfigurationFile.load(path, on: .reload, patienceMilliseconds: 0) } catch {
            throw Unreadable(reason: error.reason)
        }
    }

    /// Reads a regular file of any size piece by piece, until `take` returns false. Returns why it cannot be read; nil if it was.
    package static func readPieces(of path: String, _ take: (Span<UInt8>) -> Bool) -> String? {
        do {
            let (descriptor, _) = try open(path, on: .reload)
            defer { close(descriptor) }
            var piece = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = read(descriptor, &piece, piece.count)
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else { throw Failure.last }
                if count == 0 || !take(piece.span.extracting(first: count)) { return nil }
            }
        } catch let failure as Failure { return failure.reason } catch { return "\(error)" }
    }

    /// Opens a file without waiting for a writer. `isPlain` says whether the whole content is there.
    static func open(_ path: String, on occasion: Occasion) throws(Failure) -> (descriptor: Int32, isPlain: Bool) {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw .last }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            defer { close(descriptor) }
            throw .last
        }
        if let objection = objection(to: status.st_mode, on: occasion) {
            close(descriptor)
            throw Failure(reason: objection)
        }
        return (descriptor, status.st_mode & S_IFMT == S_IFREG)
    }

    /// Waits until a pipe has data or has ended.
    static func wait(for descriptor: Int32, milliseconds: Int32) throws(Failure) {
        var events = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        var outcome: Int32 = -1
        repeat { outcome = poll(&events, 1, milliseconds) } while outcome < 0 && errno == EINTR
        if outcome < 0 { throw .last }
        if outcome == 0 { throw Failure(reason: "nothing came within \(milliseconds / 1000) s") }
    }

    private static func objection(to mode: mode_t, on occasion: Occasion) -> String? {
        switch mode & S_IFMT {
        case S_IFREG: nil
        case S_IFDIR: Failure(EISDIR).reason
        case S_IFIFO where occasion == .start: nil
        case S_IFIFO: "it is a pipe, and cannot be read again"
        // A terminal on which somebody types, or /dev/null.
        case S_IFCHR where occasion == .start: nil
        default: "it is no regular file"
        }
    }

    /// Why a file cannot be read, in a few words.
    struct Failure: Error {
        let reason: String

        init(reason: String) { self.reason = reason }
        init(_ number: Int32) { reason = String(cString: strerror(number)) }
        static var last: Failure { Failure(errno) }
    }
}

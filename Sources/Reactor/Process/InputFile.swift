// A file that is read once from its beginning to its end, for commands that read logs: plain, compressed with gzip, or standard input.
// Invariant: no file is written or locked, and no process outlives the reading of its file.

import CLinux
import Glibc

/// A file that a command reads.
public final class InputFile {
    /// Why it cannot be read.
    public enum Failure: Error, Equatable {
        /// The system's own error.
        case system(SystemError)
        /// The program that unpacks it has ended with an error. The text says how.
        case unpacking(String)
    }

    /// Which file it is, under whatever name.
    public struct Identity: Hashable, Sendable {
        private let device: UInt64
        private let node: UInt64

        fileprivate init(_ status: stat) {
            device = UInt64(status.st_dev)
            node = UInt64(status.st_ino)
        }
    }

    private static let gzipMagic: (UInt8, UInt8) = (0x1F, 0x8B)

    private let file: Int32
    /// Where the bytes come from: the file itself, or the pipe of the program that unpacks it.
    private var source: Int32
    private var unpacker: pid_t?
    /// How large the file is, unpacked or not; nil where nobody knows, as of a pipe.
    public let byteCount: Int?
    /// The same for two names of one file, as links are; nil for what is no plain file.
    public let identity: Identity?
    private let kind: mode_t
    private var isBeginningKnown = false

    /// Opens a file; `-` is standard input. What begins as gzip writes it is unpacked by the system's `gzip`, from a pipe too.
    public init(path: String) throws(Failure) {
        file = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
        guard file >= 0 else { throw .system(.last) }
        source = file
        var status = stat()
        kind = fstat(file, &status) == 0 ? status.st_mode & S_IFMT : 0
        let isPlain = kind == S_IFREG
        byteCount = isPlain ? Int(status.st_size) : nil
        identity = isPlain ? Identity(status) : nil
    }

    deinit {
        if source != file { close(source) }
        if file != STDIN_FILENO { close(file) }
        guard let unpacker else { return }
        // It may still write: without a reader it would end by itself, and sooner so.
        kill(unpacker, SIGKILL)
        waitpid(unpacker, nil, 0)
    }

    /// How many bytes of the file were read, by this process or by the program that unpacks it.
    public var readByteCount: Int { max(0, Int(lseek(file, 0, SEEK_CUR))) }

    /// The next bytes; how many there are, 0 at the end.
    public func read(into memory: UnsafeMutableRawBufferPointer) throws(Failure) -> Int {
        if !isBeginningKnown {
            isBeginningKnown = true
            do throws(SystemError) { if try isPacked() { try unpack() } } catch { throw .system(error) }
        }
        while true {
            let count = Glibc.read(source, memory.baseAddress, memory.count)
            if count > 0 { return count }
            if count == 0 {
                try endUnpacking()
                return 0
            }
            if errno == EINTR { continue }
            guard errno == EAGAIN else { throw .system(.last) }
            // Standard input may be a terminal that another process made non-blocking.
            var wait = pollfd(fd: source, events: Int16(POLLIN), revents: 0)
            poll(&wait, 1, 1_000)
        }
    }

    // MARK: Packed files

    /// Whether the next bytes are those with which gzip begins. They are looked at and not taken, so that gzip can read them itself.
    private func isPacked() throws(SystemError) -> Bool {
        var start: (UInt8, UInt8) = (0, 0)
        switch kind {
        case S_IFREG: return pread(file, &start, 2, lseek(file, 0, SEEK_CUR)) == 2 && start == InputFile.gzipMagic
        case S_IFIFO: return try beginning(ofPipe: 2) == [InputFile.gzipMagic.0, InputFile.gzipMagic.1]
        case S_IFSOCK: return recv(file, &start, 2, Int32(MSG_PEEK | MSG_WAITALL)) == 2 && start == InputFile.gzipMagic
        default: return false
        }
    }

    /// The first bytes of a pipe, as many as that unless its writer ends before: `tee` copies them into a pipe of our own.
    private func beginning(ofPipe wanted: Int) throws(SystemError) -> [UInt8] {
        var ends: [Int32] = [-1, -1]
        guard pipe2(&ends, O_CLOEXEC) == 0 else { throw .last }
        defer { for end in ends { close(end) } }
        while true {
            let count = tee(file, ends[1], wanted, 0)
            if count < 0, errno != EINTR, errno != EAGAIN { throw .last }
            if count == 0 { return [] }
            var bytes = [UInt8](repeating: 0, count: max(count, 0))
            if count > 0, Glibc.read(ends[0], &bytes, count) != count { throw .last }
            if count >= wanted { return bytes }
            var writer = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
            poll(&writer, 1, 1_000)
            if writer.revents & Int16(POLLHUP) != 0 { return bytes }
            // The bytes that are there already make `poll` return at once.
            if count > 0 { usleep(10_000) }
        }
    }

    private func unpack() throws(SystemError) {
        var ends: [Int32] = [-1, -1]
        guard pipe2(&ends, O_CLOEXEC) == 0 else { throw .last }
        defer { close(ends[1]) }
        source = ends[0]
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_adddup2(&actions, file, STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
        takeUsualSignals(&attributes)
        var words = (["gzip", "-dc"] as [String]).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var process = pid_t()
        let outcome = posix_spawnp(&process, "gzip", &actions, &attributes, &words, current_environment())
        guard outcome == 0 else { throw SystemError(outcome) }
        unpacker = process
    }

    private func endUnpacking() throws(Failure) {
        guard let process = unpacker else { return }
        unpacker = nil
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        // gzip's status 2 is a warning, for example of what stands behind the packed part.
        guard status & 0x7F == 0, [0, 2].contains(status >> 8 & 0xFF) else { throw .unpacking("gzip \(Successor.describe(status))") }
    }
}

/// A file that a command writes whole.
public enum OutputFile {
    /// Writes the bytes into a file, which is created (mode 0640: it may name clients) or replaced.
    public static func write(_ bytes: [UInt8], to path: String) throws(SystemError) {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0o640)
        guard file >= 0 else { throw .last }
        var isOpen = true
        defer { if isOpen { close(file) } }
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress! + done, bytes.count - done) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .last }
            done += count
        }
        isOpen = false
        // Some file systems tell only now that there is no room.
        guard close(file) == 0 else { throw .last }
    }
}

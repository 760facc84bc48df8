// A folder with many files to which bytes are appended, a few of them open at a time. It does not know what the bytes are.
// Invariant: only regular files whose names end as they should are listed, and nobody but the owner may read what it creates.

import CLinux
import Glibc
import Synchronization

/// A folder of files that grow.
public final class FileFolder: Sendable {
    /// What is known of one file.
    public struct Entry: Sendable {
        /// Its name in the folder.
        public let name: String
        /// Its size.
        public let byteCount: Int
        /// When it was written last, in milliseconds since 1970-01-01 UTC.
        public let modifiedMilliseconds: Int64
    }

    private struct State {
        var folder: Int32
        /// Files that are open, the one that was used last at the end.
        var open: [(name: String, descriptor: Int32)] = []
        /// Monotonic seconds: when standard error last reported a failure; nil before.
        var failureToldAt: Int?
    }

    /// So many files stay open between two writes.
    private static let openFiles = 64

    private let path: String
    private let suffix: String
    private let state: Mutex<State>

    /// Opens the folder, and makes it if there is none (mode 0700). Its files have names with that ending.
    public init(path: String, suffix: String) throws(SystemError) {
        self.path = path
        self.suffix = suffix
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw SystemError.last }
        state = Mutex(State(folder: try FileFolder.open(path)))
    }

    deinit {
        state.withLock { state in
            for file in state.open { Glibc.close(file.descriptor) }
            Glibc.close(state.folder)
        }
    }

    private static func open(_ path: String) throws(SystemError) -> Int32 {
        let folder = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw SystemError.last }
        guard faccessat(folder, ".", W_OK | X_OK, 0) == 0 else {
            let error = SystemError.last
            Glibc.close(folder)
            throw error
        }
        return folder
    }

    /// The folder's files with the right ending, in any order.
    public func entries() -> [Entry] {
        state.withLock { state in
            let descriptor = openat(state.folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard descriptor >= 0 else { return [] }
            guard let stream = fdopendir(descriptor) else {
                Glibc.close(descriptor)
                return []
            }
            defer { closedir(stream) }
            var entries: [Entry] = []
            while let found = readdir(stream) {
                let name = withUnsafePointer(to: &found.pointee.d_name) { pointer in
                    pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                var status = stat()
                guard name.hasSuffix(suffix), fstatat(state.folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0,
                    status.st_mode & S_IFMT == S_IFREG
                else { continue }
                let modified = Int64(status.st_mtim.tv_sec) * 1_000 + Int64(status.st_mtim.tv_nsec) / 1_000_000
                entries.append(Entry(name: name, byteCount: Int(status.st_size), modifiedMilliseconds: modified))
            }
            return entries
        }
    }

    /// Appends to a file. `isNew` says that there must be none yet (mode 0600). False: not all of the bytes were written; standard error
    /// reports that at most once a minute.
    public func append(_ bytes: [UInt8], to name: String, isNew: Bool) -> Bool {
        precondition(name.hasSuffix(suffix) && !name.contains("/"), "a file lies in the folder")
        return state.withLock { state in
            do throws(SystemError) {
                let descriptor = try descriptor(of: name, isNew: isNew, &state)
                var start = 0
                while start < bytes.count {
                    let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + start, bytes.count - start) }
                    if count < 0, errno == EINTR { continue }
                    guard count >= 0 else { throw SystemError.last }
                    start += count
                }
                return true
            } catch {
                tell(of: error, &state)
                return false
            }
        }
    }

    /// Removes a file.
    public func remove(_ name: String) {
        state.withLock { state in
            if let index = state.open.firstIndex(where: { $0.name == name }) { Glibc.close(state.open.remove(at: index).descriptor) }
            _ = unlinkat(state.folder, name, 0)
        }
    }

    /// Opens the folder again after it was moved away. False: it could not be opened, and the old one stays in use.
    public func reopen() -> Bool {
        if mkdir(path, 0o700) != 0, errno != EEXIST { return false }
        guard let folder = try? FileFolder.open(path) else { return false }
        state.withLock { state in
            for file in state.open { Glibc.close(file.descriptor) }
            state.open = []
            Glibc.close(state.folder)
            state.folder = folder
        }
        return true
    }

    private func descriptor(of name: String, isNew: Bool, _ state: inout State) throws(SystemError) -> Int32 {
        if let index = state.open.firstIndex(where: { $0.name == name }) {
            state.open.append(state.open.remove(at: index))
        } else {
            let flags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (isNew ? O_CREAT | O_EXCL : 0)
            let descriptor = openat(state.folder, name, flags, 0o600)
            guard descriptor >= 0 else { throw SystemError.last }
            if state.open.count == FileFolder.openFiles { Glibc.close(state.open.removeFirst().descriptor) }
            state.open.append((name, descriptor))
        }
        return state.open[state.open.count - 1].descriptor
    }

    private func tell(of error: SystemError, _ state: inout State) {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        if let told = state.failureToldAt, time.tv_sec - told < 60 { return }
        state.failureToldAt = time.tv_sec
        SystemProcess.warn("heartwire: the folder \(path) takes no bytes: \(error.message); what it does not take is lost")
    }
}

// What the process uses, as the system tells it (proc(5)). Read when somebody asks, on a thread that may wait for a file.

import CLinux
import Glibc

/// What the process uses. Nil where the system does not tell.
public struct ProcessUsage: Sendable {
    /// Open descriptors.
    public let descriptors: Int?
    /// How many descriptors may be open.
    public let descriptorLimit: Int?
    /// Resident memory.
    public let residentBytes: Int?
    /// User and system time.
    public let processorMilliseconds: Int64?
    /// When the process began, in milliseconds since 1970.
    public let startedAtUnixMilliseconds: Int64?

    /// The usage of this process now.
    public init() {
        descriptors = ProcessUsage.countDescriptors()
        descriptorLimit = ProcessUsage.limitOfDescriptors()
        residentBytes = ProcessUsage.fields(of: "/proc/self/statm").dropFirst().first.map { $0 * Int(sysconf(Int32(_SC_PAGESIZE))) }
        processorMilliseconds = ProcessUsage.processorTime()
        startedAtUnixMilliseconds = ProcessUsage.start()
    }

    /// Linux tells the number as the folder's size from 6.2 on. Before that each one has to be looked at: two milliseconds for a thousand.
    private static func countDescriptors() -> Int? {
        var view = stat()
        if stat("/proc/self/fd", &view) == 0, view.st_size > 0 { return Int(view.st_size) }
        guard let folder = opendir("/proc/self/fd") else { return nil }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        // Without the folder itself, its parent, and the descriptor with which it is read.
        return count - 3
    }

    private static func limitOfDescriptors() -> Int? {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)), &limit) == 0 else { return nil }
        return Int(clamping: limit.rlim_cur)
    }

    private static func processorTime() -> Int64? {
        var usage = rusage()
        guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return nil }
        let seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
        return Int64(seconds) * 1000 + Int64(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000
    }

    /// The system tells the start in ticks since it was started itself.
    private static func start() -> Int64? {
        let fields = fields(of: "/proc/self/stat")
        let ticksPerSecond = Int64(sysconf(Int32(_SC_CLK_TCK)))
        var (now, sinceBoot) = (timespec(), timespec())
        guard fields.count > 19, ticksPerSecond > 0, clock_gettime(CLOCK_REALTIME, &now) == 0,
            clock_gettime(CLOCK_BOOTTIME, &sinceBoot) == 0
        else { return nil }
        return now.milliseconds - sinceBoot.milliseconds + Int64(fields[19]) * 1000 / ticksPerSecond
    }

    /// The numbers in the first line of a file. In a process's state they begin behind its name, which may hold blanks. A word that is no
    /// number is 0.
    private static func fields(of path: String) -> [Int] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = read(descriptor, &bytes, bytes.count)
        guard count > 0 else { return [] }
        let text = bytes[..<count]
        let afterName = text.lastIndex(of: UInt8(ascii: ")")).map { $0 + 1 } ?? 0
        return text[afterName...].split { $0 == 0x20 || $0 == 0x0A }.map { Int(String(decoding: $0, as: UTF8.self)) ?? 0 }
    }
}

extension timespec {
    fileprivate var milliseconds: Int64 { Int64(tv_sec) * 1000 + Int64(tv_nsec) / 1_000_000 }
}

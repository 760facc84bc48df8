// What all generations of a process are made with. A test puts its own kernel, log files and threads in their place.

import Configuration
import Credentials
import Downstreams
import Exchanges
import Reactor
import Telemetry
import Upstreams

/// What a generation is prepared with: the kernel, log files, threads, workers.
struct StartMeans: Sendable {
    /// The kernel of the thread that prepares and puts in force.
    let kernel: Kernel
    let lookups: NameLookups
    /// How many workers the process has; that does not change while it runs.
    let workerCount: Int
    /// The key for fingerprints if the configuration has none.
    let randomKey: [UInt8]
    /// The key under which streams are found again, if the configuration has none.
    let randomHistoryKey: [UInt8]
    /// How many descriptors the process may have.
    var descriptorLimit = 65_536
    /// Opens the file of a log or the folder of recordings; nil for a log that is off.
    var openLog: @Sendable (Logs.Place) throws(SystemError) -> Logs.File? = StartMeans.openLog
    var startThread: @Sendable (_ name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) -> SystemThread.Handle =
        StartMeans.startThread
    /// Lets a worker turn until it stops, and keeps what it has counted then; nil where its owner turns it.
    var startWorker: @Sendable (Worker, WorkerCounts) -> SystemThread.Handle? = StartMeans.startWorker
    /// Lets the console's worker turn until it stops; nil where its owner turns it.
    var startConsole: @Sendable (Worker) throws(SystemError) -> SystemThread.Handle? = StartMeans.startConsole
    /// The kernel of the console's thread.
    let consoleKernel: Kernel
    /// What the workers have counted, as they last said.
    let counts = WorkerCounts()
    /// What the process uses now.
    var usage: @Sendable () -> ProcessUsage = { ProcessUsage() }
    /// Tells the operator something at once.
    var warn: @Sendable (String) -> Void = { SystemProcess.warn("heartwire: \($0)") }

    /// The means of a process that will have so many workers.
    init(kernel: Kernel, lookupKernel: Kernel, consoleKernel: Kernel, workerCount: Int) {
        self.kernel = kernel
        self.consoleKernel = consoleKernel
        self.workerCount = workerCount
        lookups = NameLookups(lookupKernel)
        var key = [UInt8](repeating: 0, count: Fingerprinter.keyBytes)
        key.withUnsafeMutableBytes { kernel.fillRandom($0) }
        randomKey = key
        randomHistoryKey = Fingerprinter.derivedKey(from: key, for: "the keys of streams") ?? key
    }

    /// The number of workers of a configuration.
    static func workerCount(_ configuration: Configuration) -> Int {
        configuration.workerCount > 0 ? configuration.workerCount : SystemProcess.processorCount
    }

    /// How many clients the descriptors are enough for. Each stream needs one on both sides; a few remain for logs, listeners and
    /// pollers, and some for those who are told that they are too many.
    func connectionLimit(_ limits: Limits) -> Int {
        if limits.connections > 0 { return limits.connections }
        let half = max(16, (descriptorLimit - 64) / 2)
        return max(16, half - ConnectionCounts.roomAbove(limit: half))
    }

    private static func openLog(_ place: Logs.Place) throws(SystemError) -> Logs.File? {
        let file: LogFile
        switch place {
        case .log(.off): return nil
        case .log(.standardOutput): file = LogFile(standardError: false)
        case .log(.standardError): file = LogFile(standardError: true)
        case .log(.file(let path)): file = try LogFile(appendingTo: path)
        case .recordings(let policy):
            let bounds = RecordingBounds(
                totalBytes: policy.totalBytes, files: policy.files, ageMilliseconds: Int64(policy.ageMilliseconds))
            let folder = try FileFolder(path: policy.directory, suffix: RecordingKeeper.suffix)
            let clock = LinuxKernel()
            return Logs.File(
                sink: RecordingKeeper(folder, bounds) { clock.unixMilliseconds() }, name: "the directory of recordings \(policy.directory)")
        }
        return Logs.File(sink: file, name: file.name)
    }

    private static func startThread(_ name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) -> SystemThread.Handle {
        try SystemThread.tryStart(name: name, body)
    }

    /// Hands a worker to the one thread that will use it from then on.
    private struct Handed: @unchecked Sendable {
        let worker: Worker
    }

    private static func startConsole(_ worker: Worker) throws(SystemError) -> SystemThread.Handle? {
        let handed = Handed(worker: worker)
        return try SystemThread.tryStart(name: "console") {
            handed.worker.run()
            handed.worker.resident = nil
        }
    }

    private static func startWorker(_ worker: Worker, _ counts: WorkerCounts) -> SystemThread.Handle? {
        let handed = Handed(worker: worker)
        return SystemThread.start(name: "worker-\(worker.number)") {
            handed.worker.run()
            if let proxy = ProxyWorker.on(handed.worker) { counts.keepLast(proxy.exchanges.counted(), of: handed.worker.number) }
            // The worker and its resident hold each other.
            handed.worker.resident = nil
        }
    }
}

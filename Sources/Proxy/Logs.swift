// The writers of the stream log and the access log, each with its file and its thread. A reload keeps those whose destination
// stays. Invariant: where both logs go to the same place there is one writer, so that lines do not run into each other.

import Configuration
import Reactor
import StreamLog

/// Where the lines of a proxy go.
struct Logs: Sendable {
    /// One destination.
    struct Output: Sendable {
        let destination: LogDestination
        let capacityBytes: Int
        let writer: LogWriter
        /// Nil until it is started.
        var thread: SystemThread.Handle?
    }

    private(set) var stream: Output?
    private(set) var access: Output?

    /// Opens what the configuration names and was not open before.
    init(_ configuration: Configuration, keeping previous: Logs? = nil, clock: @escaping @Sendable () -> Int64) throws(StartError) {
        let known = previous?.outputs ?? []
        stream = try Logs.open(configuration.streamLog, configuration.limits.logQueueBytes, known, clock)
        access = try Logs.open(configuration.accessLog, configuration.limits.logQueueBytes, known + [stream].compactMap { $0 }, clock)
    }

    /// Each output once.
    var outputs: [Output] {
        guard let stream else { return access.map { [$0] } ?? [] }
        guard let access, access.writer !== stream.writer else { return [stream] }
        return [stream, access]
    }

    /// Starts the threads of those that have none.
    mutating func start() throws(StartError) {
        do {
            if stream?.thread == nil, let writer = stream?.writer {
                stream?.thread = try Logs.startThread(writer)
                if access?.writer === writer { access?.thread = stream?.thread }
            }
            if access?.thread == nil, let writer = access?.writer { access?.thread = try Logs.startThread(writer) }
        } catch { throw .system(error) }
    }

    /// Ends the outputs that are none of another's, when all that they hold is written. One whose reader takes nothing must
    /// not hold anybody up: its thread is left where it waits.
    func end(except others: Logs? = nil) {
        for output in outputs where others?.outputs.contains(where: { $0.writer === output.writer }) != true {
            guard let thread = output.thread else { continue }
            if output.writer.finish(deadlineMilliseconds: 5000) { thread.join() }
        }
    }

    private static func startThread(_ writer: LogWriter) throws(SystemError) -> SystemThread.Handle {
        try SystemThread.tryStart(name: "log") { writer.run() }
    }

    private static func open(
        _ destination: LogDestination, _ capacity: Int, _ known: [Output], _ clock: @escaping @Sendable () -> Int64
    ) throws(StartError) -> Output? {
        if let output = known.last(where: { $0.destination == destination && $0.capacityBytes == capacity }) { return output }
        let file: LogFile
        switch destination {
        case .off: return nil
        case .standardOutput: file = LogFile(standardError: false)
        case .standardError: file = LogFile(standardError: true)
        case .file(let path):
            do { file = try LogFile(appendingTo: path) } catch { throw .cannotOpenLog(path: path, error) }
        }
        return Output(
            destination: destination, capacityBytes: capacity, writer: LogWriter(sink: file, capacityBytes: capacity, clock: clock))
    }
}

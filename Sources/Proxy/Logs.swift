// The writers of the stream log, the access log and the event log, each with its file and its thread. A reload keeps those whose
// destination stays. Invariant: logs that go to the same place have one writer, so that lines do not run into each other.

import Configuration
import Downstreams
import Reactor
import Telemetry

/// Where the lines of a proxy go.
struct Logs: Sendable {
    /// One destination.
    struct Output: Sendable {
        let destination: LogDestination
        /// What a message calls it.
        let name: String
        let capacityBytes: Int
        let writer: LogWriter
        /// Nil until it is started.
        var thread: SystemThread.Handle?
    }

    /// Each once.
    private(set) var outputs: [Output] = []
    private(set) var stream: LogWriter?
    private(set) var access: LogWriter?
    private(set) var event: LogWriter?

    /// Opens what the configuration names and was not open before.
    init(_ configuration: Configuration, keeping previous: Logs? = nil, clock: @escaping @Sendable () -> Int64) throws(StartError) {
        let (capacity, known) = (configuration.limits.logQueueBytes, previous?.outputs ?? [])
        stream = try open(configuration.streamLog, capacity, known, clock)
        access = try open(configuration.accessLog, capacity, known, clock)
        event = try open(configuration.eventLog, capacity, known, clock)
    }

    /// Starts the threads of those that have none.
    mutating func start() throws(StartError) {
        for index in outputs.indices where outputs[index].thread == nil {
            let writer = outputs[index].writer
            do { outputs[index].thread = try SystemThread.tryStart(name: "log") { writer.run() } } catch { throw .system(error) }
        }
    }

    /// Ends the outputs that are none of another's, when all that they hold is written. One whose reader takes nothing must
    /// not hold anybody up: its thread is left where it waits.
    func end(except others: Logs? = nil) {
        for output in outputs where others?.outputs.contains(where: { $0.writer === output.writer }) != true {
            guard let thread = output.thread else { continue }
            if output.writer.finish(deadlineMilliseconds: Logs.endMilliseconds) {
                thread.join()
            } else {
                complainOfLoss(output)
            }
        }
    }

    /// How long the end waits for each output.
    private static let endMilliseconds = 5_000

    /// The operator hears of lines that nobody will ever read.
    private func complainOfLoss(_ output: Output) {
        guard let lost = output.writer.lostLineCount else {
            return SystemProcess.complain(
                "heartwire: \(output.name) took nothing for \(Logs.endMilliseconds) ms at the end; what it was to hold is lost")
        }
        SystemProcess.complain("heartwire: \(lost) \(lost == 1 ? "line is" : "lines are") lost: \(output.name) took none at the end")
    }

    /// The writer to a destination; nil for none.
    private mutating func open(
        _ destination: LogDestination, _ capacity: Int, _ known: [Output], _ clock: @escaping @Sendable () -> Int64
    ) throws(StartError) -> LogWriter? {
        func isIt(_ output: Output) -> Bool { output.destination == destination && output.capacityBytes == capacity }
        if let output = outputs.first(where: isIt) { return output.writer }
        if let output = known.first(where: isIt) {
            outputs.append(output)
            return output.writer
        }
        let file: LogFile
        switch destination {
        case .off: return nil
        case .standardOutput: file = LogFile(standardError: false)
        case .standardError: file = LogFile(standardError: true)
        case .file(let path):
            do { file = try LogFile(appendingTo: path) } catch { throw .cannotOpenLog(path: path, error) }
        }
        let writer = LogWriter(sink: file, capacityBytes: capacity, clock: clock)
        outputs.append(Output(destination: destination, name: file.name, capacityBytes: capacity, writer: writer))
        return writer
    }
}

extension LogFile: LogSink {}

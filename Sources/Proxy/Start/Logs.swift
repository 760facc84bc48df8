// The writers of the logs of streams, of other exchanges and of events, and of recordings, each with its destination and its thread. A
// reload keeps the writers whose destination stays. Invariant: logs with the same destination share one writer, so that their lines do
// not mix.

import Configuration
import Downstreams
import Reactor
import Telemetry

/// Where the lines of a proxy go.
struct Logs: Sendable {
    /// Where the lines of a log end, and what a message calls it.
    struct File {
        let sink: any LogSink
        let name: String
    }

    /// Where lines go.
    enum Place: Sendable, Equatable {
        case log(LogDestination)
        /// Recordings of streams, a file for each.
        case recordings(RecordingPolicy)
    }

    /// One destination.
    struct Output: Sendable {
        let place: Place
        /// Its name in messages.
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
    private(set) var recordings: [RecordingPolicy: LogWriter] = [:]

    /// Opens what the configuration names and `previous` does not have open.
    init(_ configuration: Configuration, keeping previous: Logs?, by means: StartMeans) throws(StartError) {
        let (capacity, known) = (configuration.limits.logQueueBytes, previous?.outputs ?? [])
        stream = try open(.log(configuration.streamLog), capacity, known, means)
        access = try open(.log(configuration.accessLog), capacity, known, means)
        event = try open(.log(configuration.eventLog), capacity, known, means)
        for policy in configuration.routes.compactMap(\.recording) where recordings[policy] == nil {
            recordings[policy] = try open(.recordings(policy), capacity, known, means)
        }
    }

    /// Starts the threads of the writers that have none.
    mutating func start(by means: StartMeans) throws(StartError) {
        for index in outputs.indices where outputs[index].thread == nil {
            let writer = outputs[index].writer
            do { outputs[index].thread = try means.startThread("log") { writer.run() } } catch { throw .system(error) }
        }
    }

    /// Ends the outputs that `others` does not have, when all that they hold is written. An output whose reader takes nothing is given up
    /// after a while, and its thread is left where it waits.
    func end(except others: Logs? = nil, by means: StartMeans) {
        for output in outputs where others?.outputs.contains(where: { $0.writer === output.writer }) != true {
            guard let thread = output.thread else { continue }
            if output.writer.finish(deadlineMilliseconds: Logs.endMilliseconds) {
                thread.join()
            } else {
                means.warn(lossWarning(of: output))
            }
        }
    }

    /// How long the end waits for each output.
    private static let endMilliseconds = 5_000

    /// Reports lines that are lost.
    private func lossWarning(of output: Output) -> String {
        guard let lost = output.writer.lostLineCount else {
            return "\(output.name) took nothing for \(Logs.endMilliseconds) ms at the end; what it was to hold is lost"
        }
        return "\(lost) \(lost == 1 ? "line is" : "lines are") lost: \(output.name) took none at the end"
    }

    /// The writer to a destination; nil for none.
    private mutating func open(
        _ place: Place, _ capacity: Int, _ known: [Output], _ means: StartMeans
    ) throws(StartError) -> LogWriter? {
        func isIt(_ output: Output) -> Bool { output.place == place && output.capacityBytes == capacity }
        if let output = outputs.first(where: isIt) { return output.writer }
        if let output = known.first(where: isIt) {
            outputs.append(output)
            return output.writer
        }
        let opened: File?
        do { opened = try means.openLog(place) } catch { throw .cannotOpenLog(path: place.path, error) }
        guard let file = opened else { return nil }
        let kernel = means.kernel
        let writer = LogWriter(sink: file.sink, capacityBytes: capacity) { kernel.unixMilliseconds() }
        outputs.append(Output(place: place, name: file.name, capacityBytes: capacity, writer: writer))
        return writer
    }
}

extension LogFile: LogSink {}

extension FileFolder: RecordingStore {
    /// Its recordings.
    package func list() -> [StoredRecording] {
        entries().map { StoredRecording(name: $0.name, byteCount: $0.byteCount, modifiedMilliseconds: $0.modifiedMilliseconds) }
    }
}

extension Logs.Place {
    /// The path of a file or a directory; empty for the rest, which is there already.
    fileprivate var path: String {
        switch self {
        case .log(.file(let path)): path
        case .log: ""
        case .recordings(let policy): policy.directory
        }
    }
}

// The proxy as the console sees it: questions that are answered later. Invariant: no question waits for a worker, and none takes a lock
// that the data path takes.

import Telemetry

/// What does not change while a configuration is in force, except by the operator's own switches.
package struct ConsoleFacts: Sendable {
    /// A route.
    package struct Route: Sendable {
        let name: String
        let logsEvents: Bool

        /// A route by its name, and whether its events are logged now.
        package init(name: String, logsEvents: Bool) {
            self.name = name
            self.logsEvents = logsEvents
        }
    }

    let routes: [Route]
    let hasEventLog: Bool

    /// The routes, and whether there is a log of events.
    package init(routes: [Route], hasEventLog: Bool) {
        self.routes = routes
        self.hasEventLog = hasEventLog
    }
}

/// Part of what a worker says of its streams.
package enum LiveAnswer: Sendable {
    /// The latest lines, which come first.
    case lines(TailPart)
    /// Some of the streams; the last part says that it is the last.
    case streams(StreamPart)
}

/// What became of a wish of the operator.
package enum ActionOutcome: Sendable {
    /// It is done, or will be as soon as the stream allows it.
    case done
    /// There is no such stream or route.
    case unknown
    /// The configuration has no log of events.
    case noEventLog
}

/// Answers what the console asks. Every answer may come on any thread.
package protocol ConsoleSource: Sendable {
    /// Whether the proxy serves, and is not ending.
    var isServing: Bool { get }
    /// How many workers there are.
    var workerCount: Int { get }
    /// What the configuration in force says.
    var facts: ConsoleFacts { get }

    /// Asks each worker for what it has counted. `then` is called once, on any thread, when all have answered, never where one does not.
    func askForCounts(then: @escaping @Sendable () -> Void)
    /// The text about all metrics, by what the workers said last.
    func metrics(_ format: MetricsFormat) -> [UInt8]

    /// Asks one worker for its lines after that number, and for all its streams, in parts. `describing` asks for their openings too.
    func ask(_ worker: Int, linesAfter known: UInt64, describing: Bool, _ answer: @escaping @Sendable (LiveAnswer) -> Void)
    /// Asks all workers for the causes of the last hour.
    func askCauses(_ answer: @escaping @Sendable (CauseHour) -> Void)

    /// Begins to follow the events of a stream.
    func watch(_ stream: StreamIdentifier)
    /// Ends that.
    func unwatch(_ stream: StreamIdentifier)
    /// Asks for the lines about the events of a watched stream since this was asked last, and how many more there were.
    func takeWatched(_ stream: StreamIdentifier, _ answer: @escaping @Sendable (_ lines: [UInt8], _ dropped: UInt64) -> Void)

    /// Ends a stream at the next boundary of its events.
    func end(_ stream: StreamIdentifier, _ answer: @escaping @Sendable (ActionOutcome) -> Void)
    /// Switches the event log of a route on or off, until the next reload.
    func switchEventLog(ofRoute name: String, on isOn: Bool) -> ActionOutcome
}

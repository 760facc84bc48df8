// What happens, for those who watch: once a second every worker is asked for its new lines and its streams' numbers, and what has
// changed goes to all viewers. While nobody watches, nobody is asked. Invariant: at most one question to a worker is open at a time, so a
// busy worker is not asked more and more.

import Downstreams
import Reactor
import Telemetry

/// The console's feed.
final class Feed {
    private static let intervalMilliseconds: Int64 = 1_000
    /// How many rows' numbers one message holds; others that have changed follow in later messages.
    private static let changesPerMessage = 4_000
    /// Every so many rounds the causes of the hour are told.
    private static let roundsPerHour = 5
    /// Every so many rounds the latest lines are diagnosed.
    private static let roundsPerDiagnosis = 10
    /// How many lines are kept for viewers that come later.
    private static let keptLines = 500

    /// What is known of one worker.
    private struct Known {
        var lastLine: UInt64 = 0
        var isAsked = false
        /// Whether the next round asks for the openings too.
        var needsOpenings = true
    }

    private unowned let console: ConsoleWorker
    private let source: any ConsoleSource
    private var viewers: [Viewer] = []
    /// Viewers whose response has begun, and who have not been told anything.
    private var reserved: Set<ObjectIdentifier> = []
    private var table = StreamTable()
    private var known: [Known] = []
    /// Streams whose new numbers have not been told.
    private var untoldChanges: [StreamIdentifier] = []
    private var untoldSet: Set<StreamIdentifier> = []
    private var lines: [[UInt8]] = []
    private var hour: [UInt8]?
    private var diagnosis = LiveDiagnosis()
    private var findings: [UInt8]?
    private var clock: FeedClock?
    private var roundCount = 0
    /// When the workers were asked last, in monotonic milliseconds: their answers are told at the next tick.
    private var askedAt: Int64 = 0
    /// Answers to questions of an earlier time in which somebody watched are ignored.
    private var watch: UInt64 = 0

    init(console: ConsoleWorker, source: any ConsoleSource) {
        self.console = console
        self.source = source
    }

    var viewerCount: Int { viewers.count + reserved.count }

    // MARK: Who watches

    /// Keeps a place for a viewer.
    func reserve(_ viewer: Viewer) { reserved.insert(ObjectIdentifier(viewer)) }

    /// Adds a viewer, whose response has begun.
    func add(_ viewer: Viewer) {
        reserved.remove(ObjectIdentifier(viewer))
        viewers.append(viewer)
        if let stream = viewer.stream { source.watch(stream) }
        if clock == nil {
            watch += 1
            known = Array(repeating: Known(), count: source.workerCount)
            clock = FeedClock(worker: console.worker) { [unowned self] in tick() }
            ask()
        }
        begin(viewer)
    }

    /// A viewer has left.
    func remove(_ viewer: Viewer) {
        reserved.remove(ObjectIdentifier(viewer))
        guard let place = viewers.firstIndex(where: { $0 === viewer }) else { return }
        viewers.remove(at: place)
        if let stream = viewer.stream, !viewers.contains(where: { $0.stream == stream }) { source.unwatch(stream) }
        guard viewers.isEmpty else { return }
        clock?.closeTimer()
        clock = nil
        table.removeAll()
        (lines, hour, untoldChanges, untoldSet) = ([], nil, [], [])
        (diagnosis, findings, roundCount) = (LiveDiagnosis(), nil, 0)
    }

    private func begin(_ viewer: Viewer) {
        let streams =
            viewer.stream.map { table.rows[$0] == nil ? [] : [$0] }
            ?? table.rows.keys.sorted { ($0.worker, $0.number) < ($1.worker, $1.number) }
        var others: [(StaticString, [UInt8])] = []
        if viewer.stream == nil {
            if let hour { others.append(("hour", hour)) }
            if let findings { others.append(("findings", findings)) }
        }
        viewer.begin(facts(), lines: lines.filter { isAbout($0, viewer) }, others, streams)
    }

    /// Lets a viewer have more of its snapshot, if it has taken what there was.
    func goOn(_ viewer: Viewer) {
        if viewer.isBehind {
            guard viewer.hasTakenAll else { return }
            begin(viewer)
        }
        viewer.tellMore(from: table, now: console.worker.now)
    }

    // MARK: The round

    private func tick() {
        clock?.wake(atMilliseconds: console.worker.now + Feed.intervalMilliseconds)
        tellChanges()
        for viewer in viewers where viewer.isBehind { goOn(viewer) }
        for stream in Set(viewers.compactMap(\.stream)) { takeEvents(of: stream) }
        if roundCount % Feed.roundsPerDiagnosis == 2, viewers.contains(where: { $0.stream == nil }) { diagnose() }
        ask()
    }

    private func ask() {
        roundCount += 1
        askedAt = console.worker.now
        let (mailbox, watch) = (console.worker.mailbox, watch)
        let reference = ConsoleReference(console)
        for worker in known.indices where !known[worker].isAsked {
            known[worker].isAsked = true
            let describes = known[worker].needsOpenings
            known[worker].needsOpenings = false
            table.beginRound(of: worker)
            source.ask(worker, linesAfter: known[worker].lastLine, describing: describes) { answer in
                mailbox.post { _ in reference.console?.feed.received(answer, from: worker, in: watch) }
            }
        }
        guard roundCount % Feed.roundsPerHour == 1 else { return }
        source.askCauses { hour in mailbox.post { _ in reference.console?.feed.received(hour, in: watch) } }
    }

    private func received(_ answer: LiveAnswer, from worker: Int, in watch: UInt64) {
        guard watch == self.watch, clock != nil else { return }
        switch answer {
        case .lines(let part):
            known[worker].lastLine = part.last
            tell(part)
        case .streams(let part):
            let changes = table.take(part)
            if changes.lacksOpenings { known[worker].needsOpenings = true }
            if part.isLast { known[worker].isAsked = false }
            tell(changes)
        }
    }

    // MARK: What is told

    private func tell(_ part: TailPart) {
        guard !part.lines.isEmpty || part.missed > 0 else { return }
        let opened = part.lines.compactMap { table.take(line: $0) }
        tell(opened: opened)
        lines = Array((lines + part.lines).suffix(Feed.keptLines))
        diagnosis.take(part.lines)
        for viewer in viewers {
            let some = viewer.stream == nil ? part.lines : part.lines.filter { isAbout($0, viewer) }
            if !some.isEmpty || part.missed > 0 { viewer.send("lines", Viewer.lines(some, missed: part.missed)) }
        }
    }

    private func isAbout(_ line: [UInt8], _ viewer: Viewer) -> Bool {
        guard let stream = viewer.stream else { return true }
        return line.span.withUnsafeBufferPointer { contains($0, Array("\"\(stream.logged)\"".utf8)) }
    }

    private func tell(_ changes: StreamTable.Changes) {
        for stream in changes.changed where untoldSet.insert(stream).inserted { untoldChanges.append(stream) }
        tell(opened: changes.added)
        if !changes.gone.isEmpty {
            var text = FeedText("{\"streams\":[")
            for (index, stream) in changes.gone.enumerated() {
                if index > 0 { text.append(",") }
                text.append(stream)
            }
            text.append("]}")
            for viewer in viewers { viewer.send("gone", text.bytes) }
        }
    }

    private func tell(opened: [StreamIdentifier]) {
        for start in stride(from: 0, to: opened.count, by: Viewer.rowsPerMessage) {
            let some = opened[start..<min(start + Viewer.rowsPerMessage, opened.count)]
            guard let message = Viewer.rows(some, of: table, now: console.worker.now) else { continue }
            for viewer in viewers where viewer.stream.map(some.contains) ?? true { viewer.send("rows", message) }
        }
    }

    /// The numbers that have changed, and how many streams there are: every second, so that a viewer sees that the feed lives.
    private func tellChanges() {
        let some = untoldChanges.prefix(Feed.changesPerMessage)
        untoldChanges.removeFirst(some.count)
        for stream in some { untoldSet.remove(stream) }
        for viewer in viewers {
            let own = viewer.stream.map { stream in some.filter { $0 == stream } } ?? Array(some)
            viewer.send("numbers", numbers(of: own))
        }
    }

    private func numbers(of streams: [StreamIdentifier]) -> [UInt8] {
        var text = FeedText("{\"now\":")
        text.append(console.worker.now)
        text.append(",\"asked\":")
        text.append(askedAt)
        text.append(",\"unshown\":")
        text.append(table.unshownCount)
        text.append(",\"rows\":[")
        var isFirst = true
        for stream in streams {
            guard let row = table.rows[stream] else { continue }
            text.append(isFirst ? "[" : ",[")
            isFirst = false
            text.append(stream)
            text.append(numbersOf: row.state)
            text.append("]")
        }
        text.append("]}")
        return text.bytes
    }

    private func received(_ hour: CauseHour, in watch: UInt64) {
        guard watch == self.watch, clock != nil else { return }
        var text = FeedText("{\"causes\":[")
        var isFirst = true
        for cause in Cause.allCases {
            let endings = hour.endings(for: cause)
            guard endings.contains(where: { $0 > 0 }) else { continue }
            text.append(isFirst ? "{\"cause\":\"" : ",{\"cause\":\"")
            isFirst = false
            text.append(cause.name)
            text.append("\",\"side\":")
            text.append(quoted: cause.side.rawValue)
            text.append(",\"minutes\":[")
            for (index, count) in endings.enumerated() {
                if index > 0 { text.append(",") }
                text.append(count)
            }
            text.append("]}")
        }
        text.append("]}")
        self.hour = text.bytes
        for viewer in viewers where viewer.stream == nil { viewer.send("hour", text.bytes) }
    }

    /// What the latest lines look like, as `heartwire diagnose` says it.
    private func diagnose() {
        guard let report = diagnosis.report(with: table) else { return }
        findings = report
        for viewer in viewers where viewer.stream == nil { viewer.send("findings", report) }
    }

    // MARK: One stream's events

    private func takeEvents(of stream: StreamIdentifier) {
        let (mailbox, watch) = (console.worker.mailbox, watch)
        let reference = ConsoleReference(console)
        source.takeWatched(stream) { lines, dropped in
            mailbox.post { _ in reference.console?.feed.received(events: lines, dropped: dropped, of: stream, in: watch) }
        }
    }

    private func received(events: [UInt8], dropped: UInt64, of stream: StreamIdentifier, in watch: UInt64) {
        guard watch == self.watch, !events.isEmpty || dropped > 0 else { return }
        let lines = events.split(separator: UInt8(ascii: "\n")).map(Array.init)
        let message = Viewer.lines(lines, missed: dropped)
        for viewer in viewers where viewer.stream == stream { viewer.send("events", message) }
    }

    // MARK: Facts

    private func facts() -> [UInt8] {
        let facts = source.facts
        var text = FeedText("{\"now\":")
        text.append(console.worker.now)
        text.append(",\"unix\":")
        text.append(console.worker.kernel.unixMilliseconds())
        text.append(",\"workers\":")
        text.append(source.workerCount)
        text.append(facts.hasEventLog ? ",\"eventLog\":true,\"routes\":[" : ",\"eventLog\":false,\"routes\":[")
        for (index, route) in facts.routes.enumerated() {
            if index > 0 { text.append(",") }
            text.append("{\"name\":")
            text.append(quoted: route.name)
            text.append(route.logsEvents ? ",\"logsEvents\":true}" : ",\"logsEvents\":false}")
        }
        text.append("],\"causes\":{")
        for (index, cause) in Cause.allCases.enumerated() {
            if index > 0 { text.append(",") }
            text.append(quoted: cause.rawValue)
            text.append(":[")
            text.append(quoted: cause.side.rawValue)
            text.append(",")
            text.append(quoted: cause.explanation)
            text.append("]")
        }
        text.append("}}")
        return text.bytes
    }
}

/// The moments at which the workers are asked.
private final class FeedClock: Endpoint {
    private let reached: () -> Void

    init(worker: Worker, reached: @escaping () -> Void) {
        self.reached = reached
        super.init(worker: worker)
        openTimer()
        wake(atMilliseconds: worker.now + 200)
    }

    override func deadlineReached() { reached() }
}

/// Used on the console's thread only; other threads hand it back.
struct ConsoleReference: @unchecked Sendable {
    private(set) weak var console: ConsoleWorker?

    init(_ console: ConsoleWorker) { self.console = console }
}

/// Whether the text holds these bytes.
private func contains(_ text: UnsafeBufferPointer<UInt8>, _ wanted: [UInt8]) -> Bool {
    guard text.count >= wanted.count else { return false }
    return (0...text.count - wanted.count).contains { start in
        text[start] == wanted[0] && (1..<wanted.count).allSatisfy { text[start + $0] == wanted[$0] }
    }
}

// Lines become streams: an end belongs to the last opening of its number. Numbers begin again with every process, and two processes may
// write at one time while one takes over from the other; so an opening must also lie within the life that the end tells.
//
// Rotated files may come in any order, so an end may come before its opening: what is left over on both sides is matched at the end.

import Bytes
import Telemetry

struct StreamCollector {
    /// How long before the beginning that its end tells a stream can have been opened: clocks are set while streams live.
    private static let clockMilliseconds: Int64 = 5_000
    /// Longer times are taken for this one, 46 days: there is room for what the method adds to a time.
    private static let mostMilliseconds: UInt64 = 4_000_000_000
    private static let mostFiles = Int(UInt16.max)

    private(set) var lineCount = 0
    private var facts = LogFacts()
    private var tables: FactTables
    private var matching = Matching()
    private var lumps = LumpCounter()
    private var sample: Sample
    private var clock = LogTime()
    private var clockCheck = ClockCheck()
    private let causes = CauseTable()
    private var place = LogPlace(file: 0, line: 0)

    init(mostStreams: Int, seed: HashSeed) {
        sample = Sample(most: mostStreams)
        tables = FactTables(seed: seed)
    }

    mutating func beginFile(_ name: String) {
        if facts.files.count < StreamCollector.mostFiles { facts.files.append(name) }
        place = LogPlace(file: UInt16(max(0, facts.files.count - 1)), line: 0)
        clockCheck.endFile()
    }

    mutating func leaveOutFile(_ name: String) {
        if facts.repeatedFiles.count < StreamCollector.mostFiles { facts.repeatedFiles.append(name) }
    }

    /// Counts a line that says nothing.
    mutating func skipLine() {
        passLine()
        facts.skippedLineCount += 1
    }

    /// Counts an empty line.
    mutating func passLine() {
        lineCount += 1
        place.line &+= 1
    }

    /// Takes the values of one line.
    @inline(__always)
    mutating func take(_ bytes: Span<UInt8>, _ values: LineValues) {
        guard let event = values.text(.event), let moment = values.text(.time), let time = clock.read(bytes, moment) else {
            return skipLine()
        }
        passLine()
        // Streams of probes are cut on purpose, and say nothing of clients.
        if let route = values.text(.route), equals(bytes, route, "probe_endpoint") { return }
        var isKnown = true
        switch event.count {
        case 10 where equals(bytes, event, "stream_end"): isKnown = end(bytes, values, at: time)
        case 11 where equals(bytes, event, "stream_open"): isKnown = open(bytes, values, at: time)
        case 6 where equals(bytes, event, "access"): refuse(bytes, values, at: time)
        case 11 where equals(bytes, event, "proxy_start"): start(values, at: time)
        case 11 where equals(bytes, event, "log_dropped"): facts.droppedLineCount += Int(clamping: values.number(.lines) ?? 0)
        case 12 where equals(bytes, event, "stream_event"): deliver(bytes, values, at: time)
        case 16 where equals(bytes, event, "stream_heartbeat"): break
        default: isKnown = false
        }
        guard isKnown else {
            facts.skippedLineCount += 1
            return
        }
        clockCheck.add(time)
    }

    // MARK: Streams

    /// The stream's number as one word; the hash of a number in another form.
    @inline(__always)
    private func number(_ bytes: Span<UInt8>, _ values: LineValues) -> UInt64? {
        guard let text = values.text(.stream), !text.isEmpty else { return nil }
        var hash = TextHash(tables.seed)
        hash.add(bytes, text)
        return hash.bits
    }

    private mutating func open(_ bytes: Span<UInt8>, _ values: LineValues, at time: Int64) -> Bool {
        guard let number = number(bytes, values) else { return false }
        // A log that is opened again repeats the openings of all streams that run.
        let isAgain = values.flag(.again) == true
        let openedAt = isAgain ? time - Int64(min(values.number(.age) ?? 0, 1 << 50)) : time
        guard !isKnown(number, openedAt: openedAt) else { return true }
        if values.text(.previousStream) != nil { link(bytes, values, openedAt: openedAt) }
        let identity = tables.identity(bytes, values)
        guard sample.keeps(client: identity.clientHash, stream: number) else {
            replace(number, at: time)
            return true
        }
        var stream = stream(identity, bytes, values, openedAt: openedAt, duration: 0)
        if !isAgain { stream.marks.insert(.openingSeen) }
        StreamCollector.fill(&stream, bytes, values, cause: nil)
        replace(number, at: time)
        if let index = append(stream, number) { matching.open(number, index) }
        return true
    }

    /// The client came back: notes it at the stream that the line names as the client's previous one.
    private mutating func link(_ bytes: Span<UInt8>, _ values: LineValues, openedAt: Int64) {
        guard let text = values.text(.previousStream), let since = values.number(.sincePreviousEnd),
            since < StreamCollector.mostMilliseconds
        else { return }
        var hash = TextHash(tables.seed)
        hash.add(bytes, text)
        guard let index = matching.recentEnd(of: hash.bits).map(Int.init) else { return }
        // Numbers begin again with each process: only the stream that ended then is meant.
        let apart = openedAt - Int64(since) - facts.streams[index].endedAt
        guard apart.magnitude <= UInt64(StreamCollector.clockMilliseconds) else { return }
        facts.streams[index].returnedAfter = UInt32(since)
        if let resumes = values.flag(.resumes) {
            facts.streams[index].marks.insert(resumes ? [.returnTellsResuming, .returnResumes] : .returnTellsResuming)
        }
        if values.text(.token) != nil { facts.streams[index].marks.insert(.returnIsByToken) }
    }

    /// Whether that stream is there already: by its first line or by a repeated one, whichever file was read first.
    @inline(__always)
    private func isKnown(_ number: UInt64, openedAt: Int64) -> Bool {
        func isSame(_ index: UInt32) -> Bool {
            (facts.streams[Int(index)].openedAt - openedAt).magnitude <= UInt64(StreamCollector.clockMilliseconds)
        }
        return matching.opening(of: number).map(isSame) == true || matching.olderOpening(of: number).map(isSame) == true
    }

    /// The number begins again: what it stood for so far may have ended at any time before now.
    @inline(__always)
    private mutating func replace(_ number: UInt64, at time: Int64) {
        guard let before = matching.forget(number) else { return }
        facts.streams[Int(before)].duration = UInt32(clamping: max(1, time - facts.streams[Int(before)].openedAt))
    }

    /// The stream that ends and began about then: the last one that was opened with its number, or the one before.
    @inline(__always)
    private func opening(of number: UInt64, about began: Int64, endedAt time: Int64) -> (index: Int, isOlder: Bool)? {
        func distance(_ index: UInt32) -> Int64? {
            let stream = facts.streams[Int(index)]
            let distance = stream.openedAt - began
            // A file that was read before may hold the opening of a later process. In one file only a clock that was set back does that.
            let isLater = stream.openedAt > time + StreamCollector.clockMilliseconds && stream.place.file != place.file
            return distance < -StreamCollector.clockMilliseconds || isLater ? nil : max(distance, -distance)
        }
        let last = matching.opening(of: number)
        guard let before = matching.olderOpening(of: number), let old = distance(before) else {
            return last.flatMap { distance($0) == nil ? nil : (Int($0), false) }
        }
        if let last, let new = distance(last), new <= old { return (Int(last), false) }
        return (Int(before), true)
    }

    private mutating func end(_ bytes: Span<UInt8>, _ values: LineValues, at time: Int64) -> Bool {
        guard let number = number(bytes, values), let duration = values.number(.duration),
            let cause = values.text(.cause).flatMap({ causes[bytes, $0] })
        else { return false }
        let began = time - Int64(min(duration, 1 << 50))
        if let (index, isOlder) = opening(of: number, about: began, endedAt: time) {
            matching.close(number, isOlder: isOlder)
            // The clock was set back while the stream lived: the later line has the better one.
            if facts.streams[index].openedAt > time { facts.streams[index].openedAt = began }
            // A stream that was held has its server only at its end.
            if facts.streams[index].marks.contains(.wasHeld) { facts.streams[index].surroundings = tables.surroundings(bytes, values) }
            StreamCollector.finish(&facts.streams[index], bytes, values, cause: cause, duration: duration, place: place)
            // Its first line may be in a file that is still to come.
            if !facts.streams[index].marks.contains(.openingSeen) { matching.endWithoutOpening(number, UInt32(index), at: time) }
            matching.end(number, UInt32(index))
            return true
        }
        let identity = tables.identity(bytes, values)
        guard sample.keeps(client: identity.clientHash, stream: number) else {
            facts.leftOutStreamCount += 1
            return true
        }
        var stream = stream(identity, bytes, values, openedAt: began, duration: 0)
        StreamCollector.finish(&stream, bytes, values, cause: cause, duration: duration, place: place)
        if let index = append(stream, number) {
            matching.endWithoutOpening(number, index, at: time)
            matching.end(number, index)
        }
        return true
    }

    @inline(__always)
    private mutating func stream(
        _ identity: Identity, _ bytes: Span<UInt8>, _ values: LineValues, openedAt: Int64, duration: UInt32
    ) -> StreamFacts {
        StreamFacts(
            openedAt: openedAt, duration: duration, client: tables.client(identity), address: tables.address(identity, in: bytes),
            surroundings: tables.surroundings(bytes, values), place: place)
    }

    /// Adds a stream. When there are too many, some are taken out, perhaps this one: then there is no number.
    @inline(__always)
    private mutating func append(_ stream: StreamFacts, _ number: UInt64) -> UInt32? {
        let clientHash = tables.clientHashes[Int(stream.client)]
        facts.streams.append(stream)
        sample.numbers.append(UInt32(truncatingIfNeeded: number))
        if facts.streams.count > sample.most {
            thin()
            guard sample.keeps(client: clientHash, stream: number) else { return nil }
        }
        return UInt32(facts.streams.count - 1)
    }

    // MARK: What a line says of a stream

    /// What openings and ends say alike.
    @inline(__always)
    private static func fill(_ stream: inout StreamFacts, _ bytes: Span<UInt8>, _ values: LineValues, cause: Cause?) {
        if let interval = values.number(.heartbeat) { stream.heartbeatInterval = milliseconds(interval) }
        if values.flag(.woven) == true { stream.marks.insert(.isWoven) }
        if let resumes = values.flag(.resumes) { stream.marks.insert(resumes ? [.tellsResuming, .resumes] : .tellsResuming) }
        if cause == nil, values.text(.server) == nil { stream.marks.insert(.wasHeld) }
    }

    @inline(__always)
    private static func milliseconds(_ number: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: min(number, mostMilliseconds)) }

    @inline(__always)
    private static func milliseconds(_ number: UInt64?) -> UInt32 { number.map { milliseconds($0) } ?? StreamFacts.missing }

    private static func finish(
        _ stream: inout StreamFacts, _ bytes: Span<UInt8>, _ values: LineValues, cause: Cause, duration: UInt64, place: LogPlace
    ) {
        fill(&stream, bytes, values, cause: cause)
        stream.cause = cause
        stream.duration = milliseconds(duration)
        stream.place = place
        stream.events = milliseconds(values.number(.events) ?? 0)
        stream.heartbeats = milliseconds(values.number(.heartbeats) ?? 0)
        stream.retry = milliseconds(values.number(.retry))
        stream.longestClientSilence = milliseconds(values.number(.longestClientSilence))
        stream.longestUpstreamSilence = milliseconds(values.number(.longestUpstreamSilence))
        stream.clientSilenceBeforeLastWrite = milliseconds(values.number(.clientSilenceBeforeLastWrite))
        stream.clientSilenceAtEnd = milliseconds(values.number(.clientSilenceAtEnd) ?? clientSilence(values, cause))
        stream.upstreamSilenceAtEnd = milliseconds(values.number(.upstreamSilenceAtEnd) ?? upstreamSilence(values, cause))
        if let pending = values.number(.pending), pending >= duration / 2, let most = values.number(.mostPending) {
            stream.slowPendingKibibytes = Int(min(most, 1 << 40) >> 10)
        }
        stream.openStreamsOfServer = values.number(.openStreamsOfServer).map { UInt16(min($0, UInt64(UInt16.max - 1))) } ?? UInt16.max
        if values.flag(.midLine) == true { stream.marks.insert(.endedMidLine) }
        if values.number(.held) != nil { stream.marks.insert(.wasHeld) } else { stream.marks.remove(.wasHeld) }
        if values.text(.lastEventID) != nil || values.flag(.lastEventIDWithheld) == true { stream.marks.insert(.hasEventID) }
        if cause.side == .client, let evidence = values.text(.evidence), equals(bytes, evidence, "FIN received without close_notify") {
            stream.marks.insert(.lacksCloseNotify)
        }
    }

    /// Logs without the silences at the end have the kernel's view. It is right where the client ended the stream: at all other ends
    /// the proxy has just written something.
    private static func clientSilence(_ values: LineValues, _ cause: Cause) -> UInt64? {
        cause.side == .client ? values.number(.clientSinceLastSent) : nil
    }

    /// The same of the server. A last chunk counts as received, so of an orderly end nothing is known unless no byte came at all.
    private static func upstreamSilence(_ values: LineValues, _ cause: Cause) -> UInt64? {
        if cause == .upstreamFinished { return values.number(.bytesFromUpstream) == 0 ? values.number(.longestUpstreamSilence) : nil }
        return values.number(.upstreamSinceLastReceived)
    }

    // MARK: Refusals and starts

    private mutating func refuse(_ bytes: Span<UInt8>, _ values: LineValues, at time: Int64) {
        let status = values.number(.status) ?? 0
        let cause = values.text(.cause).flatMap { causes[bytes, $0] }
        let isOwn = cause == .refusedByLimit || cause == .credentialsRefused || cause == .proxyError
        guard status == 401 || status == 403 || isOwn else { return }
        let identity = tables.identity(bytes, values)
        guard sample.keeps(client: identity.clientHash, place) else { return }
        let client = tables.client(identity)
        facts.refusals.append(
            RefusalFacts(
                time: time, client: client, surroundings: tables.surroundings(bytes, values), status: UInt16(clamping: status),
                hasToken: values.text(.token) != nil, cause: cause, place: place))
        if facts.refusals.count > sample.most / 4 { thin() }
    }

    private mutating func deliver(_ bytes: Span<UInt8>, _ values: LineValues, at time: Int64) {
        guard let number = number(bytes, values), let name = values.text(.stream) else { return }
        lumps.add(
            number, at: time, bytes: values.number(.bytes) ?? 0, pending: values.number(.pendingBytes) ?? 0,
            name: { LogText.string(bytes, name, mostBytes: 32) })
    }

    private mutating func start(_ values: LineValues, at time: Int64) {
        guard facts.starts.count < 65_536 else { return }
        facts.starts.append(
            StartFacts(
                time: time, isReload: values.flag(.reload) == true, heartbeatMilliseconds: UInt32(clamping: values.number(.heartbeat) ?? 0))
        )
    }

    // MARK: Too many

    /// Takes out every second client, or every second stream of few clients.
    private mutating func thin() {
        sample.halve(clientCount: tables.clientHashes.count)
        facts.keptOneIn = sample.keptOneIn
        var newNumbers = [UInt32](repeating: .max, count: facts.streams.count)
        var isUsedClient = [Bool](repeating: false, count: tables.clientHashes.count)
        var isUsedAddress = [Bool](repeating: false, count: tables.addresses.count)
        var count = 0
        for index in facts.streams.indices {
            let stream = facts.streams[index]
            let number = sample.numbers[index]
            guard sample.keeps(client: tables.clientHashes[Int(stream.client)], stream: UInt64(number)) else {
                // A stream that still runs is counted at its end, which finds no opening.
                if stream.cause != nil { facts.leftOutStreamCount += 1 }
                continue
            }
            isUsedClient[Int(stream.client)] = true
            isUsedAddress[Int(stream.address)] = true
            newNumbers[index] = UInt32(count)
            facts.streams[count] = stream
            sample.numbers[count] = number
            count += 1
        }
        facts.streams.removeLast(facts.streams.count - count)
        sample.numbers.removeLast(sample.numbers.count - count)
        let (kept, hashes) = (sample, tables.clientHashes)
        facts.refusals.removeAll { !kept.keeps(client: hashes[Int($0.client)], $0.place) }
        for refusal in facts.refusals { isUsedClient[Int(refusal.client)] = true }
        let (clients, addresses) = tables.keepOnly(clients: isUsedClient, addresses: isUsedAddress)
        for index in facts.streams.indices {
            facts.streams[index].client = clients[Int(facts.streams[index].client)]
            facts.streams[index].address = addresses[Int(facts.streams[index].address)]
        }
        for index in facts.refusals.indices { facts.refusals[index].client = clients[Int(facts.refusals[index].client)] }
        matching.renumber(newNumbers)
    }

    /// Streams whose place in time is not known, because a line of theirs has a wrong time.
    private static func removeStreamsOutOfTime(_ facts: inout LogFacts) {
        let (first, last) = (facts.firstTime - clockMilliseconds, facts.lastTime + clockMilliseconds)
        facts.streams.removeAll { stream in
            let begins = stream.marks.contains(.openingSeen) ? stream.openedAt : stream.endedAt
            return begins < first || stream.openedAt > last || stream.cause != nil && stream.endedAt > last
        }
        facts.refusals.removeAll { $0.time < first || $0.time > last }
    }

    /// All that was taken, in order.
    consuming func finish() -> LogFacts {
        sample.numbers = []
        var (facts, matching) = (self.facts, self.matching)
        self.facts = LogFacts()
        facts.lineCount = lineCount
        if let span = clockCheck.span() { (facts.firstTime, facts.lastTime) = span }
        (facts.wrongTimeLineCount, facts.wrongTime) = (clockCheck.wrongLineCount, clockCheck.wrongTime ?? 0)
        facts.starts.sort { $0.time < $1.time }
        matching.matchLeftovers(in: &facts)
        if facts.wrongTimeLineCount > 0 { StreamCollector.removeStreamsOutOfTime(&facts) }
        facts.streams.sort { ($0.openedAt, $0.place.file, $0.place.line) < ($1.openedAt, $1.place.file, $1.place.line) }
        facts.surroundings = tables.surroundings
        facts.addresses = tables.addresses
        facts.lumps = lumps.finish()
        facts.clientCount = tables.clientHashes.count
        return facts
    }
}

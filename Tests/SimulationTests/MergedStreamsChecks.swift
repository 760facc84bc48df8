// What must hold where a page reads the streams of several pods as one: each event of each pod once and in the pod's order, or a gap in its
// place, and what all pods say once.

import ReferenceEventSource

@testable import Reactor

extension MergedStreamsWorld {
    /// An event as a page read it.
    private struct Read {
        let journal: MergedJournal
        let event: Int
        let visit: Int
        /// How many gaps the page had been told of by then.
        let gapCount: Int
    }

    /// How long bytes may be on their way, and a proxy may leave them unread for a page that reads nothing.
    private static let patienceMilliseconds: Int64 = 6_000

    /// What a page read over all its visits.
    func check(_ page: KeptPage) {
        var reads: [Read] = []
        var known: Set<[Int]> = []
        var gapCount = 0
        for (index, visit) in page.visits.enumerated() {
            let place = "page \(page.number), visit \(index)"
            for event in visit.read.events {
                let text = String(decoding: event.data, as: UTF8.self)
                if event.type == Array("stream_gap".utf8) {
                    count("gaps")
                    gapCount += 1
                    expect(!plan.isSteady, "\(place): a gap is told, and nothing has happened: \(text)")
                    continue
                }
                let numbers = text.split(separator: ".").compactMap { Int($0) }
                guard numbers.count == 2, numbers[0] < journals.count else { return expect(false, "\(place): \(text)") }
                count("events")
                let read = Read(journal: journals[numbers[0]], event: numbers[1], visit: index, gapCount: gapCount)
                expect(read.journal.stream.page == page.number, "\(place): \(text) is another's")
                expect(known.insert(numbers).inserted, "\(place): \(text) comes twice")
                expect(event.lastEventID.starts(with: "hw1.".utf8), "\(place): \(text) has no id of the proxy's")
                if let last = reads.last { checkStream(page, read, after: last, "\(place): \(text)") }
                if plan.repetition == nil {
                    let last = reads.last { $0.journal.pod == read.journal.pod && $0.journal.stream == read.journal.stream }
                    checkPod(read, after: last, "\(place): \(text)")
                }
                reads.append(read)
            }
        }
        for stream in Set(reads.map(\.journal.stream)) {
            checkMissing(page, reads.filter { $0.journal.stream == stream }, of: stream, gapCount)
        }
    }

    /// A page goes on in the stream that it has read, or is told that it is another one.
    private func checkStream(_ page: KeptPage, _ read: Read, after last: Read, _ place: String) {
        guard read.journal.stream != last.journal.stream else { return }
        count("other streams")
        let bringsNone = read.visit > last.visit && page.visits[(last.visit + 1)...read.visit].contains(where: \.broughtID.isEmpty)
        expect(bringsNone || read.gapCount > last.gapCount, "\(place) is of another stream, and no gap is told")
        expect(read.journal.stream.visit > last.journal.stream.visit, "\(place) is of a stream of before")
    }

    /// One event of a pod behind another of its events.
    private func checkPod(_ read: Read, after last: Read?, _ place: String) {
        guard let last else { return expect(read.event == 0 || read.gapCount > 0, "\(place) is the first of its pod") }
        let before = "\(last.journal.number).\(last.event)"
        if read.journal === last.journal {
            expect(read.event > last.event, "\(place) follows \(before)")
            return expect(read.event == last.event + 1 || read.gapCount > last.gapCount, "\(place) follows \(before), and no gap is told")
        }
        expect(read.journal.number > last.journal.number, "\(place) follows \(before)")
        expect(read.gapCount > last.gapCount, "\(place) follows \(before) of the pod's response before, and no gap is told")
    }

    /// What was said in a stream, and has not been read when later events have been, is missing: a gap is told behind the last event of its
    /// pod. Of a topic it is missing where no pod's came, and any gap may stand for it.
    private func checkMissing(_ page: KeptPage, _ reads: [Read], of stream: MergedStream, _ gapCount: Int) {
        let known = Set(reads.map { [$0.journal.number, $0.event] })
        let mine = responses.filter { $0.journal.stream == stream }
        var latest: Int64 = 0
        for response in mine {
            for (offset, time) in response.saidAt.enumerated() where known.contains([response.journal.number, response.first + offset]) {
                latest = max(latest, time)
            }
        }
        for response in mine {
            for (offset, time) in response.saidAt.enumerated() where time < latest - Self.patienceMilliseconds {
                let (journal, event) = (response.journal.number, response.first + offset)
                if known.contains([journal, event]) { continue }
                let last = reads.last { $0.journal.pod == response.pod && ($0.journal.number, $0.event) < (journal, event) }
                expect(
                    gapCount > last?.gapCount ?? 0,
                    "page \(page.number): \(journal).\(event), said at \(time) by pod \(response.pod), is missing, and no gap is told")
            }
        }
    }

    /// What a pod was asked: with its own last id, and once at a time.
    func checkRequest(_ pod: Int, _ stream: MergedStream, _ head: String, _ id: String?) {
        expect(!head.contains("hw1."), "an id of the proxy's has come to pod \(pod): \(head)")
        let openCount = responses.count {
            $0.pod == pod && $0.journal.stream == stream && $0.isOpen && $0.beganAt < world.now - 1_000
        }
        expect(openCount == 0, "pod \(pod) is asked for \(stream), and has \(openCount) responses for it")
        guard let id else { return }
        count("requests with an id")
        let isOwn = journals.contains { journal in
            journal.stream == stream && journal.pod ?? pod == pod && id.hasPrefix("s\(journal.number).")
        }
        expect(isOwn, "pod \(pod) is asked for what follows \(id) of \(stream)")
    }

    /// When all is calm, every page reads what all pods say.
    func checkContentment() {
        for page in pages {
            guard let visit = page.visits.last else { return expect(false, "page \(page.number) never came") }
            let isReading = visit.endedAt == nil && visit.response?.status == 200
            expect(page.isBusy || isReading, "page \(page.number) has no stream: \(visit)")
            expect(
                max(page.longestSilence, page.silence) <= Int64(plan.heartbeatMilliseconds) + toleranceOfSilence,
                "page \(page.number): nothing for \(page.longestSilence) ms, with heartbeats each \(plan.heartbeatMilliseconds)")
            let mine = responses.filter { $0.journal.stream.page == page.number && $0.isOpen }
            for pod in listed { expect(mine.contains { $0.pod == pod }, "page \(page.number): pod \(pod) has no stream") }
            guard isReading, !page.isBusy else { continue }
            checkProgress(page, visit, mine)
        }
    }

    /// What pods have said since all is calm has come.
    private func checkProgress(_ page: KeptPage, _ visit: KeptPage.Visit, _ mine: [MergedResponse]) {
        let known = Set(page.visits.flatMap(\.read.events).map { String(decoding: $0.data, as: UTF8.self) })
        guard let stream = mine.map(\.journal.stream.visit).max() else { return }
        for response in mine where response.journal.stream.visit == stream {
            for (offset, time) in response.saidAt.enumerated()
            where time > max(calmSince, visit.beganAt) + Self.patienceMilliseconds && time < world.now - Self.patienceMilliseconds {
                count("events since all is calm")
                let name = "\(response.journal.number).\(response.first + offset)"
                expect(known.contains(name), "page \(page.number): \(name), said at \(time), has not come")
            }
        }
    }
}

// What must hold for pages whose streams are kept: each event once and in order, a gap event where one is missing, never another's event.

import Configuration
import Foundation
import ReferenceEventSource

@testable import Reactor

extension KeptStreamsWorld {
    /// A gap as a page was told of it.
    struct Told: Decodable {
        var reason: String
        var certain: Bool
        var missed: Int?
        /// The page's last event id before it was told.
        var idBefore: [UInt8]?
    }

    /// An event of a server's, by the numbers in it.
    struct Numbered {
        let journal: Int
        let event: Int
        /// The visit in which it was read.
        let visit: Int
        /// The last event of the journal that has been read by then, or may have stood where the page was not.
        let highest: Int
        /// Whether the page has read it already.
        let isRepeated: Bool
        /// The page's id behind it.
        let id: [UInt8]
    }

    /// What a page read over all its visits.
    func check(_ page: KeptPage) {
        var last: Numbered?
        var known: Set<[Int]> = []
        var gaps: [Told] = []
        for (index, visit) in page.visits.enumerated() {
            let place = "page \(page.number), visit \(index)"
            if let response = visit.response {
                expect(response.status == 200 || response.status == 502 || response.status == 503, "\(place): \(response.status)")
            }
            count("visits over HTTP/\(visit.version)")
            // A page whose place is the same as before is told the same again.
            if !visit.isStolen { gaps.removeAll { $0.idBefore == visit.broughtID } }
            for (number, event) in visit.read.events.enumerated() {
                let text = String(decoding: event.data, as: UTF8.self)
                if event.type == Array("stream_gap".utf8) {
                    guard var told = try? JSONDecoder().decode(Told.self, from: Data(event.data)) else {
                        return expect(false, "\(place): no gap is told by \(text)")
                    }
                    expect(plan.tellsByEvent, "\(place): a gap is told by an event, and the route wants none")
                    count("gap: \(told.reason)")
                    // A reader that is there loses nothing to a bound.
                    expect(told.reason != "expired" || number == 0, "\(place): behind \(number) events it is told of expired ones")
                    told.idBefore = number > 0 ? visit.read.events[number - 1].lastEventID : visit.broughtID
                    gaps.append(told)
                    continue
                }
                if plan.greets, event.type == Array("connected".utf8) {
                    // The proxy drops it where it asks a server again.
                    let isFirst = !visit.read.events[..<number].contains { self.numbers(of: $0) != nil }
                    expect(isFirst, "\(place): a greeting behind \(number) events")
                    continue
                }
                let numbers = text.split(separator: "\n")[0].split(separator: ".").compactMap { Int($0) }
                guard numbers.count == 2, numbers[0] < journals.count else { return expect(false, "\(place): \(text)") }
                // Those that it was told of count too: said again, they are known again.
                let told = gaps.filter { $0.reason == "oversize" }.reduce(0) { $0 + ($1.missed ?? 0) }
                var highest = last.map { $0.journal == numbers[0] ? max($0.highest + told, numbers[1]) : numbers[1] } ?? numbers[1]
                if index != last?.visit, repeatsItself { highest = max(highest, journals[numbers[0]].count(at: visit.beganAt + 1_000) - 1) }
                let next = Numbered(
                    journal: numbers[0], event: numbers[1], visit: index, highest: highest, isRepeated: !known.insert(numbers).inserted,
                    id: event.lastEventID)
                check(page, next, after: last, gaps)
                last = next
                gaps = []
            }
        }
    }

    /// One event behind another.
    private func check(_ page: KeptPage, _ next: Numbered, after last: Numbered?, _ gaps: [Told]) {
        let place = "page \(page.number), visit \(next.visit), event \(next.event) of journal \(next.journal)"
        count("events")
        expect(journals[next.journal].owner == page.owner, "\(place): another's")
        let certain = gaps.filter(\.certain).reduce(0) { $0 + ($1.missed ?? 0) }
        guard let last else {
            // A page may leave before its first event, and come back with the place that it was given.
            let isFirst = next.event == certain || plan.isContinuous
            return expect(isFirst || !gaps.isEmpty || next.visit > 0 || !plan.tellsByEvent, "\(place): the first")
        }
        let before = "\(last.event) of \(last.journal) in visit \(last.visit)"
        let isTold = gaps.contains { !$0.certain }
        // A page whose server emptied the id brings none, and that is a new beginning.
        let bringsNone = next.visit > last.visit && page.visits[(last.visit + 1)...next.visit].contains(where: \.broughtID.isEmpty)
        if next.journal == last.journal {
            if plan.isContinuous { return checkContinuous(page, next, after: last, gaps, bringsNone, "\(place): follows \(before)") }
            if next.visit > last.visit, plan.isLoose, plan.tellsByEvent {
                return expect(isTold || next.event <= last.event + 1 + certain, "\(place): follows \(before)")
            }
            guard plan.tellsByEvent || next.visit == last.visit && plan.gap == .reconnect else {
                if plan.isLoose, next.visit > last.visit { return }
                return expect(next.event > last.event, "\(place): follows \(before)")
            }
            if wasSentBack(page, last, next) { return expect(next.event > last.event, "\(place): follows \(before)") }
            return expect(next.event == last.event + 1 + certain, "\(place): follows \(before), and \(certain) were said to be missing")
        }
        // By an id that its server uses again a page may be given another place, also in front of another response.
        if plan.isLoose, plan.maskMilliseconds != nil, next.visit > last.visit { return }
        expect(next.journal > last.journal, "\(place): follows \(before)")
        if plan.maskMilliseconds == nil { expect(next.visit > last.visit, "\(place): follows \(before) in the same response to the page") }
        if plan.gap == .reconnect, !wasSentBack(page, last, next) {
            expect(next.visit > last.visit, "\(place): follows \(before), and the response goes on")
        }
        guard plan.tellsByEvent, !bringsNone else { return }
        // A gap that the history does not hold any more is one of those that are said to be missing.
        expect(isTold || plan.maskMilliseconds != nil && !gaps.isEmpty, "\(place): follows \(before), and no gap is told")
        guard plan.maskMilliseconds == nil else { return }
        // What was missing of the response before is told before the gap between the two.
        let missing = gaps.reversed().prefix { $0.certain }.reduce(0) { $0 + ($1.missed ?? 0) }
        expect(next.event == missing, "\(place): \(missing) events of it were said to be missing")
        guard let response = responses.first(where: { $0.journal.number == last.journal }) else { return }
        checkPatience(page, next.visit, with: response, place)
        if wasAwaited(page, response) { checkRest(of: response, after: last, gaps, place, isNextVisit: next.visit == last.visit + 1) }
    }

    /// Whether the page was sent back for the gap between these events, and was at the same id again when it came back: it has been told.
    private func wasSentBack(_ page: KeptPage, _ last: Numbered, _ next: Numbered) -> Bool {
        guard plan.gap == .reconnect, next.visit == last.visit, next.visit > 0 else { return false }
        let visit = page.visits[next.visit]
        // By an id that its server uses again a page could come to the same gap time after time, so its return has told of all that was
        // there before it.
        if plan.serverIDs == .loose, !visit.broughtID.isEmpty { return true }
        return visit.broughtID == last.id && page.visits[next.visit - 1].isEndedByProxy
    }

    /// One event behind another, where events go on in the server's next response.
    private func checkContinuous(
        _ page: KeptPage, _ next: Numbered, after last: Numbered, _ gaps: [Told], _ bringsNone: Bool, _ place: String
    ) {
        let isSameVisit = next.visit == last.visit
        if isSameVisit, plan.readsAllOnce {
            count("events over replaced responses")
            return expect(next.event == last.event + 1 && gaps.isEmpty, "\(place), with gaps \(gaps.map(\.reason))")
        }
        if next.event <= last.event {
            // What one connection was too late to say may come over a later one.
            if !next.isRepeated, mayComeLate { return count("events that come late") }
            count("events read again")
            // Of a server without ids, or with loose ones, nothing can be recognised, and of what the log has dropped neither. A page's own
            // request is answered as the server likes.
            let repeats = plan.replay == .inclusive || plan.replay == .everything
            let isForgotten = plan.forgetsEarly || journals[next.journal].events.count > plan.history.events
            let isAllowed =
                isSameVisit && plan.serverIDs == .unique
                ? repeats && (isForgotten || mayComeLate)
                : repeats || plan.serverIDs == .loose
            return expect(isAllowed, "\(place), again")
        }
        if isSameVisit, plan.isResumable, plan.serverIDs == .unique {
            // What the server sends again can be proved to be all, except where it was asked before it had set an id.
            let began = page.visits[next.visit].beganAt
            let wasAskedWithoutID = responses.contains { $0.journal.number == next.journal && !$0.goesOn && $0.beganAt > began + 500 }
            let isTold = gaps.contains { $0.reason == "upstream" }
            expect(!isTold || wasAskedWithoutID, "\(place), and a gap is told, although the server goes on")
        }
        // A server that is asked for what follows another's id has nothing of it.
        let isStolen = page.visits[last.visit...next.visit].contains(where: \.isStolen)
        if next.event == last.event + 1 || bringsNone || isStolen { return }
        // Of what is said again some events may be recognised, and those between them not.
        if repeatsItself || mayComeLate, next.event <= last.highest + 1 { return }
        // By an id that its server uses again a page may be given another place.
        if plan.isLoose, !isSameVisit { return }
        let known = repeatsItself || mayComeLate ? max(last.event, last.highest) : last.event
        if areLate(known + 1..<next.event, of: journals[next.journal]) { return count("events that nobody can miss") }
        guard plan.tellsByEvent else {
            return expect(!isSameVisit || plan.gap == .off || wasSentBack(page, last, next), "\(place), and the response goes on")
        }
        expect(!gaps.isEmpty, "\(place), and no gap is told")
    }

    /// Whether the proxy was surely there when a response ended: what comes a moment after it has left is lost.
    private func wasAwaited(_ page: KeptPage, _ response: KeptResponse) -> Bool {
        guard let ended = response.endedAt else { return false }
        let away = Int64(plan.history.awayMilliseconds)
        return page.visits.contains { $0.beganAt <= ended && ($0.endedAt ?? world.now) + away - 500 > ended }
    }

    /// Who is told that a server's part is over has read all of it.
    private func checkRest(of response: KeptResponse, after last: Numbered, _ gaps: [Told], _ place: String, isNextVisit: Bool) {
        guard gaps.first?.reason == "upstream", response.isWhole, !plan.isLoose, isNextVisit else { return }
        expect(
            last.event == response.journal.events.count - 1,
            "\(place): follows \(last.event) of \(response.journal.events.count) of the response before")
    }

    /// The proxy has left a server's stream only if its page was away for long enough.
    private func checkPatience(_ page: KeptPage, _ visit: Int, with response: KeptResponse, _ place: String) {
        guard response.endedAt == nil else { return }
        // Who leaves within a block above the limit cannot go on.
        if plan.limits.eventBytes < Limits().eventBytes { return }
        // An id that may be forgotten while its stream is kept is then like one that nobody knows.
        if plan.forgetsEarly || page.visits.contains(where: \.isStolen) { return }
        // By an id of the server the proxy cannot tell a second page from one that it has not missed yet.
        if plan.pagesHaveServerIDs, cameBackUnnoticed(page, visit) { return }
        guard let left = response.leftAt else { return expect(false, "\(place): its stream of before is still open") }
        // A page that left before its answer may not have been seen.
        let before = page.visits.filter { $0.beganAt <= left - 500 && $0.response != nil }
        let isThere = before.contains { ($0.endedAt ?? .max) > left }
        expect(!isThere, "\(place): the stream of before was left at \(left), and the page was there")
        // A page that has just come may not have reached the proxy.
        guard let since = before.compactMap(\.endedAt).filter({ $0 <= left }).max().map({ left - $0 }) else { return }
        expect(since >= Int64(plan.history.awayMilliseconds) - 200, "\(place): the stream of before was left after \(since) ms")
    }

    /// Whether the page may have come back before the proxy saw that it was gone.
    private func cameBackUnnoticed(_ page: KeptPage, _ visit: Int) -> Bool {
        (0..<visit).contains { index in
            let ended = page.visits[index].endedAt ?? 0
            return page.visits[index].deed == .vanished || page.visits[index + 1].beganAt - ended < 500
        }
    }

    /// A server's stream is left soon after nobody has read it for the time of `away`.
    private func checkLeaving(_ page: KeptPage) {
        // How long bytes need, a deadline's tick, and a page whose request was sent once more.
        let tolerance: Int64 = 2_500
        guard plan.maskMilliseconds == nil else { return }
        for response in responses where response.journal.owner == page.owner && response.endedAt == nil {
            // Who vanishes is missed late.
            if page.visits.contains(where: { $0.deed == .vanished && ($0.endedAt ?? .max) >= response.beganAt - 1_000 }) { continue }
            let last = page.visits.last { visit in
                let numbers = visit.read.events.compactMap { self.numbers(of: $0)?.first }
                return numbers.isEmpty ? (visit.endedAt ?? .max) >= response.beganAt : numbers.contains(response.journal.number)
            }
            guard let last, let ended = last.endedAt else { continue }
            let latest = max(ended, response.beganAt) + Int64(plan.history.awayMilliseconds) + tolerance
            expect(
                (response.leftAt ?? world.now) <= latest,
                "page \(page.number): response \(response.number) was open until \(response.leftAt ?? world.now), and last read at \(ended)"
            )
        }
    }

    /// The numbers in an event of a server's; nil in others.
    func numbers(of event: ReferenceEventSource.Event) -> [Int]? {
        let numbers = String(decoding: event.data, as: UTF8.self).split(separator: "\n").first?.split(separator: ".").compactMap { Int($0) }
        return numbers?.count == 2 ? numbers : nil
    }

    /// What the server was asked: with the server's part of the page's id, and with nothing of the proxy's.
    func checkRequest(of owner: String, _ head: String, _ id: String?) {
        expect(!head.contains("hw1."), "an id of the proxy's has come to the server: \(head)")
        guard let page = pages.first(where: { $0.owner == owner }) else { return expect(false, "nobody has asked for \(owner)") }
        // At most one connection for each stream, two while it is replaced, and at most one new stream for each request.
        let openCount = responses.count { $0.journal.owner == owner && $0.isOpen && $0.beganAt < world.now - 1_000 }
        expect(
            openCount <= page.visits.count * (plan.recycling?.overlaps == true ? 2 : 1),
            "page \(page.number): \(openCount) responses are open, and it has come \(page.visits.count) times")
        // Behind the page's back the server may be asked for another of its streams.
        guard page.waitsForAnswer, plan.maskMilliseconds == nil else { return }
        let brought = page.visits.suffix(3).map { String(decoding: $0.broughtID, as: UTF8.self) }.map { text in
            text.hasPrefix("hw1.") ? "" : text.firstRange(of: "~hw1.").map { String(text[..<$0.lowerBound]) } ?? text
        }
        expect(brought.contains(id ?? ""), "page \(page.number): its server is asked with \(id ?? "no id"), and it brought \(brought)")
    }

    /// When all is calm, every page reads what its server says.
    func checkContentment() {
        for page in pages {
            guard let visit = page.visits.last else { return expect(false, "page \(page.number) never came") }
            let recent = responses.last { $0.journal.owner == page.owner && ($0.isOpen || isBeingReplaced($0)) }
            // Told of a gap by an end, a page is on its way back, or does not read yet that it has to.
            let comesBack = plan.gap == .reconnect && (page.isBusy || world.now - (visit.endedAt ?? visit.beganAt) < 1_000)
            expect(comesBack || recent != nil, "page \(page.number): its server has no stream")
            expect(
                comesBack || page.isBusy || visit.endedAt == nil && visit.response?.status == 200,
                "page \(page.number) has no stream: \(visit)")
            expect(
                max(page.longestSilence, page.silence) <= Int64(plan.heartbeatMilliseconds) + toleranceOfSilence,
                "page \(page.number): nothing for \(page.longestSilence) ms, with heartbeats each \(plan.heartbeatMilliseconds)")
            checkLeaving(page)
            checkMasking(page)
        }
    }

    /// While a server is away, the response to the page goes on for the route's time, and not much longer.
    private func checkMasking(_ page: KeptPage) {
        guard let mask = plan.maskMilliseconds.map(Int64.init), plan.tellsByEvent else { return }
        let mine = responses.filter { $0.journal.owner == page.owner }
        for (index, visit) in page.visits.enumerated() where visit.response?.status == 200 {
            let end = visit.endedAt ?? world.now
            // Nothing is known of a page's stream before its first event.
            guard visit.read.events.contains(where: { numbers(of: $0) != nil }) else { continue }
            guard let last = mine.last(where: { $0.beganAt < end }), let dropped = last.endedAt, dropped < end else { continue }
            // A page that comes back may find that its stream is over, and what is dropped then is another one.
            if index > 0, plan.forgetsEarly || plan.history.awayMilliseconds < 30_000 || last.beganAt < visit.beganAt { continue }
            // A page may have more than one stream for a while, by ids of its server.
            if mine.contains(where: { $0.beganAt < end && $0 !== last && ($0.endedAt ?? $0.leftAt ?? .max) > dropped }) { continue }
            count("visits that end while a server is away")
            let place = "page \(page.number), visit \(index): its server dropped at \(dropped)"
            // The pause before another attempt may be that long, and one that would come too late is not waited for.
            if visit.isEndedByProxy, visit.deed == .left, !page.answeredOtherwiseAt.contains(where: { visit.beganAt...end ~= $0 }),
                plan.limits.eventBytes == Limits().eventBytes, end < drainsSince
            {
                // The last response may be another stream's, of the same owner: this page's server may have dropped before.
                let first = mine.compactMap(\.endedAt).filter { $0 >= visit.beganAt && $0 < end }.min() ?? dropped
                expect(end - first >= mask - 8_000 || dropped < visit.beganAt, "\(place), and the page's response ended at \(end)")
            }
            expect(end - max(dropped, visit.beganAt) <= mask + 6_000, "\(place), and the page's response went on until \(end)")
        }
    }
}

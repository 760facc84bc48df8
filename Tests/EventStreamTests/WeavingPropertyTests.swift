// The first promise of the proxy, checked with random streams: an EventSource reads the same events, ids and retry values with and
// without the weaver, for every split and every moment at which heartbeats come.
//
// The seed is printed. HEARTWIRE_SEED=<seed> runs the same cases again. A failure names its own seed; with that seed the failing case
// comes first.

import EventStream
import ReferenceEventSource
import TestSupport
import Testing

@Suite struct WeavingPropertyTests {
    private static let caseCount: UInt64 = 20_000
    private static let heartbeatName = "heartwire-heartbeat"

    @Test("an EventSource reads the same with and without the weaver, whatever the split and the heartbeats")
    func sameEvents() throws {
        let seed = SeededGenerator.seed(of: "weaving")
        let forms: [CommentForm] = [.automatic, .line, .block]
        let heartbeats = try forms.flatMap { form in
            [
                try Heartbeat(.comment, form: form), try Heartbeat(.comment, text: "still: here", form: form),
                try Heartbeat(.event(name: Self.heartbeatName), form: form),
                try Heartbeat(.both(name: Self.heartbeatName), text: "data: x", form: form),
            ]
        }
        var wovenCount = 0
        var swallowedCount = 0
        var droppedCount = 0
        for index in 0..<Self.caseCount {
            var random = SeededGenerator(seed: seed &+ index)
            let stream = randomStream(using: &random)
            let run = Run(stream: stream, heartbeats: heartbeats, checksPrefixes: index % 8 == 0, random: &random)
            if let difference = run.difference {
                Issue.record(
                    "HEARTWIRE_SEED=\(seed &+ index): \(difference)\nupstream: \(stream)\ndownstream: \(run.weaving.downstream)")
                return
            }
            wovenCount += run.weaving.wovenCount
            swallowedCount += Int(run.weaving.weaver.swallowedLineFeedCount)
            droppedCount += run.weaving.weaver.droppedByteOrderMarkByteCount
        }
        // The cases must have covered what they are for.
        #expect(wovenCount > 20_000)
        #expect(swallowedCount > 500)
        #expect(droppedCount > 500)
    }

    /// One random stream through one weaver.
    private struct Run {
        var weaving: Weaving
        var difference: String?
        /// The id that the browser brought. By the standard the new stream's buffer is empty all the same.
        var carried: [UInt8]

        init(stream: [UInt8], heartbeats: [Heartbeat], checksPrefixes: Bool, random: inout SeededGenerator) {
            carried = random.oneIn(2) ? Array("41".utf8) : []
            weaving = Weaving(weaver: Weaver(resumes: !carried.isEmpty))
            let heartbeat = random.pick(heartbeats)
            let oneIn = random.pick([1, 2, 5, 1_000])
            if random.oneIn(2) {
                weaving.weave(heartbeat.openingComment(in: weaving.weaver))
            }
            var upstream: [UInt8] = []
            for part in randomSplit(of: stream, using: &random) {
                weaving.receive(part)
                upstream += part
                if checksPrefixes, difference == nil, upstream.count < 400 {
                    checkSame(upstream)
                    checkPlacement(upstream)
                }
                while random.oneIn(oneIn) || random.oneIn(50) {
                    let placement = weaving.weaver.placement
                    if placement == .nowhere { break }
                    weaving.weave(heartbeat.bytes(in: weaving.weaver))
                    if oneIn == 1, random.oneIn(2) { break }
                }
            }
            checkPlacement(stream)
            weaving.finish()
            if difference == nil { checkSame(stream) }
            if difference == nil { checkBytes(stream) }
            if difference == nil { checkScanner(stream) }
        }

        /// What a browser reads, without the heartbeat's events, which are recognised by name.
        private mutating func checkSame(_ upstream: [UInt8]) {
            let direct = ReferenceEventSource(reading: upstream, after: carried)
            let woven = ReferenceEventSource(reading: weaving.downstream, after: carried).without(type: heartbeatName)
            if direct.events != woven.events {
                difference = "events \(woven.events), not \(direct.events)"
            } else if direct.lastEventID != woven.lastEventID {
                difference = "last id \(woven.lastEventID), not \(direct.lastEventID)"
            } else if direct.reconnectionTimeMilliseconds != woven.reconnectionTimeMilliseconds {
                difference = "retry"
            } else if direct.isEventOpen, !woven.isEventOpen {
                difference = "an open event was ended"
            }
        }

        /// Something may be inserted exactly where no line of the downstream is open.
        private mutating func checkPlacement(_ upstream: [UInt8]) {
            let direct = ReferenceEventSource(reading: upstream)
            let isWithheld = [[], [0xEF], [0xEF, 0xBB]].contains(upstream)
            let expected: Placement
            let mayHoldBlankLine = carried.isEmpty || direct.lastBoundary != nil
            if !isWithheld, !direct.endsBetweenLines {
                expected = .nowhere
            } else {
                expected = direct.isEventOpen || !mayHoldBlankLine ? .betweenLines : .betweenEvents
            }
            if weaving.weaver.placement != expected {
                difference = "placement \(weaving.weaver.placement), not \(expected), after \(upstream)"
            }
        }

        /// Every byte of the upstream went on or is accounted for.
        private mutating func checkBytes(_ upstream: [UInt8]) {
            let weaver = weaving.weaver
            let kept = Array(upstream.dropFirst(weaver.droppedByteOrderMarkByteCount))
            if weaving.passed.count + Int(weaver.swallowedLineFeedCount) != kept.count {
                difference = "\(weaving.passed.count) bytes passed and \(weaver.swallowedLineFeedCount) swallowed of \(kept.count)"
            } else if weaving.passed.filter({ $0 != 10 }) != kept.filter({ $0 != 10 }) {
                difference = "bytes other than swallowed LFs were changed"
            } else if weaver.swallowedLineFeedCount == 0, weaving.passed != kept {
                difference = "bytes changed though none were swallowed"
            }
        }

        /// The scanner's own results for the upstream.
        private mutating func checkScanner(_ upstream: [UInt8]) {
            let direct = ReferenceEventSource(reading: upstream)
            let scanner = weaving.weaver.scanner
            if scanner.eventCount != UInt64(direct.events.count) {
                difference = "\(scanner.eventCount) events counted, not \(direct.events.count)"
            } else if scanner.lastEventID != Array(direct.lastEventID.prefix(256)) {
                difference = "scanner's last id \(scanner.lastEventID), not \(direct.lastEventID)"
            } else if scanner.isLastEventIDTruncated != (direct.lastEventID.count > 256) {
                difference = "scanner's truncation of \(direct.lastEventID.count) bytes"
            } else if scanner.retryMilliseconds != direct.reconnectionTimeMilliseconds {
                difference = "scanner's retry \(String(describing: scanner.retryMilliseconds))"
            } else if weaving.boundary != direct.lastBoundary {
                difference = "last boundary \(String(describing: weaving.boundary))"
            }
        }

        private var heartbeatName: String { WeavingPropertyTests.heartbeatName }
    }
}

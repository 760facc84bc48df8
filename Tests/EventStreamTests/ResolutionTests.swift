// What a client's id says, where the client goes on, and a client's life over all its reconnects.

import EventStream
import ReferenceEventSource
import TestSupport
import Testing

@Suite("Ids that clients bring")
struct ClientIdentifierTests {
    private static let vectors: [(id: String, epoch: UInt64?, sequence: UInt64, server: String)] = [
        ("", nil, 0, ""),
        ("7", nil, 0, "7"),
        ("hw1.AAECAwQF.0", 0x0001_0203_0405, 0, ""),
        ("hw1.________.1q7", 0xFFFF_FFFF_FFFF, 2239, ""),
        ("hw1.AAAAAAAA.3w5e11264sgsf", 0, .max, ""),
        ("7~hw1.AAECAwQF.z", 0x0001_0203_0405, 35, "7"),
        ("a~hw1.AAAAAAAA.1~hw1.AAECAwQF.2", 0x0001_0203_0405, 2, "a~hw1.AAAAAAAA.1"),
        ("~hw1.AAECAwQF.2", 0x0001_0203_0405, 2, ""),
        // Damaged ids name no place, and their proxy's part goes to no server.
        ("hw1.", nil, 0, ""), ("hw1.AAECAwQF", nil, 0, ""), ("hw1.AAECAwQF.", nil, 0, ""), ("hw1.AAECAwQF.01", nil, 0, ""),
        ("hw1.AAECAwQF.A", nil, 0, ""), ("hw1.AAECAwQF.3w5e11264sgsg", nil, 0, ""), ("hw1.AAECAwQF.3w5e11264sgsf0", nil, 0, ""),
        ("hw1.AAECAw=F.1", nil, 0, ""), ("hw1.AAECAwQF.1 ", nil, 0, ""), ("hw1.AAECAwQF.1\n", nil, 0, ""), ("7~hw1.x", nil, 0, "7"),
        ("7~hw1.AAECAwQF.-1", nil, 0, "7"), ("hw1.x~hw1.AAECAwQF.1", nil, 0, ""),
        // Others' ids.
        ("hw2.AAECAwQF.1", nil, 0, "hw2.AAECAwQF.1"), ("HW1.AAECAwQF.1", nil, 0, "HW1.AAECAwQF.1"), ("7~", nil, 0, "7~"),
        (" hw1.AAECAwQF.1", nil, 0, " hw1.AAECAwQF.1"), ("7 hw1.AAECAwQF.1", nil, 0, "7 hw1.AAECAwQF.1"),
    ]

    @Test("are places, or the server's, or nothing that goes on", arguments: vectors)
    func reading(id: String, epoch: UInt64?, sequence: UInt64, server: String) {
        let identifier = ClientIdentifier(Array(id.utf8))
        #expect(identifier.position == epoch.map { Position(Epoch(truncating: $0), sequence) })
        #expect(String(decoding: identifier.server, as: UTF8.self) == server)
    }

    @Test("are read as they were written, in at most 26 bytes")
    func writing() {
        var random = SeededGenerator("position ids")
        for _ in 0..<20_000 {
            let position = Position(Epoch(truncating: random.next()), random.next() >> UInt64(random.below(64)))
            var bytes: [UInt8] = []
            PositionID.append(position, to: &bytes)
            #expect(bytes.count <= PositionID.longestByteCount && PositionID.read(bytes.span) == position)
            bytes[random.below(bytes.count)] = UInt8(random.below(256))
            // What reads differently is spelled differently: there is one spelling for each place.
            if let other = PositionID.read(bytes.span) {
                var again: [UInt8] = []
                PositionID.append(other, to: &again)
                #expect(again == bytes)
            }
        }
    }

    @Test("are restored at the start of a response, where a line can hold them")
    func restoring() {
        #expect(ClientIdentifier(Array(" 7".utf8)).restoring == Array("id:  7\n\n".utf8))
        for id in ["", "a\nb", "a\rb", "a\0b"] { #expect(ClientIdentifier(Array(id.utf8)).restoring == nil) }
    }
}

@Suite("Where a client goes on")
struct ResolutionTests {
    private func makeLog(_ policy: IdentifierPolicy, blocks: Int = 1_000) -> BlockLog {
        BlockLog(
            BlockLog.Rules(identifiers: policy, gaps: .event(type: Array("stream_gap".utf8)), blockLimit: blocks),
            epoch: Epoch(truncating: 5))
    }

    private func resolve(_ id: String, in log: BlockLog) -> Resolution { log.resolve(ClientIdentifier(Array(id.utf8))) }

    @Test("goes on behind the place that its id names, or behind the oldest block with a gap")
    func positions() {
        let log = makeLog(.own, blocks: 3)
        for _ in 0..<5 { log.append("data: a\n\n") }
        #expect(resolve("", in: log) == .fresh)
        #expect(resolve(positionID(5, 0), in: log) == .resume(at: 1))
        log.trim(at: 0)
        #expect(resolve(positionID(5, 0), in: log) == .gap(Gap(.expired, isCertain: true, missedCount: 2), at: 3))
        #expect(resolve(positionID(5, 1), in: log) == .gap(Gap(.expired, isCertain: true, missedCount: 1), at: 3))
        #expect(resolve(positionID(5, 2), in: log) == .resume(at: 3))
        #expect(resolve(positionID(5, 5), in: log) == .resume(at: 6))
        for id in [positionID(5, 6), positionID(5, .max), positionID(6, 2), "hw1.x", "7"] { #expect(resolve(id, in: log) == .unknown) }
    }

    @Test("goes on behind the first block that set the server's id; doubtful once an id came twice and blocks are gone")
    func serverIdentifiers() {
        let log = makeLog(.keep, blocks: 4)
        log.append("id: 5\ndata: a\n\nid: 6\ndata: b\n\nid: 5\ndata: c\n\nid: 7\ndata: d\n\n")
        #expect(resolve("5", in: log) == .resume(at: 2))
        #expect(resolve("6", in: log) == .resume(at: 3))
        log.append("data: e\n\n")
        log.trim(at: 0)
        #expect(resolve("7", in: log) == .gap(Gap(.repeated, isCertain: false), at: 5))
        #expect(resolve("8", in: log) == .unknown)
    }

    @Test("doubts the ids of a server that counts again from the beginning, also where the first ones are forgotten")
    func countingAgain() {
        let log = makeLog(.keep, blocks: 3)
        for number in 1...100 {
            log.append("id: \(number)\ndata: a\n\n")
            log.trim(at: 0)
        }
        #expect(resolve("100", in: log) == .resume(at: 101))
        log.append("id: 1\ndata: b\n\nid: 2\ndata: c\n\n")
        #expect(resolve("1", in: log) == .gap(Gap(.repeated, isCertain: false), at: 102))
    }

    @Test("tells a client with an id of a block that was dropped not long ago how much it has missed")
    func droppedIdentifiers() {
        let log = makeLog(.keep, blocks: 3)
        log.append((1...6).map { "id: u\($0)\ndata: a\n\n" }.joined())
        log.trim(at: 0)
        #expect(resolve("u2", in: log) == .gap(Gap(.expired, isCertain: true, missedCount: 1), at: 4))
        #expect(resolve("u3", in: log) == .resume(at: 4))
    }

    @Test("knows nothing of an id of another log, and finds whole ids of a proxy behind this one")
    func foreignPlaces() {
        let log = makeLog(.suffix)
        log.append("id: 5\ndata: a\n\ndata: b\n\n")
        #expect(resolve("5~" + positionID(5, 2), in: log) == .resume(at: 3))
        // In another log the server may have counted again.
        #expect(resolve("5~" + positionID(9, 2), in: log) == .unknown)
        #expect(resolve("5~hw1.damaged", in: log) == .resume(at: 2))
        #expect(resolve("5", in: log) == .resume(at: 2))
        let outer = makeLog(.keep)
        outer.append("id: \(positionID(9, 1))\ndata: a\n\nid: 7~\(positionID(9, 2))\ndata: b\n\n")
        #expect(resolve(positionID(9, 1), in: outer) == .resume(at: 2))
        #expect(resolve("7~" + positionID(9, 2), in: outer) == .resume(at: 3))
        #expect(resolve(positionID(9, 3), in: outer) == .unknown)
    }

    @Test("resolves places of before another epoch up to the change, and a few epochs back")
    func epochs() {
        let log = makeLog(.own)
        log.append("data: a\n\ndata: b\n\n")
        log.begin(Epoch(truncating: 6), after: .owner)
        log.append("data: c\n\n")
        #expect(resolve(positionID(5, 2), in: log) == .resume(at: 3))
        #expect(resolve(positionID(5, 3), in: log) == .gap(Gap(.owner, isCertain: false), at: 3))
        #expect(resolve(positionID(6, 3), in: log) == .resume(at: 4))
        for epoch in 7..<10 as Range<UInt64> { log.begin(Epoch(truncating: epoch), after: .store) }
        #expect(resolve(positionID(5, 2), in: log) == .resume(at: 3))
        log.begin(Epoch(truncating: 10), after: .store)
        #expect(resolve(positionID(5, 2), in: log) == .unknown)
    }

    // MARK: A client's life

    private enum ServerIdentifiers: CaseIterable {
        case none
        case unique
        case loose
        /// Numbers that begin again.
        case restarting
    }

    @Test(
        "a client reads each block once over all its reconnects, or a gap in its place", arguments: [IdentifierPolicy.keep, .suffix, .own])
    func life(policy: IdentifierPolicy) {
        let seed = SeededGenerator.seed(of: "a client's life")
        var (eventCount, gapCount, connectionCount) = (0, 0, 0)
        for index in 0..<400 as Range<UInt64> {
            var life = Life(SeededGenerator(seed: seed &+ index), policy)
            for _ in 0..<40 where life.difference == nil { life.connect() }
            if let difference = life.difference {
                Issue.record("HEARTWIRE_SEED=\(seed &+ index): \(difference)")
                return
            }
            eventCount += life.eventCount
            gapCount += life.gapCount
            connectionCount += 40
        }
        #expect(
            eventCount > connectionCount && gapCount > 500, "\(eventCount) events and \(gapCount) gaps in \(connectionCount) connections")
    }

    /// One client, whose browser follows the standard exactly, of a stream that counts its blocks.
    private struct Life {
        var difference: String?
        var eventCount = 0
        var gapCount = 0
        private var random: SeededGenerator
        private let log: BlockLog
        private let identifiers: ServerIdentifiers
        private let isExact: Bool
        private var lastEventID: [UInt8] = []
        /// The number of the last block with data that the client has read.
        private var counter = 0
        private var lastRead: UInt64 = 0
        private var hasHadID = false
        /// The client has been told that blocks may be missing before the next one.
        private var isToldOfGap = false
        private var withoutData: Set<UInt64> = []

        init(_ random: SeededGenerator, _ policy: IdentifierPolicy) {
            self.random = random
            identifiers = self.random.pick(ServerIdentifiers.allCases)
            isExact = policy != .keep || identifiers == .none || identifiers == .unique
            let rules = BlockLog.Rules(
                identifiers: policy, gaps: .event(type: Array("stream_gap".utf8)), blockLimit: self.random.pick([3, 20, 1_000]))
            log = BlockLog(rules, epoch: Epoch(truncating: self.random.next()))
        }

        /// The server sends some blocks; its ids are what they are.
        private mutating func serve() {
            for _ in 0..<random.below(5) {
                let number = log.next
                var lines = ["data: \(number)"]
                if random.oneIn(6) {
                    withoutData.insert(number)
                    lines = ["retry: 9"]
                }
                switch identifiers {
                case .none: break
                case .unique: if lines[0] != "retry: 9" { lines.append("id: u\(number)") }
                case .loose: if random.oneIn(2) { lines.append("id: \(random.below(4))") }
                case .restarting:
                    counter = random.oneIn(25) ? 1 : counter + 1
                    lines.append("id: \(counter)")
                }
                log.append(lines.joined(separator: "\n") + "\n\n")
            }
        }

        mutating func connect() {
            serve()
            let brought = ClientIdentifier(lastEventID)
            var response = brought.restoring ?? []
            var cursor = log.next
            switch log.resolve(brought) {
            case .fresh:
                if hasHadID {
                    difference = "the id was lost behind block \(lastRead)"
                    return
                }
                // A client whose blocks had no id so far is somebody new.
                lastRead = 0
                _ = log.appendPlace(cursor, to: &response)
            case .resume(let start): cursor = start
            case .gap(let gap, let start):
                cursor = start
                response += log.gapEvent(gap, before: cursor) ?? []
            case .unknown: response += log.gapEvent(Resolution.unknownGap, before: cursor) ?? []
            }
            for _ in 0..<random.below(4) {
                serve()
                // A slow reader falls behind, a fast one never.
                if random.oneIn(2) { read(&cursor, into: &response) }
                log.trim(at: 0, keptFrom: random.oneIn(2) ? cursor : .max)
            }
            read(&cursor, into: &response)
            // The connection breaks at any byte.
            if random.oneIn(2) { response = Array(response[..<random.below(response.count + 1)]) }
            take(response)
            log.trim(at: 0)
        }

        private func read(_ cursor: inout UInt64, into response: inout [UInt8]) {
            while true {
                switch log.read(&cursor) {
                case .upToDate: return
                case .blocks(let slice): response += slice.copied
                case .gap(let gap): response += log.gapEvent(gap, before: cursor) ?? []
                }
            }
        }

        private mutating func take(_ response: [UInt8]) {
            let browser = ReferenceEventSource(reading: response, after: lastEventID)
            for event in browser.events {
                let data = String(decoding: event.data, as: UTF8.self)
                if event.type == Array("stream_gap".utf8) {
                    gapCount += 1
                    let count = data.split(separator: ":").last.flatMap { UInt64($0.dropLast()) }
                    if data.contains("\"certain\":true"), count == nil || count == 0 { difference = "a certain gap of nothing" }
                    isToldOfGap = true
                    continue
                }
                let number = UInt64(data)!
                eventCount += 1
                // Blocks without data are read by no script.
                var expected = lastRead &+ 1
                while withoutData.contains(expected) { expected += 1 }
                let isNew = lastRead == 0
                if !isToldOfGap, !isNew, isExact ? number != expected : number > expected {
                    difference = "block \(number) behind \(lastRead), id \(String(decoding: lastEventID, as: UTF8.self))"
                    return
                }
                if isExact, !isNew, number <= lastRead { difference = "block \(number) again" }
                lastRead = number
                isToldOfGap = false
            }
            lastEventID = browser.lastEventID
            hasHadID = hasHadID || !lastEventID.isEmpty
        }
    }
}

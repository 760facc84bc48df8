// Compares conf/logs.md with what the records write.

import Credentials
import Foundation
import Reactor
import Testing

@testable import Telemetry

private func lines(of section: String) throws -> [String] { try ManualPage("logs.md").lines(of: section) }

private func rows(of section: String) throws -> [[String]] { try ManualPage("logs.md").rows(of: section) }

/// The keys that one section describes.
private func documentedKeys(in section: String) throws -> Set<String> { Set(try rows(of: section).flatMap { words(in: $0[0]) }) }

@Suite("The page about the logs")
struct ReferenceTests {
    @Test("lists every cause in order with its side and its explanation, says where to look, and knows no other cause")
    func causes() throws {
        let found = try rows(of: "The causes")
        #expect(found.map { Array($0.prefix(3)) } == Cause.allCases.map { ["`\($0.rawValue)`", $0.side.rawValue, $0.explanation] })
        for row in found { #expect(row.count == 4 && row[3].count > 5, "\(row)") }
    }

    @Test("describes every key of every line, and none that no line has")
    func keysOfLines() throws {
        let shared = try documentedKeys(in: "What every line says of its exchange")
        let view = try documentedKeys(in: "The kernel's view")
        #expect(Set(keys(RecordSamples.opening())) == shared)
        #expect(Set(keys(RecordSamples.ending())).subtracting(shared) == (try documentedKeys(in: "The end of a stream")))
        #expect(Set(keys(RecordSamples.access())).subtracting(shared) == (try documentedKeys(in: "Other exchanges")))
        #expect(Set(keys(RecordSamples.gap())).subtracting(shared) == (try documentedKeys(in: "Gaps")))
        let gap = try #require(try rows(of: "Gaps").first)
        for reason in GapReason.allCases { #expect(gap[1].contains("`\(reason.rawValue)`:")) }
        let transport = try #require(try parsed(RecordSamples.access())["tcp"] as? [String: Any])
        #expect(Set(transport.keys) == view)
    }

    @Test("describes every key of the lines about single events, and its examples are such lines")
    func keysOfEvents() throws {
        let event = RecordSamples.events()
        let withheld = RecordSamples.events(.withheld)
        let found = Set((event + withheld).flatMap { keys($0) })
        #expect(found == (try documentedKeys(in: "Single events")))
        let page = try lines(of: "Single events")
        let examples = page.filter { $0.hasPrefix("{\"time\"") }.map { keys(Array($0.utf8)) }
        #expect(examples == [keys(RecordSamples.events(.whole)[0]), keys(event[1])])
    }

    @Test("describes every key of the line about the proxy, and its example is such a line")
    func keysOfStart() throws {
        let line = RecordSamples.start()
        let route = try #require((try parsed(line)["routes"] as? [[String: Any]])?.first)
        #expect(Set(keys(line)).union(route.keys) == (try documentedKeys(in: "The proxy itself")))
        let example = try #require(try lines(of: "The proxy itself").first { $0.hasPrefix("{\"time\"") })
        #expect(keys(Array(example.utf8)) == keys(RecordSamples.start(.start, silence: nil)))
    }

    @Test("lists every sign of a proxy in front, in the order of the table, every kind of client, and every version of HTTP")
    func clients() throws {
        let signs = HopSign.all.map { sign in
            let field = "`\(sign.field)\(sign.match == .prefix ? "…" : "")`"
            return ["`\(sign.word)`", field, sign.value.map { "`\($0)`" } ?? ""]
        }
        #expect(try rows(of: "The proxies in front") == signs)
        let shared = try rows(of: "What every line says of its exchange")
        let agents = try #require(shared.first { $0[0] == "`agent`" })
        #expect(words(in: agents[1]).filter { $0 != "User-Agent" } == AgentClass.allCases.map { "\($0.name)" })
        let versions = try #require(shared.first { $0[0] == "`http`" })
        #expect(words(in: versions[1]) == ClientProtocol.allCases.map { "\($0.name)" })
    }

    @Test("names every event and every reason not to weave")
    func events() throws {
        var dropped: [UInt8] = []
        encodeDroppedLines(3, timeMilliseconds: 0, into: &dropped)
        let lines =
            [RecordSamples.opening(), RecordSamples.ending(), RecordSamples.gap(), RecordSamples.access()] + RecordSamples.events() + [
                RecordSamples.start(), dropped,
            ]
        let events = try lines.map { try #require(try parsed($0)["event"] as? String) }
        #expect(try rows(of: "The events").map { $0[0] } == events.map { "`\($0)`" })
        let reasons = try #require(try rows(of: "What every line says of its exchange").last)
        let kept = try #require(try rows(of: "What every line says of its exchange").first { $0[0] == "`not_kept_because`" })
        for reason in NotKeptReason.allCases { #expect(kept[1].contains("`\(reason.name)`:")) }
        for reason in NotWovenReason.allCases {
            #expect(reasons[1].contains("`\(reason.name)`"))
        }
    }
}

/// Records with every key.
private enum RecordSamples {
    /// State 0 has no name, so that its number is written.
    static let view = {
        var view = TransportInformation()
        view.acknowledgedBytes = 1
        view.unsentBytes = 1
        view.deliveryBytesPerSecond = 1
        return view
    }()

    static func start(_ occasion: StartRecord.Occasion = .reopening, silence: Int? = 1) -> [UInt8] {
        let route = StartRecord.Route(
            name: "/*", upstream: "u", heartbeatMilliseconds: 1, streamSilenceTimeoutMilliseconds: silence, clientStallMilliseconds: 1,
            responseTimeoutMilliseconds: 1)
        var line: [UInt8] = []
        StartRecord(timeMilliseconds: 0, occasion: occasion, process: 1, configurationDigest: 1, workerCount: 1, routes: [route])
            .encode(into: &line)
        return line
    }

    static func exchange() -> ExchangeDescription {
        var exchange = ExchangeDescription(stream: StreamIdentifier(worker: 0, number: 1), client: "192.0.2.1:1")
        exchange.route = "/*"
        exchange.upstream = "backend"
        exchange.server = "192.0.2.2:80"
        exchange.tlsVersion = "TLSv1.3"
        exchange.clientForwarded = [0x31][...]
        exchange.host = [0x31][...]
        exchange.path = [0x2F][...]
        exchange.method = [0x47][...]
        exchange.status = 200
        exchange.tokenFingerprint = 1
        exchange.tokenOrigin = .cookie
        exchange.identity = TokenIdentity(issuer: "main", expiresSeconds: 1_800_000_000, subject: .fingerprint(1))
        exchange.ticket = TicketID([UInt8](0..<16))
        exchange.requester = RequesterDescription(
            resumes: true, clientProtocol: .http2, sharedConnection: 7, agent: .chrome, hops: Hops(bits: 1), viaCount: 1, forwardedCount: 1,
            expectedTimeoutMilliseconds: 1)
        return exchange
    }

    static func opening() -> [UInt8] {
        var line: [UInt8] = []
        var opening = StreamOpening(
            timeMilliseconds: 0, exchange: exchange(), notWovenBecause: .compressed, heldBecause: .outage(.connectFailed, evidence: "seen"))
        opening.lastEventIdentifierIsDropped = true
        opening.heartbeatMilliseconds = 1
        opening.ageMilliseconds = 1
        opening.resumedFrom = StreamIdentifier(worker: 0, number: 1)
        opening.notKeptBecause = .compressed
        opening.previous = (StreamIdentifier(worker: 0, number: 1), sinceMilliseconds: 1)
        opening.encode(into: &line)
        return line
    }

    static func gap() -> [UInt8] {
        var line: [UInt8] = []
        StreamGapRecord(timeMilliseconds: 0, exchange: exchange(), reason: .expired, isCertain: true, missed: 1).encode(into: &line)
        return line
    }

    static func ending() -> [UInt8] {
        var ending = StreamEnding(timeMilliseconds: 0, exchange: exchange(), cause: .clientReset, evidence: "seen")
        ending.errnoName = "EPIPE"
        ending.credentialsFault = .signature
        ending.lastEventIdentifier = [0x31]
        ending.lastEventIdentifierIsTruncated = true
        ending.lastEventIdentifierIsWithheld = true
        ending.notWovenBecause = .compressed
        ending.unheartbeatableMilliseconds = 1
        ending.heldMilliseconds = 1
        ending.resumedFrom = StreamIdentifier(worker: 0, number: 1)
        ending.replayed = 1
        ending.sharedWith = StreamIdentifier(worker: 0, number: 1)
        ending.notSharedBecause = .vary
        ending.gaps = 1
        ending.masked = (1, 1)
        ending.recycled = 1
        ending.upstreamSilenceAtEndMilliseconds = 1
        ending.retryMilliseconds = 1
        ending.openStreamsOfServer = 1
        ending.heartbeatMilliseconds = 1
        ending.clientTransport = view
        ending.upstreamTransport = view
        var line: [UInt8] = []
        ending.encode(into: &line)
        return line
    }

    /// Lines of an event with such texts, and of a heartbeat.
    static func events(_ texts: ServerText = .beginning) -> [[UInt8]] {
        let running = RunningWriter()
        let lines = EventLines(writer: running.writer)
        let stream = StreamIdentifier(worker: 0, number: 1)
        lines.add(
            EventRecord(stream: stream, number: 1, byteCount: 1, sincePreviousMilliseconds: 1, pendingBytes: 1), timeMilliseconds: 0,
            type: [0x31].span, texts, identifier: [0x31].span, texts)
        lines.add(HeartbeatRecord(stream: stream, number: 1, byteCount: 1, silenceMilliseconds: 1, pendingBytes: 1), timeMilliseconds: 0)
        lines.flush()
        running.start()
        running.writer.finish(deadlineMilliseconds: 5_000)
        return running.sink.lines.map { Array(($0 + "\n").utf8) }
    }

    static func access() -> [UInt8] {
        var record = AccessRecord(timeMilliseconds: 0, exchange: exchange())
        record.cause = .refusedByLimit
        record.evidence = "seen"
        record.errnoName = "EMFILE"
        record.refusedBy = "connections"
        record.credentialsFault = .signature
        record.clientTransport = view
        record.upstreamTransport = view
        var line: [UInt8] = []
        record.encode(into: &line)
        return line
    }
}

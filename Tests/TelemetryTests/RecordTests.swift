import Credentials
import Foundation
import Reactor
import Telemetry
import Testing

@Suite("A record")
struct RecordTests {
    private let nasty = Array("/e\"\\\r\n\u{1B}[0m\u{2028}\u{9B}".utf8) + [0xFF, 0xC3]

    private func exchange() -> ExchangeDescription {
        var exchange = ExchangeDescription(stream: StreamIdentifier(worker: 1, number: 42), client: "[2001:db8::1]:5000")
        exchange.route = "example.com/events/*"
        exchange.upstream = "legacy"
        exchange.server = "10.0.0.7:9000"
        exchange.clientForwarded = Array("203.0.113.9".utf8)[...]
        exchange.host = Array("example.com".utf8)[...]
        exchange.path = Array("/events/a".utf8)[...]
        exchange.method = Array("GET".utf8)[...]
        exchange.status = 200
        exchange.tokenFingerprint = 0xAB
        exchange.tokenOrigin = .query
        return exchange
    }

    private var view: TransportInformation {
        var view = TransportInformation()
        view.state = 1
        view.roundTripMicroseconds = 1
        view.roundTripVarianceMicroseconds = 2
        view.retransmits = 3
        view.totalRetransmits = 4
        view.unacknowledgedBytes = 5
        view.sinceLastAcknowledgementMilliseconds = 6
        view.sinceLastSentMilliseconds = 7
        view.sinceLastReceivedMilliseconds = .max
        return view
    }

    /// Whether a parsed value is the expected string or whole number.
    private func isSame(_ value: Any?, _ expected: Any) -> Bool {
        if let text = expected as? String { return value as? String == text }
        if let number = expected as? Int { return (value as? NSNumber)?.intValue == number }
        return false
    }

    private let shared = [
        "time", "event", "stream", "route", "upstream", "server", "client", "client_forwarded", "host", "path", "method", "status", "token",
        "token_from",
    ]

    @Test("of an opening is one line with its keys in the documented order")
    func opening() throws {
        var line: [UInt8] = []
        StreamOpening(timeMilliseconds: 1_234_567_890_123, exchange: exchange(), notWovenBecause: .compressed).encode(into: &line)
        #expect(keys(line) == shared + ["woven", "not_woven_because"])
        #expect(
            String(decoding: line, as: UTF8.self)
                == #"""
                {"time":"2009-02-13T23:31:30.123Z","event":"stream_open","stream":"w1-000042","route":"example.com/events/*",\#
                "upstream":"legacy","server":"10.0.0.7:9000","client":"[2001:db8::1]:5000","client_forwarded":"203.0.113.9",\#
                "host":"example.com","path":"/events/a","method":"GET","status":200,"token":"00000000000000ab",\#
                "token_from":"query","woven":false,"not_woven_because":"compressed"}
                """#
                + "\n")
    }

    @Test("of an opening names the client's last stream")
    func previous() throws {
        var opening = StreamOpening(timeMilliseconds: 0, exchange: exchange())
        opening.previous = (StreamIdentifier(worker: 3, number: 41), sinceMilliseconds: 3_012)
        var line: [UInt8] = []
        opening.encode(into: &line)
        #expect(keys(line) == shared + ["woven", "previous_stream", "since_previous_end_ms"])
        #expect(try parsed(line)["previous_stream"] as? String == "w3-000041")
        #expect(try parsed(line)["since_previous_end_ms"] as? Int == 3_012)
    }

    @Test("says what the request's fields show of its client and of the proxies in front")
    func client() throws {
        var exchange = exchange()
        exchange.requester = RequesterDescription(
            resumes: false, clientProtocol: .http10, agent: .mobileSafari, hops: Hops(bits: 1 << 1 | 1 << 0 | 1 << 4), viaCount: 2,
            forwardedCount: 3, expectedTimeoutMilliseconds: 15_000)
        var line: [UInt8] = []
        StreamOpening(timeMilliseconds: 0, exchange: exchange).encode(into: &line)
        let text = String(decoding: line, as: UTF8.self)
        #expect(
            text.contains(
                #"""
                ,"token_from":"query","resumes":false,"http":"1.0","agent":"mobile_safari","hops":["cloudflare","aws_load_balancer"],\#
                "via_count":2,"forwarded_count":3,"expected_timeout_ms":15000,"woven":true
                """#))
        #expect(try parsed(line)["hops"] as? [String] == ["cloudflare", "aws_load_balancer"])
    }

    @Test("of an opening says why the proxy answered before a server did")
    func heldOpening() throws {
        for (reason, word, seen) in [
            (HeldReason.early, "early", nil), (.outage(.connectionRefused, evidence: "seen"), "connection_refused", "seen"),
        ] {
            var line: [UInt8] = []
            StreamOpening(timeMilliseconds: 0, exchange: exchange(), heldBecause: reason).encode(into: &line)
            #expect(keys(line) == shared + ["woven", "held_because"] + (seen == nil ? [] : ["held_evidence"]))
            #expect(try parsed(line)["held_evidence"] as? String == seen)
            #expect(try parsed(line)["held_because"] as? String == word)
        }
    }

    @Test("of an ending has every number under its key, in the documented order")
    func ending() throws {
        var ending = StreamEnding(timeMilliseconds: 0, exchange: exchange(), cause: .clientReset, evidence: "write: Broken pipe (EPIPE)")
        ending.errnoName = "EPIPE"
        ending.credentialsFault = .signature
        ending.durationMilliseconds = 11
        ending.firstEventMilliseconds = 12
        ending.connectMilliseconds = 13
        ending.responseMilliseconds = 14
        ending.events = 15
        ending.bytesFromUpstream = .max
        ending.bytesToClient = 17
        ending.heartbeats = 18
        ending.longestUpstreamSilenceMilliseconds = 19
        ending.longestClientSilenceMilliseconds = 20
        ending.lastEventIdentifier = nasty
        ending.lastEventIdentifierIsTruncated = true
        ending.notWovenBecause = nil
        ending.endedMidLine = true
        ending.unheartbeatableMilliseconds = 21
        ending.heldMilliseconds = 22
        ending.upstreamSilenceAtEndMilliseconds = 23
        ending.clientSilenceAtEndMilliseconds = 24
        ending.clientSilenceBeforeLastWriteMilliseconds = 25
        ending.retryMilliseconds = 26
        ending.heartbeatMilliseconds = 27
        ending.mostPendingBytes = 28
        ending.pendingMilliseconds = 29
        ending.openStreams = 30
        ending.openStreamsOfServer = 31
        ending.clientTransport = view
        ending.upstreamTransport = view
        ending.upstreamTransport?.acknowledgedBytes = .max
        ending.upstreamTransport?.unsentBytes = 8
        ending.upstreamTransport?.deliveryBytesPerSecond = 9
        var line: [UInt8] = []
        ending.encode(into: &line)
        let object = try parsed(line)
        let expected: [String: Any] = [
            "cause": "client_reset", "side": "client", "evidence": "write: Broken pipe (EPIPE)", "errno": "EPIPE",
            "credential_error": "signature", "duration_ms": 11, "first_event_ms": 12, "connect_ms": 13, "response_ms": 14, "events": 15,
            "bytes_to_client": 17, "heartbeats": 18,
            "longest_upstream_silence_ms": 19, "longest_client_silence_ms": 20, "last_event_id": String(decoding: nasty, as: UTF8.self),
            "unheartbeatable_ms": 21, "held_ms": 22, "event": "stream_end", "upstream_silence_at_end_ms": 23,
            "client_silence_at_end_ms": 24, "client_silence_before_last_write_ms": 25, "retry_ms": 26, "heartbeat_ms": 27,
            "max_pending_bytes": 28, "pending_ms": 29, "open_streams": 30, "open_streams_server": 31,
        ]
        for (key, value) in expected { #expect(isSame(object[key], value), "\(key)") }
        #expect((object["bytes_from_upstream"] as? NSNumber)?.uint64Value == .max)
        let transport =
            #"""
            {"state":"established","rtt_us":1,"rtt_variance_us":2,"retransmits":3,"total_retransmits":4,"unacknowledged_bytes":5,\#
            "since_last_ack_ms":6,"since_last_sent_ms":7,"since_last_received_ms":4294967295}
            """#
        let text = String(decoding: line, as: UTF8.self)
        // A kernel before 4.9 does not say the last three.
        let more = #","bytes_acked":18446744073709551615,"notsent_bytes":8,"delivery_rate":9}"#
        #expect(text.hasSuffix(#","tcp":\#(transport),"upstream_tcp":\#(transport.dropLast())\#(more)}"# + "\n"))
        #expect(text.contains(#""last_event_id_truncated":true,"retry_ms":26,"held_ms":22,"woven":true,"heartbeat_ms":27,"mid_line":true"#))
        ending.lastEventIdentifier = nil
        line = []
        ending.encode(into: &line)
        #expect(
            keys(line) == shared + [
                "cause", "side", "evidence", "errno", "credential_error", "duration_ms", "first_event_ms", "connect_ms", "response_ms",
                "events", "bytes_from_upstream", "bytes_to_client", "heartbeats", "longest_upstream_silence_ms",
                "longest_client_silence_ms", "upstream_silence_at_end_ms",
                "client_silence_at_end_ms", "client_silence_before_last_write_ms", "max_pending_bytes", "pending_ms", "retry_ms", "held_ms",
                "woven", "heartbeat_ms", "mid_line", "unheartbeatable_ms", "open_streams", "open_streams_server", "tcp", "upstream_tcp",
            ])
    }

    @Test("of an ending has null for times that do not exist, and leaves out what does not apply")
    func sparseEnding() throws {
        var line: [UInt8] = []
        let exchange = ExchangeDescription(stream: StreamIdentifier(worker: 0, number: 12_345_678), client: "c")
        StreamEnding(timeMilliseconds: 0, exchange: exchange, cause: .drained, evidence: "SIGTERM").encode(into: &line)
        let object = try parsed(line)
        #expect(object["first_event_ms"] is NSNull && object["connect_ms"] is NSNull && object["response_ms"] is NSNull)
        #expect(object["stream"] as? String == "w0-12345678")
        for key in [
            "errno", "credential_error", "tcp", "upstream_tcp", "token", "status", "route", "last_event_id", "unheartbeatable_ms",
            "retry_ms", "heartbeat_ms", "resumes", "http", "agent", "hops", "via_count", "forwarded_count", "expected_timeout_ms",
            "upstream_silence_at_end_ms", "open_streams_server", "previous_stream",
        ] {
            #expect(object[key] == nil, "\(key)")
        }
    }

    @Test("of an ordinary exchange has every number under its key, in the documented order")
    func access() throws {
        var record = AccessRecord(timeMilliseconds: 0, exchange: exchange())
        record.durationMilliseconds = 1
        record.connectMilliseconds = 2
        record.responseMilliseconds = 3
        record.requestBytes = 4
        record.responseBytes = 5
        record.reusedConnection = true
        record.attempts = 6
        var line: [UInt8] = []
        record.encode(into: &line)
        let usual =
            shared + ["duration_ms", "connect_ms", "response_ms", "request_bytes", "response_bytes", "reused_connection", "attempts"]
        #expect(keys(line) == usual)
        #expect(String(decoding: line, as: UTF8.self).contains(#""reused_connection":true"#))
        record.cause = .refusedByLimit
        record.evidence = "e"
        record.errnoName = "EMFILE"
        record.refusedBy = "connections"
        record.clientTransport = view
        record.upstreamTransport = view
        line = []
        record.encode(into: &line)
        #expect(keys(line) == usual + ["cause", "side", "evidence", "errno", "refused_by", "tcp", "upstream_tcp"])
        let object = try parsed(line)
        let expected: [String: Any] = [
            "event": "access", "duration_ms": 1, "connect_ms": 2, "response_ms": 3, "request_bytes": 4, "response_bytes": 5,
            "attempts": 6, "cause": "refused_by_limit", "side": "proxy", "refused_by": "connections",
        ]
        for (key, value) in expected { #expect(isSame(object[key], value), "\(key)") }
    }

    @Test("of a checked token names its issuer, its end, its subject and what was wrong, behind where it came from")
    func identity() throws {
        var exchange = exchange()
        exchange.identity = TokenIdentity(issuer: "main", expiresSeconds: 1_800_000_000, subject: .fingerprint(0xAB))
        exchange.ticket = TicketID([UInt8](0..<16))
        var record = AccessRecord(timeMilliseconds: 0, exchange: exchange)
        record.credentialsFault = .forbiddenCharacter
        var line: [UInt8] = []
        record.encode(into: &line)
        let text = String(decoding: line, as: UTF8.self)
        let identity = #""issuer":"main","token_expires":"2027-01-15T08:00:00.000Z","subject":"00000000000000ab","#
        let ticket = #""ticket":"000102030405060708090a0b0c0d0e0f","#
        #expect(text.contains(#""token_from":"query","# + identity + ticket + #""duration_ms""#))
        #expect(text.contains(#""credential_error":"syntax""#))
        exchange.identity = TokenIdentity(issuer: "main", expiresSeconds: -5, subject: nil)
        exchange.ticket = nil
        line = []
        StreamOpening(timeMilliseconds: 0, exchange: exchange).encode(into: &line)
        #expect(String(decoding: line, as: UTF8.self).contains(#""token_expires":"1970-01-01T00:00:00.000Z","woven""#))
        exchange.identity = TokenIdentity(issuer: "main", expiresSeconds: 0, subject: .text(Array("Zoë \"\u{1B}\n".utf8)))
        line = []
        StreamOpening(timeMilliseconds: 0, exchange: exchange).encode(into: &line)
        #expect(try parsed(line)["subject"] as? String == "Zoë \"\u{1B}\n" && !line.dropLast().contains { $0 < 0x20 })
    }

    @Test("survives nasty bytes in every field that comes from the network, and never has a query")
    func nastyFields() throws {
        var exchange = exchange()
        exchange.path = (nasty + Array("?access_token=s3cr3t".utf8))[...]
        exchange.host = nasty[...]
        exchange.method = nasty[...]
        exchange.clientForwarded = nasty[...]
        exchange.route = "\"\n"
        var lines: [[UInt8]] = [[], []]
        StreamOpening(timeMilliseconds: 0, exchange: exchange).encode(into: &lines[0])
        AccessRecord(timeMilliseconds: 0, exchange: exchange).encode(into: &lines[1])
        for line in lines {
            let object = try parsed(line)
            for key in ["path", "host", "method", "client_forwarded"] {
                #expect(object[key] as? String == String(decoding: nasty, as: UTF8.self), "\(key)")
            }
            #expect(object["route"] as? String == "\"\n")
            #expect(!String(decoding: line, as: UTF8.self).contains("s3cr3t"))
        }
    }

    @Test("of a start has the limits of each route, and tells a start from a reload and from a log that is opened again")
    func start() throws {
        func line(_ occasion: StartRecord.Occasion, _ routes: [StartRecord.Route]) -> String {
            var line: [UInt8] = []
            StartRecord(
                timeMilliseconds: 0, occasion: occasion, process: 4711, configurationDigest: 0xAB, workerCount: 2, routes: routes
            ).encode(into: &line)
            return String(decoding: line, as: UTF8.self)
        }
        let off = StartRecord.Route(
            name: "a\"", upstream: "u", heartbeatMilliseconds: nil, streamSilenceTimeoutMilliseconds: nil, clientStallMilliseconds: 3,
            responseTimeoutMilliseconds: 4)
        var on = off
        (on.heartbeatMilliseconds, on.streamSilenceTimeoutMilliseconds) = (1, 2)
        #expect(
            line(.start, [off, on])
                == #"""
                {"time":"1970-01-01T00:00:00.000Z","event":"proxy_start","version":"\#(Version.number)","process":4711,\#
                "configuration":"00000000000000ab","workers":2,"reload":false,"routes":[\#
                {"route":"a\"","upstream":"u","client_stall_ms":3,"response_timeout_ms":4},\#
                {"route":"a\"","upstream":"u","heartbeat_ms":1,"stream_silence_timeout_ms":2,"client_stall_ms":3,"response_timeout_ms":4}\#
                ]}
                """# + "\n")
        #expect(line(.reload, []).hasSuffix(#""reload":true,"routes":[]}"# + "\n"))
        #expect(line(.reopening, []).hasSuffix(#""reload":true,"again":true,"routes":[]}"# + "\n"))
    }

    @Test("of an opening says when the stream has been running already")
    func again() throws {
        var opening = StreamOpening(timeMilliseconds: 0, exchange: exchange())
        opening.ageMilliseconds = 3_600_000
        var line: [UInt8] = []
        opening.encode(into: &line)
        #expect(keys(line) == shared + ["woven", "again", "age_ms"])
        #expect(String(decoding: line, as: UTF8.self).hasSuffix(#","again":true,"age_ms":3600000}"# + "\n"))
    }

    @Test("is appended to existing bytes")
    func appends() {
        var line = Array("x".utf8)
        let record = AccessRecord(timeMilliseconds: 0, exchange: exchange())
        record.encode(into: &line)
        record.encode(into: &line)
        #expect(line.first == UInt8(ascii: "x"))
        #expect(line.filter { $0 == UInt8(ascii: "\n") }.count == 2)
    }
}

@Suite("A cause")
struct CauseTests {
    @Test("has one name in the log, and a sentence that explains it")
    func names() {
        for cause in Cause.allCases {
            #expect(cause.name.withUTF8Buffer { String(decoding: $0, as: UTF8.self) } == cause.rawValue)
            #expect(cause.rawValue.utf8.allSatisfy { $0 == UInt8(ascii: "_") || ($0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "z")) })
            #expect(cause.explanation.hasSuffix(".") && cause.explanation.count > 20)
        }
        #expect(Set(Cause.allCases.map(\.explanation)).count == Cause.allCases.count)
        #expect(Set(Cause.allCases.map(\.side)).count == 3)
        for cause in Cause.allCases where cause.rawValue.hasPrefix("client_") { #expect(cause.side == .client) }
        for cause in Cause.allCases where cause.rawValue.hasPrefix("upstream_") { #expect(cause.side == .upstream) }
    }

    @Test("of every kind that the log's readers rely on is there")
    func complete() {
        for name in [
            "client_closed", "client_reset", "client_stalled", "client_vanished", "upstream_finished", "upstream_cut_off", "upstream_reset",
            "upstream_silent", "connection_refused", "connect_timeout", "drained", "refused_by_limit",
        ] {
            #expect(Cause(rawValue: name) != nil, "\(name)")
        }
    }

    @Test("stands beside the name of a TCP state")
    func states() {
        var view = TransportInformation()
        var names: Set<String> = []
        for state in UInt8(0)...12 {
            view.state = state
            names.insert(view.stateName.withUTF8Buffer { String(decoding: $0, as: UTF8.self) })
        }
        #expect(names.count == 12)
        #expect(names.contains("close_wait") && names.contains("unknown"))
    }
}

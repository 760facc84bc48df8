// What the logs need of a request after its head is freed, in one block: method, host, path, the forwarded client, and what its fields
// show of the client and of the proxies in front. It never holds the query, which may have held a token.

import Bytes
import Credentials
import HTTP
import Telemetry

/// The loggable parts of a request.
struct RequestSummary {
    /// How much of a path is kept for the logs.
    static let pathLimit = 1024
    /// The bits of the hops, and what an Envoy in front says of its limit: few requests have them.
    private static let tailBytes = 12

    /// Facts that need one bit each. The four highest bits are the class of the client, counted from 1; 0 without a User-Agent.
    private struct Flags: OptionSet {
        var rawValue: UInt8
        static let isHTTP10 = Flags(rawValue: 1)
        static let lacksLastEventID = Flags(rawValue: 2)
        static let hasTail = Flags(rawValue: 4)
        static let acceptsEventStream = Flags(rawValue: 8)

        static let agentShift: UInt8 = 4
        var agent: AgentClass? { rawValue >> Flags.agentShift == 0 ? nil : AgentClass(rawValue: rawValue >> Flags.agentShift - 1) }
    }

    private var bytes: [UInt8]
    private let hostEnd: UInt16
    private let pathEnd: UInt16
    /// Where the method ends. The highest bit says that a last event id stands at the end of the block, with its length behind it.
    private var methodMark: UInt8
    private let flags: Flags
    /// How many elements `Via` has, at most 255.
    let viaCount: UInt8
    /// How many elements `X-Forwarded-For` has, at most 255.
    let forwardedCount: UInt8

    /// `isTrusted` says whether the client may name the client that it forwards for.
    init(_ head: RequestHead?, isTrusted: Bool = false) {
        guard let head else {
            bytes = []
            methodMark = 0
            hostEnd = 0
            pathEnd = 0
            flags = []
            viaCount = 0
            forwardedCount = 0
            return
        }
        let path = RequestSummary.path(of: head.bytes.span.extracting(head.target))
        let start = head.target.lowerBound + path.lowerBound
        let method = head.bytes[head.methodRange].prefix(32)
        let host = head.bytes[head.authority].prefix(255)
        let traces = FieldTraces(head)
        var kept: [UInt8] = []
        let pathCount = min(path.count, RequestSummary.pathLimit)
        let forwarded = isTrusted ? RequestForwarding.lastForwardedClient(head) : nil
        let tailCount = traces.hops.isEmpty ? 0 : RequestSummary.tailBytes
        kept.reserveCapacity(method.count + host.count + pathCount + (forwarded?.count ?? 0) + tailCount)
        kept += method
        kept += host
        kept += head.bytes[start..<(start + pathCount)]
        pathEnd = UInt16(kept.count)
        if let forwarded { kept += forwarded }
        var flags: Flags = head.minorVersion == 0 ? .isHTTP10 : []
        if head.hasUnfitLastEventID { flags.insert(.lacksLastEventID) }
        if head.acceptsEventStream { flags.insert(.acceptsEventStream) }
        if !traces.hops.isEmpty {
            flags.insert(.hasTail)
            withUnsafeBytes(of: traces.hops.bits) { kept += $0 }
            withUnsafeBytes(of: traces.expectedTimeoutMilliseconds) { kept += $0 }
        }
        if let agent = traces.agent { flags.rawValue |= (agent.rawValue + 1) << Flags.agentShift }
        bytes = kept
        self.flags = flags
        methodMark = UInt8(method.count)
        hostEnd = UInt16(method.count + host.count)
        viaCount = traces.viaCount
        forwardedCount = traces.forwardedCount
    }

    static func path(of target: Span<UInt8>) -> Range<Int> { TokenBridge.loggablePath(of: target) }

    private static let hasLastEventID: UInt8 = 0x80
    private var methodEnd: UInt8 { methodMark & ~RequestSummary.hasLastEventID }
    /// Where the last event id begins, or the block ends.
    private var factsEnd: Int {
        guard methodMark & RequestSummary.hasLastEventID != 0, let count = bytes.last else { return bytes.count }
        return bytes.count - 1 - Int(count)
    }
    /// Where the forwarded client ends.
    private var clientEnd: Int { factsEnd - (flags.contains(.hasTail) ? RequestSummary.tailBytes : 0) }

    /// Keeps the id that the client brought. Only a stream that may get an event of the proxy's own needs it. One of more than 255 bytes,
    /// or that is no UTF-8, is not kept.
    mutating func keep(lastEventID id: ArraySlice<UInt8>) {
        guard !bytes.isEmpty, lastEventID == nil, let count = UInt8(exactly: id.count), String(validating: id, as: UTF8.self) != nil
        else { return }
        bytes.reserveCapacity(bytes.count + id.count + 1)
        bytes += id
        bytes.append(count)
        methodMark |= RequestSummary.hasLastEventID
    }

    /// The id that the client brought, where it is kept.
    var lastEventID: String? {
        factsEnd == bytes.count ? nil : String(decoding: bytes[factsEnd..<bytes.count - 1], as: UTF8.self)
    }

    /// The method; nil when no request could be read.
    var method: ArraySlice<UInt8>? { bytes.isEmpty ? nil : bytes[..<Int(methodEnd)] }

    /// The request's host; nil without one.
    var host: ArraySlice<UInt8>? { hostEnd == UInt16(methodEnd) ? nil : bytes[Int(methodEnd)..<Int(hostEnd)] }

    /// Whether the path was longer than the kept part.
    var isPathCut: Bool { pathEnd - hostEnd == RequestSummary.pathLimit }

    /// Distinguishes paths within this process.
    var pathHash: Int { bytes.isEmpty ? 0 : bytes[Int(hostEnd)..<Int(pathEnd)].hashValue }

    /// The path without query; nil when no request could be read.
    var path: ArraySlice<UInt8>? { bytes.isEmpty ? nil : bytes[Int(hostEnd)..<Int(pathEnd)] }

    /// The address that a trusted proxy named last in `X-Forwarded-For`; nil without one.
    var forwardedClient: ArraySlice<UInt8>? { Int(pathEnd) == clientEnd ? nil : bytes[Int(pathEnd)..<clientEnd] }

    /// Whether its Last-Event-ID was not passed on, because a field may not hold it.
    var lacksLastEventID: Bool { flags.contains(.lacksLastEventID) }

    /// Whether it accepts an event stream.
    var acceptsEventStream: Bool { flags.contains(.acceptsEventStream) }

    /// The version of HTTP; nil when no request could be read.
    var clientProtocol: ClientProtocol? { bytes.isEmpty ? nil : flags.contains(.isHTTP10) ? .http10 : .http11 }

    /// The kind of client; nil without a User-Agent.
    var agent: AgentClass? { flags.agent }

    /// The proxies in front that the fields betray, and the limit of an Envoy among them, in milliseconds; 0 without one.
    var hops: (Hops, expectedTimeoutMilliseconds: UInt32) {
        guard flags.contains(.hasTail) else { return (Hops(), 0) }
        return bytes.withUnsafeBytes { bytes in
            (
                Hops(bits: bytes.loadUnaligned(fromByteOffset: clientEnd, as: UInt64.self)),
                bytes.loadUnaligned(fromByteOffset: clientEnd + 8, as: UInt32.self)
            )
        }
    }
}

/// What a request's fields show of its client and of the proxies in front.
private struct FieldTraces {
    private(set) var agent: AgentClass?
    private(set) var hops = Hops()
    private(set) var viaCount: UInt8 = 0
    private(set) var forwardedCount: UInt8 = 0
    /// 0 without one.
    private(set) var expectedTimeoutMilliseconds: UInt32 = 0

    init(_ head: RequestHead) {
        let bytes = head.bytes.span
        for field in head.fields {
            switch field.known {
            case .other, .xRealIP: hops.look(at: field.name, field.value, in: bytes)
            case .userAgent where agent == nil && !field.value.isEmpty: agent = AgentClass(of: bytes.extracting(field.value))
            case .via:
                hops.look(at: field.name, field.value, in: bytes)
                FieldTraces.count(field.value, in: bytes, &viaCount)
            case .xForwardedFor: FieldTraces.count(field.value, in: bytes, &forwardedCount)
            default: break
            }
        }
        guard !hops.isEmpty, let value = head.values(named: "x-envoy-expected-rq-timeout-ms").first else { return }
        expectedTimeoutMilliseconds = FieldTraces.milliseconds(bytes, value)
    }

    private static func count(_ value: Range<Int>, in bytes: Span<UInt8>, _ count: inout UInt8) {
        var elements = ListElements(value)
        while elements.next(in: bytes) != nil { count += count < .max ? 1 : 0 }
    }

    /// A decimal number of at most nine digits; 0 for anything else.
    private static func milliseconds(_ bytes: Span<UInt8>, _ value: Range<Int>) -> UInt32 {
        guard value.count <= 9 else { return 0 }
        var number: UInt32 = 0
        for index in value {
            guard isDigit(bytes[index]) else { return 0 }
            number = number * 10 + UInt32(bytes[index] - 0x30)
        }
        return number
    }
}

// What the logs need of a request after its head is freed, in one block: method, host, path and the forwarded client. It never holds
// the query, which may have held a token.

import Credentials
import HTTP

/// The loggable parts of a request.
struct RequestSummary {
    /// How much of a path is kept for the logs.
    private static let pathLimit = 1024

    private let bytes: [UInt8]
    private let methodEnd: UInt16
    private let hostEnd: UInt16
    private let pathEnd: UInt16
    /// Whether its Last-Event-ID was not passed on, because a field may not hold it.
    let lacksLastEventID: Bool

    /// `isTrusted` says whether the client may name the client that it forwards for.
    init(_ head: RequestHead?, isTrusted: Bool = false) {
        guard let head else {
            bytes = []
            methodEnd = 0
            hostEnd = 0
            pathEnd = 0
            lacksLastEventID = false
            return
        }
        let path = RequestSummary.path(of: head.bytes.span.extracting(head.target))
        let start = head.target.lowerBound + path.lowerBound
        let method = head.bytes[head.methodRange].prefix(32)
        let host = head.bytes[head.authority].prefix(255)
        var kept: [UInt8] = []
        let pathCount = min(path.count, RequestSummary.pathLimit)
        let forwarded = isTrusted ? RequestForwarding.lastForwardedClient(head) : nil
        kept.reserveCapacity(method.count + host.count + pathCount + (forwarded?.count ?? 0))
        kept += method
        kept += host
        kept += head.bytes[start..<(start + pathCount)]
        pathEnd = UInt16(kept.count)
        if let forwarded { kept += forwarded }
        bytes = kept
        lacksLastEventID = head.hasUnfitLastEventID
        methodEnd = UInt16(method.count)
        hostEnd = UInt16(method.count + host.count)
    }

    static func path(of target: Span<UInt8>) -> Range<Int> { TokenBridge.loggablePath(of: target) }

    /// The method; nil when no request could be read.
    var method: ArraySlice<UInt8>? { bytes.isEmpty ? nil : bytes[..<Int(methodEnd)] }

    /// The request's host; nil without one.
    var host: ArraySlice<UInt8>? { hostEnd == methodEnd ? nil : bytes[Int(methodEnd)..<Int(hostEnd)] }

    /// Whether the path was longer than the kept part.
    var isPathCut: Bool { pathEnd - hostEnd == RequestSummary.pathLimit }

    /// Distinguishes paths within this process.
    var pathHash: Int { bytes.isEmpty ? 0 : bytes[Int(hostEnd)..<Int(pathEnd)].hashValue }

    /// The path without query; nil when no request could be read.
    var path: ArraySlice<UInt8>? { bytes.isEmpty ? nil : bytes[Int(hostEnd)..<Int(pathEnd)] }

    /// The address that a trusted proxy named last in `X-Forwarded-For`; nil without one.
    var forwardedClient: ArraySlice<UInt8>? { Int(pathEnd) == bytes.count ? nil : bytes[Int(pathEnd)...] }
}

// What the console has: the table of its paths. Invariant: a path has one meaning, and whatever changes something is a POST.

import Bytes
import HTTP
import Telemetry

/// What a request asks for.
package enum Resource: Equatable, Sendable {
    /// The page and its two files.
    case page, script, style
    /// Everything that happens, as an event stream.
    case feed
    /// What happens on one stream, as an event stream.
    case streamFeed(StreamIdentifier)
    /// What is counted and measured, for a scraper.
    case metrics
    /// Whether the process lives.
    case health
    /// Whether the proxy serves, and is not ending.
    case readiness
    /// Ends one stream.
    case endStream(StreamIdentifier)
    /// Switches the event log of a route on or off; the name is as it was written in the request's path, decoded.
    case eventLog(route: [UInt8])

    /// The resource of a path; nil for none.
    init?(path: Span<UInt8>) {
        var segments: [[UInt8]] = [[]]
        guard path.count > 0, path[0] == UInt8(ascii: "/") else { return nil }
        for index in 1..<max(1, path.count) {
            if path[index] == UInt8(ascii: "/") { segments.append([]) } else { segments[segments.count - 1].append(path[index]) }
        }
        let words = segments.map { String(decoding: $0, as: UTF8.self) }
        switch (words.first, words.count) {
        case ("", 1): self = .page
        case ("console.js", 1): self = .script
        case ("console.css", 1): self = .style
        case ("feed", 1): self = .feed
        case ("metrics", 1): self = .metrics
        case ("healthz", 1): self = .health
        case ("readyz", 1): self = .readiness
        case ("streams", 3):
            guard let stream = StreamIdentifier(logged: words[1]) else { return nil }
            switch words[2] {
            case "feed": self = .streamFeed(stream)
            case "end": self = .endStream(stream)
            default: return nil
            }
        case ("routes", 3) where words[2] == "event-log":
            guard let route = Resource.decoded(segments[1]) else { return nil }
            self = .eventLog(route: route)
        default: return nil
        }
    }

    /// Whether it changes something.
    var isAction: Bool {
        switch self {
        case .endStream, .eventLog: true
        case .page, .script, .style, .feed, .streamFeed, .metrics, .health, .readiness: false
        }
    }

    /// Whether it says one word that anybody may know.
    var isPublic: Bool { self == .health || self == .readiness }

    /// A segment without its percent-encoding (RFC 3986 section 2.1); nil if that is broken.
    private static func decoded(_ segment: [UInt8]) -> [UInt8]? {
        var bytes: [UInt8] = []
        var index = 0
        while index < segment.count {
            if segment[index] == UInt8(ascii: "%") {
                guard index + 2 < segment.count, let high = hexadecimalValue(segment[index + 1]),
                    let low = hexadecimalValue(segment[index + 2])
                else { return nil }
                bytes.append(high << 4 | low)
                index += 3
            } else {
                bytes.append(segment[index])
                index += 1
            }
        }
        return bytes
    }
}

extension StreamIdentifier {
    /// Reads an identity as the logs write it, such as `w0-000042`; nil for anything else.
    package init?(logged text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].first == "w", let worker = UInt16(parts[0].dropFirst()), parts[1].count <= 20,
            parts[1].utf8.allSatisfy(isDigit), let number = UInt64(parts[1]), number <= Self.mostNumber
        else { return nil }
        self.init(worker: Int(worker), number: number)
    }
}

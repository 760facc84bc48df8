// Learns about an event stream from the bytes that a hop passes on. The tap changes nothing, and stops looking at bytes that it does
// not understand. Invariant: it holds at most one head's bytes.

import HTTP

/// Observes one connection's bytes in both directions.
struct StreamTap {
    /// The proxy's opening comment follows the response head at once and is no heartbeat.
    private static let openingMilliseconds: Int64 = 200

    private enum State {
        case idle
        case head(HeadScanner, bytes: [UInt8])
        case body(BodyDecoder, openedAt: Int64)
    }

    private var state = State.idle
    private var isAtLineStart = true
    /// The page whose stream is open here; `nil` without one.
    private(set) var page: PageName?
    /// Whether that stream is the one that Heartwire keeps.
    private(set) var isKept = false

    /// Looks at bytes of the client. A request is recognised if it begins with a piece and its first line is whole in that piece, as
    /// browsers send it.
    mutating func receiveRequest(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.starts(with: "GET /".utf8) else { return }
        let target = bytes.dropFirst(4).prefix { $0 > 32 }
        let path = target.prefix { $0 != UInt8(ascii: "?") }
        isKept = path.elementsEqual("/events-kept".utf8)
        guard isKept || path.elementsEqual("/events".utf8) || path.elementsEqual("/events-open".utf8) else { return forget() }
        page = PageName(inTarget: Array(target)[...])
        state = page == nil ? .idle : .head(HeadScanner(kind: .response, limits: HeadLimits()), bytes: [])
    }

    /// Looks at bytes of the server, and returns what it recognised.
    mutating func receiveResponse(_ bytes: UnsafeRawBufferPointer, now: Int64) -> [HopSight] {
        var sights: [HopSight] = []
        var offset = 0
        do throws(HTTPError) {
            if case .head(var scanner, var head) = state {
                let span = bytes.bindMemory(to: UInt8.self).span
                let consumed = try scanner.receive(span)
                head.append(contentsOf: bytes[..<(consumed ?? bytes.count)])
                guard let consumed else {
                    state = .head(scanner, bytes: head)
                    return []
                }
                offset = consumed
                sights += try headEnded(head, now: now)
            }
            if case .body(var decoder, let openedAt) = state {
                let count = try commentLines(in: bytes, from: offset, &decoder)
                state = .body(decoder, openedAt: openedAt)
                if decoder.isEnded { forget() }
                if now - openedAt >= StreamTap.openingMilliseconds {
                    sights += Array(repeating: .heartbeat, count: count)
                }
            }
        } catch {
            forget()
        }
        return sights
    }

    private mutating func headEnded(_ bytes: [UInt8], now: Int64) throws(HTTPError) -> [HopSight] {
        let head = try ResponseHead.parse(bytes.span, limits: HeadLimits())
        if head.isInterim {
            state = .head(HeadScanner(kind: .response, limits: HeadLimits()), bytes: [])
            return []
        }
        guard head.status == 200, head.isEventStream else {
            forget()
            return [.refused(status: head.status)]
        }
        isAtLineStart = true
        state = .body(BodyDecoder(framing: try head.framing(requestMethod: .get)), openedAt: now)
        return []
    }

    private mutating func commentLines(
        in bytes: UnsafeRawBufferPointer, from start: Int, _ decoder: inout BodyDecoder
    ) throws(HTTPError) -> Int {
        let span = bytes.bindMemory(to: UInt8.self).span
        var count = 0
        var offset = start
        while case .data(let range) = try decoder.next(span, from: offset) {
            for index in range {
                if isAtLineStart, bytes[index] == UInt8(ascii: ":") { count += 1 }
                isAtLineStart = bytes[index] == 10 || bytes[index] == 13
            }
            offset = range.upperBound
        }
        return count
    }

    private mutating func forget() {
        state = .idle
        page = nil
    }
}

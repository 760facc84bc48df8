// Which answers mean that a server, or a system behind it, is down for the moment. Invariant: no status below 400 is ever among them.

import Bytes

/// The statuses that count as an outage, so that an EventSource waits and asks again.
package struct OutageAnswers: Sendable, Equatable {
    /// The statuses that may be configured.
    static let allowed = 400...999

    /// The ranges of statuses, as they were written.
    package var ranges: [ClosedRange<Int>]

    /// These ranges; by default 502, 503 and 504 (RFC 9110 sections 15.6.3 to 15.6.5).
    package init(_ ranges: [ClosedRange<Int>] = [502...502, 503...503, 504...504]) { self.ranges = ranges }

    /// Whether this status is among them.
    package func contains(_ status: Int) -> Bool { ranges.contains { $0.contains(status) } }

    /// Reads one status, `503`, or one range, `520-527`.
    static func read(_ text: String) throws(Malformed) -> ClosedRange<Int> {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        let numbers = parts.filter { $0.utf8.count == 3 && $0.utf8.allSatisfy(isDigit) }.compactMap { Int($0) }
        guard numbers.count == parts.count, let first = numbers.first, let last = numbers.last, numbers.count <= 2 else {
            throw Malformed(message: "\(quoted(text)) is no status and no range of statuses; write, for example: 502 503 504 520-527")
        }
        guard first <= last, allowed.contains(first), allowed.contains(last) else {
            throw Malformed(
                message:
                    """
                    \(quoted(text)) cannot be an outage: statuses are from \(allowed.lowerBound) to \(allowed.upperBound), the \
                    lower one first
                    """
            )
        }
        return first...last
    }
}

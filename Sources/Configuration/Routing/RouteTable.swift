// Finds the route of a request: the most specific one wins; the order in the configuration does not matter.
//
// Invariant: no spelling of a path reaches a server by another route than the one to which that server's own reading of the path
// belongs. Servers differ in how they read `//`, `%2F`, `\`, `;x=1`, a trailing slash or dot, upper case and more. So a path is matched
// as it is and as lenient servers read it (`PathReading`). If the readings lead to different upstreams or different rules about tokens,
// the request has no route. A path with unpredictable readings has a route only where every path has the same upstream and rules.
// Refusing is the only answer that cannot be wrong. With a single `/*` route nothing is ever refused. The client's bytes are forwarded
// unchanged.

import Bytes

/// The routes of a configuration, in matching order. A class, because every request uses it and nothing changes it.
package final class RouteTable: Sendable {
    private struct Entry {
        var routeIndex: Int
        var hostRank: Int
        var hostRange: Range<Int>
        var pathRank: Int
        var pathRange: Range<Int>
        /// Entries with the same number lead to the same upstream under the same rules about tokens.
        var guardNumber: Int
    }

    private static let anyRank = 0
    private static let partialRank = 1
    private static let exactRank = 2

    /// From the most specific to the least.
    private let entries: [Entry]
    /// The text of all patterns, in one piece.
    private let patterns: [UInt8]

    /// Orders the routes; the indices that `match` returns are those of this array.
    package init(_ routes: [Route]) {
        var entries: [Entry] = []
        var patterns: [UInt8] = []
        for (index, route) in routes.enumerated() {
            let (hostRank, hostRange) = RouteTable.append(route.host, to: &patterns)
            let (pathRank, pathRange) = RouteTable.append(route.path, to: &patterns)
            let twin = routes.firstIndex {
                $0.upstreamIndex == route.upstreamIndex && $0.bearer == route.bearer && $0.check == route.check
                    && (route.bearer == nil || $0.allowedOrigins == route.allowedOrigins)
            }
            entries.append(
                Entry(
                    routeIndex: index, hostRank: hostRank, hostRange: hostRange, pathRank: pathRank,
                    pathRange: pathRange, guardNumber: twin ?? index))
        }
        entries.sort { left, right in
            if left.hostRank != right.hostRank { return left.hostRank > right.hostRank }
            if left.hostRange.count != right.hostRange.count { return left.hostRange.count > right.hostRange.count }
            if left.pathRank != right.pathRank { return left.pathRank > right.pathRank }
            if left.pathRange.count != right.pathRange.count { return left.pathRange.count > right.pathRange.count }
            return left.routeIndex < right.routeIndex
        }
        self.entries = entries
        self.patterns = patterns
    }

    /// The index of the most specific route for a request. An exact host goes before a longer wildcard, and that before any host; then
    /// an exact path before a longer prefix, and that before any path.
    ///
    /// - Parameters:
    ///   - host: The `Host` field (RFC 9110 section 7.2), or nothing; case and port do not count.
    ///   - path: The path as the client sent it; from a `?` on it is ignored.
    /// - Returns: nil if no route matches, or if servers could read the path in ways that belong to routes with different upstreams or
    ///   different rules about tokens.
    package func match(host: Span<UInt8>, path: Span<UInt8>) -> Int? {
        let hostRange = RouteTable.nameRange(host)
        let name = host.extracting(hostRange)
        var end = 0
        while end < path.count, path[end] != UInt8(ascii: "?") { end += 1 }
        let path = path.extracting(0..<end)

        if PathReading.isPlain(path) {
            let chosen = firstMatch(host: name, path: path, isLenient: false)
            let lenient = firstMatch(host: name, path: path, isLenient: true)
            return agree(chosen, lenient) ? chosen.map { entries[$0].routeIndex } : nil
        }
        let chosen = firstMatch(host: name, path: PathReading.literal(path).span, isLenient: false)
        if !isUniform(host: name) {
            guard let spellings = PathReading.spellings(path) else { return nil }
            for spelling in spellings where !agrees(chosen, with: spelling.span, host: name) { return nil }
        }
        return chosen.map { entries[$0].routeIndex }
    }

    /// Whether a route matches the path as it is. If `match` then finds none, other readings of the path belong to other routes.
    package func isAmbiguous(host: Span<UInt8>, path: Span<UInt8>) -> Bool {
        let name = host.extracting(RouteTable.nameRange(host))
        var end = 0
        while end < path.count, path[end] != UInt8(ascii: "?") { end += 1 }
        let path = path.extracting(0..<end)
        let readings = [PathReading.literal(path), PathReading.lenient(path)]
        return readings.contains { firstMatch(host: name, path: $0.span, isLenient: true) != nil }
    }

    // MARK: Building

    private static func append(_ host: HostPattern, to patterns: inout [UInt8]) -> (Int, Range<Int>) {
        switch host {
        case .any: (RouteTable.anyRank, append([], to: &patterns))
        case .exact(let name): (RouteTable.exactRank, append(name.utf8.map(lowercased), to: &patterns))
        case .suffix(let suffix): (RouteTable.partialRank, append(suffix.utf8.map(lowercased), to: &patterns))
        }
    }

    private static func append(_ path: PathPattern, to patterns: inout [UInt8]) -> (Int, Range<Int>) {
        switch path {
        case .any: return (RouteTable.anyRank, append([], to: &patterns))
        case .exact(let text):
            return (RouteTable.exactRank, append(PathReading.literal(Array(text.utf8).span), to: &patterns))
        case .prefix(let text):
            return (RouteTable.partialRank, append(PathReading.literal(Array(text.utf8).span), to: &patterns))
        }
    }

    private static func append(_ bytes: [UInt8], to patterns: inout [UInt8]) -> Range<Int> {
        let start = patterns.count
        patterns.append(contentsOf: bytes)
        return start..<patterns.count
    }

    // MARK: Matching

    /// Whether lenient servers take a path to the same place as the entry at `chosen`, in whatever order they work.
    private func agrees(_ chosen: Int?, with path: Span<UInt8>, host: Span<UInt8>) -> Bool {
        !PathReading.isUnforeseeable(path) && agree(chosen, firstMatch(host: host, path: PathReading.lenient(path).span, isLenient: true))
    }

    /// Whether every path of a host leads to the same upstream under the same rules about tokens.
    private func isUniform(host: Span<UInt8>) -> Bool {
        var guardNumber: Int?
        var coversEveryPath = false
        for entry in entries where hostMatches(entry, host) {
            if let guardNumber, guardNumber != entry.guardNumber { return false }
            guardNumber = entry.guardNumber
            if entry.pathRank == RouteTable.anyRank { coversEveryPath = true }
        }
        return coversEveryPath
    }

    /// Whether two readings lead to the same place. Also true for two routes that differ only in upper and lower case: the operator who
    /// wrote both of them wants them told apart.
    private func agree(_ left: Int?, _ right: Int?) -> Bool {
        guard let left, let right else { return left == nil && right == nil }
        let first = entries[left]
        let second = entries[right]
        if first.guardNumber == second.guardNumber { return true }
        guard first.hostRank == second.hostRank, first.pathRank == second.pathRank,
            first.hostRange.count == second.hostRange.count, first.pathRange.count == second.pathRange.count
        else { return false }
        for offset in 0..<first.hostRange.count
        where patterns[first.hostRange.lowerBound + offset] != patterns[second.hostRange.lowerBound + offset] {
            return false
        }
        for offset in 0..<first.pathRange.count
        where lowercased(patterns[first.pathRange.lowerBound + offset])
            != lowercased(patterns[second.pathRange.lowerBound + offset])
        {
            return false
        }
        return true
    }

    /// The index of the first entry that matches. Routes are few, and requests are rare compared with events, so a linear search is
    /// enough.
    private func firstMatch(host: Span<UInt8>, path: Span<UInt8>, isLenient: Bool) -> Int? {
        for index in entries.indices
        where hostMatches(entries[index], host) && pathMatches(entries[index], path, isLenient: isLenient) {
            return index
        }
        return nil
    }

    private func hostMatches(_ entry: Entry, _ host: Span<UInt8>) -> Bool {
        let length = entry.hostRange.count
        switch entry.hostRank {
        case RouteTable.anyRank: return true
        case RouteTable.exactRank: if host.count != length { return false }
        default: if host.count <= length { return false }
        }
        let skipped = host.count - length
        for offset in 0..<length
        where lowercased(host[skipped + offset]) != patterns[entry.hostRange.lowerBound + offset] {
            return false
        }
        return true
    }

    private func pathMatches(_ entry: Entry, _ path: Span<UInt8>, isLenient: Bool) -> Bool {
        if entry.pathRank == RouteTable.anyRank { return true }
        var length = entry.pathRange.count
        var count = path.count
        if count == 0 { return entry.pathRank == RouteTable.exactRank && length == 1 }
        if entry.pathRank == RouteTable.exactRank {
            if isLenient {
                if length > 1, patterns[entry.pathRange.upperBound - 1] == UInt8(ascii: "/") { length -= 1 }
                if count > 1, path[count - 1] == UInt8(ascii: "/") { count -= 1 }
            }
            if count != length { return false }
        } else if count == length - 1 {
            // `/events/*` also means `/events`: servers rarely tell the two apart.
            length -= 1
        } else if count < length {
            return false
        }
        for offset in 0..<length {
            let left = path[offset]
            let right = patterns[entry.pathRange.lowerBound + offset]
            if left != right, !isLenient || lowercased(left) != lowercased(right) { return false }
        }
        return true
    }

    /// Where the name lies in a `Host` field: without the port and without a dot at its end.
    private static func nameRange(_ host: Span<UInt8>) -> Range<Int> {
        var end = host.count
        let isLiteral = host.count > 0 && host[0] == UInt8(ascii: "[")
        for index in host.indices {
            if isLiteral, host[index] == UInt8(ascii: "]") {
                return 0..<(index + 1)
            }
            if !isLiteral, host[index] == UInt8(ascii: ":") {
                end = index
                break
            }
        }
        if end > 1, host[end - 1] == UInt8(ascii: ".") { end -= 1 }
        return 0..<end
    }
}

// The request with which a kept stream was opened, so that the proxy can send it again behind its client's back.
// Invariant: no id that a client brought stands in it; the sender says where the stream goes on.

import Configuration
import HTTP
import Upstreams

/// A request for a stream that can be sent more than once.
final class StreamRequest {
    /// The hash of its path, for the servers' circuit breakers.
    let pathHash: Int
    private let head: [UInt8]
    /// Where the server's name is inserted as Host; nil if the client's Host is in the head.
    private let hostOffset: Int?
    private let upstreamName: String
    /// The servers that it was sent to first.
    private let firstGroup: ServerGroup
    private let outageAnswers: OutageAnswers

    init(_ head: [UInt8], hostOffset: Int?, pathHash: Int, to group: ServerGroup, outageAnswers: OutageAnswers) {
        self.head = Self.withoutEventID(head)
        self.hostOffset = hostOffset
        self.pathHash = pathHash
        firstGroup = group
        upstreamName = group.upstream.name
        self.outageAnswers = outageAnswers
    }

    /// The servers of its upstream as the configuration has them now, with the numbers of their metrics' series. If a reload has dropped
    /// the upstream, they are those that it was sent to first.
    func servers(now generation: Generation) -> (group: ServerGroup, series: [Int32]) {
        guard let index = generation.groups.firstIndex(where: { $0.upstream.name == upstreamName }) else { return (firstGroup, []) }
        let series = generation.settings.serverSeries
        return (generation.groups[index], index < series.count ? series[index] : [])
    }

    /// Whether an answer with that status means that the server may serve the stream later.
    func isOutage(status: Int) -> Bool { (500...599).contains(status) || outageAnswers.contains(status) }

    /// The head for a server that is to go on behind that id of its own; an empty id for none.
    func head(for server: ServerState, after identifier: [UInt8]) -> [UInt8] {
        var head = self.head
        if !identifier.isEmpty {
            var writer = HeadWriter(reservingCapacity: identifier.count + 20)
            // An id that no field can hold is not sent: a browser could not bring it either.
            if (try? writer.field("Last-Event-ID", identifier)) != nil { head.insert(contentsOf: writer.take(), at: head.count - 2) }
        }
        if let hostOffset { head.insert(contentsOf: HeadWriter.fieldLine("Host", server.server.authority), at: hostOffset) }
        return head
    }

    /// A head of the proxy's own writing without `Last-Event-ID`. What lies before the fields keeps its place.
    private static func withoutEventID(_ head: [UInt8]) -> [UInt8] {
        let name = Array("last-event-id:".utf8)
        var kept: [UInt8] = []
        var rest = head[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            let line = rest[...end]
            if !(line.count > name.count && zip(line, name).allSatisfy { $0 | 0x20 == $1 | 0x20 }) { kept += line }
            rest = rest[(end + 1)...]
        }
        return kept
    }
}

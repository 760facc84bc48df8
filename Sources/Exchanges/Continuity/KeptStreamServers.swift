// A kept stream of several servers, whose streams are merged: each address of each server has a feed.

import Configuration
import EventStream
import Reactor
import Telemetry
import Upstreams

extension KeptStream {
    /// Whether a reader has parts of a block that is larger than the limit, and not yet its end.
    var isHandingOnParts: Bool { seats.contains(where: \.followsParts) }

    /// Whether the server, asked again, gave another answer than the stream. Who comes back gets that answer from the server itself.
    var isRefused: Bool { if case .answered? = end { true } else { false } }

    /// Whether nothing comes from a server any more.
    var isOver: Bool { end != nil }

    /// Whether the log holds any block.
    var holdsBlocks: Bool { log.first < log.next }

    /// Has the kernel ask the server now and then whether it is still there.
    func probe() { for feed in feeds { feed.probe() } }

    private static let addressLookMilliseconds: Int64 = 1_000

    /// Whether a server is read besides that feed's.
    func isRead(besides feed: StreamFeed) -> Bool { feeds.contains { $0 !== feed && $0.isReading } }

    /// Whether another server is still asked, and has not answered with something else than a stream.
    func mayBeServed(besides feed: StreamFeed) -> Bool { feeds.contains { $0 !== feed && $0.end == nil && $0.answer == nil } }

    /// Each address that is new gets a feed, also one whose feed is over. While no server is read, feeds that are over stay: all together
    /// say how the stream ends.
    func lookForAddresses() {
        guard let merging else { return }
        merging.nextAddressLook = worker.now + Self.addressLookMilliseconds
        let first = feeds[0]
        let isRead = feeds.contains(where: \.isReading)
        let staying = feeds.filter { feed in
            switch feed.end {
            case nil: true
            case .left: false
            case .whole, .failed, .stayedAway, .answered: !isRead
            }
        }
        let new = first.addresses.filter { address in !staying.contains { $0.pin == address } }
        if !staying.isEmpty || !new.isEmpty {
            for feed in feeds where feed.end != nil && !staying.contains(where: { $0 === feed }) { merging.keep(feed.memory) }
            feeds = Few()
            for feed in staying { feeds.append(feed) }
            // An address may stand there twice, under two names.
            for pin in new where !feeds.contains(where: { $0.pin == pin }) {
                if let feed = first.sibling(merging.recall(pin)) { feeds.append(feed) }
            }
        }
        wakeAtDeadline()
    }

    /// Whether another server has said the block. Its own server's memory has it from here on.
    func isDuplicate(_ payload: Span<UInt8>, of part: ServerPart) -> Bool {
        part.feed.memory?.note(part.cutter, of: payload)
        return merging?.duplicates?.drops(part.cutter, of: payload, from: part.feed.pin.hashValue, at: worker.now) ?? false
    }
}

extension StreamFeed {
    /// One more feed of the same stream, for that server.
    func sibling(_ memory: ServerMemory) -> StreamFeed? { request.map { StreamFeed(memory, beside: self, $0) } }

    /// What the server has answered in place of a stream, since it was last read.
    var answer: Int? {
        switch state {
        case .waiting(let masking), .asking(_, let masking): masking.answer
        case .reading, .overlapping, .over: nil
        }
    }

    /// Ends if the server has answered with something else than a stream, as all others have by now.
    func endWithAnswer() {
        guard let answer else { return }
        leave()
        state = .over(.answered(status: answer))
    }

    /// The addresses of all servers of the upstream, as they are now.
    var addresses: [PinnedAddress] {
        guard let request, !proxy.isDraining else { return [] }
        return request.servers(now: proxy.generation).group.servers.flatMap { server in
            server.addresses.map { PinnedAddress(server: server.name, address: $0) }
        }
    }

    /// Asks the server at that address.
    func connect(_ masking: Masking, to pin: PinnedAddress) {
        let servers = masking.group.servers
        guard let place = pin.place(in: servers) else {
            // The address is no longer the upstream's: what it says by now is read until it ends, and if nothing else is read, it may come
            // back.
            if let old = masking.old { return goOn(with: old) }
            guard stream.isRead(besides: self) else { return wait(masking, until: now + pause(after: masking.failureCount)) }
            // It may never come back, so that nothing else would tell of what has not arrived.
            if masking.isBroken { stream.append(Gap(.upstream, isCertain: false)) }
            finish(.left)
            return stream.serveAll()
        }
        masking.pinnedServer = place
        let part = ServerPart(
            UpstreamConnection(worker: proxy.worker, group: masking.group, server: servers[place]), of: self, eventLimit: eventLimit)
        do {
            state = .asking(part, masking)
            try part.connection.connect(to: pin.address, for: part)
        } catch {
            let seen = SeenFailure(connecting: error, withinMilliseconds: masking.group.upstream.connectTimeoutMilliseconds)
            masking.count(error.meansExhausted ? .exhausted : AttemptResult(seen.failure), place, proxy.counters)
            again(masking, seen)
        }
    }
}

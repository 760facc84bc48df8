// What a merged stream knows of each of its servers, also of those whose names no longer list them: a container that is restarted keeps
// its address, and goes on where it was.

import EventStream
import Upstreams

/// What one server of a merged stream has said. An object, because most feeds have none.
final class ServerMemory {
    let pin: PinnedAddress
    /// Its last id, with which it is asked to go on.
    private(set) var lastIdentifier: [UInt8]
    private var hasSaid = false
    /// Its last blocks.
    private(set) var said = SaidBlocks()
    /// Whether it has been read at all.
    var hasBeenRead = false

    /// What is known of a server that has said nothing, and was asked to go on behind that id; an empty one for none.
    init(_ pin: PinnedAddress, after identifier: [UInt8] = []) { (self.pin, lastIdentifier) = (pin, identifier) }

    /// The same of the server of that connection; nil if it has no address.
    convenience init?(of connection: UpstreamConnection, after identifier: [UInt8]) {
        guard let address = connection.address else { return nil }
        self.init(PinnedAddress(server: connection.server.name, address: address), after: identifier)
    }

    /// The server has said the block that the cutter has just found in the piece.
    func note(_ cutter: BlockCutter, of piece: Span<UInt8>) {
        // The id that it was asked for holds until it says something.
        if let identifier = cutter.identifier(in: piece) { lastIdentifier = identifier } else if !hasSaid { lastIdentifier = [] }
        hasSaid = true
        said.note(cutter, of: piece)
    }
}

/// What a merged stream knows besides.
final class Merging {
    /// So many servers are remembered that are read no more; of more, the ones of long ago are forgotten, and are new when they come back.
    private static let mostMemories = 64

    /// Monotonic milliseconds: when the addresses are looked at next.
    var nextAddressLook = Int64.max
    /// Monotonic milliseconds: when a server was last read, while none is.
    var readUntil: Int64
    /// What several servers say alike, where it is dropped.
    var duplicates: DuplicateFilter?
    private var memories: [ServerMemory] = []

    init(_ duplicates: DuplicateFilter?, now: Int64) {
        self.duplicates = duplicates
        readUntil = now
    }

    /// The feed of this server goes.
    func keep(_ memory: ServerMemory?) {
        guard let memory, memory.hasBeenRead else { return }
        if memories.count == Self.mostMemories { memories.removeFirst() }
        memories.append(memory)
    }

    /// What is known of the server at that address, which gets a feed.
    func recall(_ pin: PinnedAddress) -> ServerMemory {
        guard let place = memories.firstIndex(where: { $0.pin == pin }) else { return ServerMemory(pin) }
        return memories.remove(at: place)
    }
}

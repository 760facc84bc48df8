// The sockets of one address that the proxy listens on: as many as there are workers, or as many as were inherited.

import Reactor

/// The listening sockets of one address, and the listener that they belong to.
struct ListenerSockets: Sendable {
    /// A listener of a configuration.
    struct Owner: Sendable {
        /// Its place among the configuration's listeners.
        let index: Int
        /// Its host and port, as they are written.
        let name: String
    }

    /// The address, with the port that the system gave where port 0 was asked for.
    let address: SocketAddress
    /// The process's own descriptors of them.
    let descriptors: [Int32]
    /// Whether a service manager has them open too: they take connections whether this process serves them or not.
    let isHeldElsewhere: Bool
    /// Nil where no listener has this address, so that its connections are refused.
    let owner: Owner?

    /// The same sockets under another listener.
    func owned(by owner: Owner?) -> ListenerSockets {
        ListenerSockets(address: address, descriptors: descriptors, isHeldElsewhere: isHeldElsewhere, owner: owner)
    }

    /// The descriptors of one worker: its share of them. Where there are fewer sockets than workers, several workers watch the same one.
    func descriptors(forWorker number: Int, of count: Int) -> [Int32] {
        guard descriptors.count >= count else { return [descriptors[number % descriptors.count]] }
        return stride(from: number, to: descriptors.count, by: count).map { descriptors[$0] }
    }
}

// The sockets that the proxy listens on: one for each address and worker. They share the port (SO_REUSEPORT), so that the kernel
// spreads connections over the workers. Sockets that were inherited are used as they are.
// Invariant: the descriptors here are the process's own. Workers get copies, so that a socket can be handed to another worker or
// process at any time. The kernel closes a socket when all its descriptors are closed.

import Configuration
import Reactor
import Upstreams

/// All listening sockets of a generation.
struct ListeningSockets: Sendable {
    /// One for each address.
    private(set) var all: [ListenerSockets] = []

    /// Those whose connections are served.
    var served: [ListenerSockets] { all.filter { $0.owner != nil } }
    /// Those whose connections are refused, because a service manager has them open and no listener has their address.
    var refused: [ListenerSockets] { all.filter { $0.owner == nil } }
    /// The process's descriptor of every socket, each once.
    var descriptors: [Int32] { all.flatMap(\.descriptors) }

    /// No sockets.
    init() {}

    /// The sockets for these listeners. Those of `current` and the inherited ones stay where a listener has their address; a name that
    /// `current` knows is not looked up again. Nothing of `current` is closed. Inherited sockets that no listener needs are closed at
    /// once, because they may be the reason why another address cannot be had; those that a service manager has open too stay and
    /// are refused. `warn` is told of each.
    /// - Throws: `cannotListen`. Whatever was opened or inherited is closed then.
    init(
        _ listeners: [Listener], after current: ListeningSockets, inheriting inherited: [InheritedSocket] = [], workerCount: Int,
        kernel: Kernel, lookups: NameLookups, warn: (String) -> Void
    ) throws(StartError) {
        let wanted = listeners.enumerated().flatMap { index, listener in
            current.addresses(of: listener, lookups, kernel).map { (owner: ListenerSockets.Owner(index: index, name: "\(listener)"), $0) }
        }
        let given = ListeningSockets.taken(inherited, wanted: Set(wanted.map(\.1)), kernel: kernel, warn: warn)
        let known = current.all + given
        var opened = given.flatMap(\.descriptors)
        for (owner, address) in wanted {
            do throws(SystemError) {
                if all.contains(where: { $0.address == address }) { throw SystemError.addressInUse }
                if let sockets = known.first(where: { $0.address == address }) {
                    all.append(sockets.owned(by: owner))
                } else {
                    // The process's own sockets on that port may go with this change, and would make a free address look taken.
                    let looksFirst = !current.all.contains { $0.address.port == address.port }
                    let sockets = try ListeningSockets.open(address, owner, count: workerCount, looksFirst: looksFirst, kernel: kernel)
                    opened += sockets.descriptors
                    all.append(sockets)
                }
            } catch {
                for descriptor in opened { kernel.close(descriptor, abortively: false) }
                throw .cannotListen(address: owner.name, error)
            }
        }
        let others = known.filter { sockets in sockets.isHeldElsewhere && !all.contains { $0.address == sockets.address } }
        all += others.map { $0.owned(by: nil) }
    }

    /// The sockets whose address `other` does not have.
    func missing(in other: ListeningSockets) -> [ListenerSockets] {
        all.filter { sockets in !other.all.contains { $0.address == sockets.address } }
    }

    /// Inherited sockets by their addresses, without those that are closed because nobody needs them.
    private static func taken(
        _ inherited: [InheritedSocket], wanted: Set<SocketAddress>, kernel: Kernel, warn: (String) -> Void
    ) -> [ListenerSockets] {
        var taken: [ListenerSockets] = []
        for socket in inherited {
            let isWanted = socket.address.map(wanted.contains) ?? false
            if !isWanted { warn(warning(of: socket)) }
            guard let address = socket.address, isWanted || socket.isHeldElsewhere else {
                kernel.close(socket.descriptor, abortively: false)
                continue
            }
            let others = taken.first { $0.address == address }
            taken.removeAll { $0.address == address }
            taken.append(
                ListenerSockets(
                    address: address, descriptors: (others?.descriptors ?? []) + [socket.descriptor],
                    isHeldElsewhere: socket.isHeldElsewhere || others?.isHeldElsewhere == true, owner: nil))
        }
        return taken
    }

    private static func warning(of socket: InheritedSocket) -> String {
        let name = socket.name.isEmpty ? "" : " ('\(socket.name)')"
        guard let address = socket.address else {
            return "inherited descriptor \(socket.descriptor)\(name) is no listening TCP socket; it was closed"
        }
        let outcome = socket.isHeldElsewhere ? "clients that connect to it are refused" : "it was closed"
        return "no 'listen' fits the inherited socket\(name) on \(address); \(outcome)"
    }

    private static func open(
        _ wanted: SocketAddress, _ owner: ListenerSockets.Owner, count: Int, looksFirst: Bool, kernel: Kernel
    ) throws(SystemError) -> ListenerSockets {
        var bound = wanted
        // The kernel lets sockets that share a port in beside those of any other process of this user that share it too. So a socket
        // that does not share is bound first: it is refused where the address is taken. It does not listen, because closing it would
        // reset the clients that had connected.
        if looksFirst, !wanted.isUnix {
            let probe = try kernel.bind(wanted)
            bound = kernel.localAddress(of: probe) ?? wanted
            kernel.close(probe, abortively: false)
        }
        var opened: [Int32] = []
        for _ in 0..<count {
            do {
                opened.append(try kernel.listen(bound, sharingPort: true))
            } catch {
                for descriptor in opened { kernel.close(descriptor, abortively: false) }
                throw error
            }
        }
        return ListenerSockets(address: bound, descriptors: opened, isHeldElsewhere: false, owner: owner)
    }

    // MARK: Names

    /// The names that have to be looked up for these listeners: those that have no sockets here yet.
    func namesToLookUp(for listeners: [Listener]) -> Set<String> {
        let hosts = listeners.filter { listener in
            !ListeningSockets.isEveryAddress(listener) && !served.contains { $0.owner?.name == listener.description }
        }.map(\.host)
        return NameResolver.names(among: hosts)
    }

    private static func isEveryAddress(_ listener: Listener) -> Bool { listener.host.isEmpty || listener.host == "*" }

    private func addresses(of listener: Listener, _ lookups: NameLookups, _ kernel: Kernel) -> [SocketAddress] {
        let known = served.filter { $0.owner?.name == listener.description }
        if !known.isEmpty { return known.map(\.address) }
        if ListeningSockets.isEveryAddress(listener) { return [kernel.everyAddress(port: listener.port)] }
        let found = lookups.addresses(of: listener.host, port: listener.port)
        // A name without an address is told as the failure to listen on it (TEST-NET-1, RFC 5737: no machine has this address).
        return found.isEmpty ? [SocketAddress(bytes: [192, 0, 2, 0], port: listener.port)] : found
    }
}

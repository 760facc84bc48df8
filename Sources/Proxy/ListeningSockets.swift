// The sockets that the proxy listens on: one for each address and worker, sharing the port, so that the kernel spreads
// connections over the workers and none of them is shared. Those that were inherited are used as they are.
// Invariant: the descriptors here are the proxy's own; workers get copies, so that a socket can be handed to another worker or
// process at any time, and closes when both have closed theirs.

import Configuration
import Reactor

/// All listening sockets of a proxy.
struct ListeningSockets {
    /// The sockets of one address.
    struct Entry {
        /// The listener as it stands in the configuration, by its host and port.
        let name: String
        /// The place of its listener in the configuration.
        var listenerIndex: Int
        /// The address, with the port that was given.
        let address: SocketAddress
        let descriptors: [Int32]

        /// The sockets of one worker: its share of them, or, where there are fewer than workers, one that others watch too.
        func descriptors(forWorker number: Int, of count: Int) -> [Int32] {
            guard descriptors.count >= count else { return [descriptors[number % descriptors.count]] }
            return stride(from: number, to: descriptors.count, by: count).map { descriptors[$0] }
        }
    }

    private(set) var entries: [Entry]

    private init(entries: [Entry]) { self.entries = entries }

    /// Opens what the listeners need and was not inherited. Inherited sockets that nobody needs are closed, and `complain` is told of each.
    init(
        _ listeners: [Listener], inheriting inherited: [InheritedSocket] = [], workerCount: Int, kernel: Kernel, lookups: NameLookups,
        complain: (String) -> Void
    ) throws(StartError) {
        entries = []
        let wanted = listeners.enumerated().flatMap { index, listener in
            ListeningSockets.addresses(of: listener, lookups, kernel).map { (index: index, listener: listener, address: $0) }
        }
        // Closed before anything is opened, because they could stand in the way of it.
        for socket in inherited where !wanted.contains(where: { $0.address == socket.address }) {
            kernel.close(socket.descriptor, abortively: false)
            complain(ListeningSockets.complaint(of: socket))
        }
        for (index, listener, address) in wanted {
            let isTaken = entries.contains { $0.address == address }
            let found = isTaken ? [] : inherited.filter { $0.address == address }.map(\.descriptor)
            do {
                let opened = found.isEmpty ? try ListeningSockets.open(address, count: workerCount, kernel: kernel) : (address, found)
                entries.append(Entry(name: listener.description, listenerIndex: index, address: opened.0, descriptors: opened.1))
            } catch {
                close(kernel)
                throw .cannotListen(address: listener.description, error)
            }
        }
    }

    /// The sockets for other listeners. Where an address stays, so do its very sockets; a name that stays is not looked up again.
    /// Nothing is closed yet.
    func replaced(
        for listeners: [Listener], workerCount: Int, kernel: Kernel, lookups: NameLookups
    ) throws(StartError) -> ListeningSockets {
        var next = ListeningSockets(entries: [])
        var opened: [Int32] = []
        for (index, listener) in listeners.enumerated() {
            let known = entries.filter { $0.name == listener.description }
            let addresses = known.isEmpty ? ListeningSockets.addresses(of: listener, lookups, kernel) : known.map(\.address)
            for address in addresses {
                do throws(SystemError) {
                    if next.entries.contains(where: { $0.address == address }) { throw SystemError.addressInUse }
                    var descriptors = entries.first { $0.address == address }?.descriptors ?? []
                    if descriptors.isEmpty {
                        // Our own sockets on that port, which may go, would be in the way of a look whether it is free.
                        let isOurs = entries.contains { $0.address.port == address.port }
                        descriptors = try ListeningSockets.open(address, count: workerCount, looksFirst: !isOurs, kernel: kernel).1
                        opened += descriptors
                    }
                    next.entries.append(
                        Entry(name: listener.description, listenerIndex: index, address: address, descriptors: descriptors))
                } catch {
                    for descriptor in opened { kernel.close(descriptor, abortively: false) }
                    throw .cannotListen(address: listener.description, error)
                }
            }
        }
        return next
    }

    /// The entries whose address is none of another's.
    func missing(in other: ListeningSockets) -> [Entry] {
        entries.filter { entry in !other.entries.contains { $0.address == entry.address } }
    }

    /// Every socket once.
    var descriptors: [Int32] { entries.flatMap(\.descriptors) }

    /// Closes the proxy's own descriptors.
    mutating func close(_ kernel: Kernel) {
        for descriptor in descriptors { kernel.close(descriptor, abortively: false) }
        entries = []
    }

    private static func complaint(of socket: InheritedSocket) -> String {
        let name = socket.name.isEmpty ? "" : " ('\(socket.name)')"
        guard let address = socket.address else { return "inherited descriptor \(socket.descriptor)\(name) is no listening TCP socket; it was closed" }
        return "no 'listen' fits the inherited socket\(name) on \(address); it was closed"
    }

    private static func open(
        _ wanted: SocketAddress, count: Int, looksFirst: Bool = true, kernel: Kernel
    ) throws(SystemError) -> (SocketAddress, [Int32]) {
        var bound = wanted
        // Sockets that share a port are let in beside those of any other process of this user that shares it. A socket that
        // does not share is refused then, and so tells that the address is taken. It does not listen: whoever connected to it
        // would be reset.
        if looksFirst {
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
        return (bound, opened)
    }

    private static func isEveryAddress(_ listener: Listener) -> Bool { listener.host.isEmpty || listener.host == "*" }

    /// The listeners' hosts that are names.
    static func names(in listeners: [Listener]) -> Set<String> {
        NameResolver.names(among: listeners.filter { !isEveryAddress($0) }.map(\.host))
    }

    /// Those names of other listeners that have to be looked up before `replaced`.
    func newNames(in listeners: [Listener]) -> Set<String> {
        ListeningSockets.names(in: listeners.filter { listener in !entries.contains { $0.name == listener.description } })
    }

    private static func addresses(of listener: Listener, _ lookups: NameLookups, _ kernel: Kernel) -> [SocketAddress] {
        if isEveryAddress(listener) { return [kernel.everyAddress(port: listener.port)] }
        let found = lookups.addresses(of: listener.host, port: listener.port)
        // A name that stands for nothing is reported as the failure to listen on it.
        return found.isEmpty ? [SocketAddress(bytes: [192, 0, 2, 0], port: listener.port)] : found
    }
}

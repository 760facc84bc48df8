// The sockets that the proxy listens on: one for each address and worker, sharing the port, so that the kernel spreads
// connections over the workers and none of them is shared. Those that were inherited are used as they are.
// Invariant: the descriptors here are the proxy's own; workers get copies, so that a socket can be handed to another worker or
// process at any time, and closes when both have closed theirs.

import Configuration
import Reactor
import Upstreams

/// The sockets of one address.
struct AddressSockets {
    /// The address, with the port that was given.
    let address: SocketAddress
    let descriptors: [Int32]
    /// Whether a service manager holds them too: they are there and take connections whether this process does or not.
    let isHeldElsewhere: Bool

    /// The sockets of one worker: its share of them, or, where there are fewer than workers, one that others watch too.
    func descriptors(forWorker number: Int, of count: Int) -> [Int32] {
        guard descriptors.count >= count else { return [descriptors[number % descriptors.count]] }
        return stride(from: number, to: descriptors.count, by: count).map { descriptors[$0] }
    }
}

/// All listening sockets of a proxy.
struct ListeningSockets {
    /// The sockets of one listener at one address.
    struct Entry {
        /// The listener as it stands in the configuration, by its host and port.
        let name: String
        /// The place of its listener in the configuration.
        let listenerIndex: Int
        let sockets: AddressSockets

        var address: SocketAddress { sockets.address }
    }

    private(set) var entries: [Entry] = []
    /// Those that no listener wants and that are held elsewhere: whoever connects to them would wait for ever if nobody took him.
    private(set) var unwanted: [AddressSockets] = []

    private init() {}

    /// Opens what the listeners need and was not inherited. Inherited sockets that nobody needs are closed, or refuse whoever comes, and
    /// `complain` is told of each.
    init(
        _ listeners: [Listener], inheriting inherited: [InheritedSocket] = [], workerCount: Int, kernel: Kernel, lookups: NameLookups,
        complain: (String) -> Void
    ) throws(StartError) {
        let wanted = listeners.enumerated().flatMap { index, listener in
            ListeningSockets.addresses(of: listener, lookups, kernel).map { (index: index, listener: listener, address: $0) }
        }
        // Before anything is opened, because they could stand in the way of it.
        for socket in inherited where !wanted.contains(where: { $0.address == socket.address }) {
            if let address = socket.address, socket.isHeldElsewhere {
                let others = unwanted.first { $0.address == address }?.descriptors ?? []
                unwanted.removeAll { $0.address == address }
                unwanted.append(AddressSockets(address: address, descriptors: others + [socket.descriptor], isHeldElsewhere: true))
            } else {
                kernel.close(socket.descriptor, abortively: false)
            }
            complain(ListeningSockets.complaint(of: socket))
        }
        for (index, listener, address) in wanted {
            let isTaken = entries.contains { $0.address == address }
            let found = isTaken ? [] : inherited.filter { $0.address == address }
            do {
                var sockets = AddressSockets(
                    address: address, descriptors: found.map(\.descriptor), isHeldElsewhere: found.contains { $0.isHeldElsewhere })
                if found.isEmpty { sockets = try ListeningSockets.open(address, count: workerCount, kernel: kernel) }
                entries.append(Entry(name: listener.description, listenerIndex: index, sockets: sockets))
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
        var next = ListeningSockets()
        var opened: [Int32] = []
        for (index, listener) in listeners.enumerated() {
            let known = entries.filter { $0.name == listener.description }
            let addresses = known.isEmpty ? ListeningSockets.addresses(of: listener, lookups, kernel) : known.map(\.address)
            for address in addresses {
                do throws(SystemError) {
                    if next.entries.contains(where: { $0.address == address }) { throw SystemError.addressInUse }
                    var sockets = all.first { $0.address == address }
                    if sockets == nil {
                        // Our own sockets on that port, which may go, would be in the way of a look whether it is free.
                        let isOurs = all.contains { $0.address.port == address.port }
                        let new = try ListeningSockets.open(address, count: workerCount, looksFirst: !isOurs, kernel: kernel)
                        opened += new.descriptors
                        sockets = new
                    }
                    if let sockets { next.entries.append(Entry(name: listener.description, listenerIndex: index, sockets: sockets)) }
                } catch {
                    for descriptor in opened { kernel.close(descriptor, abortively: false) }
                    throw .cannotListen(address: listener.description, error)
                }
            }
        }
        next.unwanted = all.filter { sockets in sockets.isHeldElsewhere && !next.entries.contains { $0.address == sockets.address } }
        return next
    }

    /// All sockets, those included that no listener wants.
    var all: [AddressSockets] { entries.map(\.sockets) + unwanted }

    /// The sockets whose address is none of another's.
    func missing(in other: ListeningSockets) -> [AddressSockets] {
        all.filter { sockets in !other.all.contains { $0.address == sockets.address } }
    }

    /// Every socket once.
    var descriptors: [Int32] { all.flatMap(\.descriptors) }

    /// Closes the proxy's own descriptors.
    mutating func close(_ kernel: Kernel) {
        for descriptor in descriptors { kernel.close(descriptor, abortively: false) }
        self = ListeningSockets()
    }

    private static func complaint(of socket: InheritedSocket) -> String {
        let name = socket.name.isEmpty ? "" : " ('\(socket.name)')"
        guard let address = socket.address else {
            return "inherited descriptor \(socket.descriptor)\(name) is no listening TCP socket; it was closed"
        }
        let outcome = socket.isHeldElsewhere ? "whoever connects to it is refused" : "it was closed"
        return "no 'listen' fits the inherited socket\(name) on \(address); \(outcome)"
    }

    private static func open(
        _ wanted: SocketAddress, count: Int, looksFirst: Bool = true, kernel: Kernel
    ) throws(SystemError) -> AddressSockets {
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
        return AddressSockets(address: bound, descriptors: opened, isHeldElsewhere: false)
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

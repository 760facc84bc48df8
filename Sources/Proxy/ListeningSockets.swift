// The sockets that the proxy listens on: one for each address and worker, sharing the port, so that the kernel spreads
// connections over the workers and none of them is shared.

import Configuration
import Reactor

/// All listening sockets of a proxy.
struct ListeningSockets {
    /// The addresses, with the ports that were given.
    private(set) var addresses: [SocketAddress] = []
    /// For each address the place of its listener in the configuration.
    private(set) var listenerIndexes: [Int] = []
    private var descriptors: [[Int32]] = []

    init(_ listeners: [Listener], workerCount: Int, kernel: Kernel) throws(StartError) {
        for (index, listener) in listeners.enumerated() {
            for address in ListeningSockets.addresses(of: listener, kernel: kernel) {
                do {
                    try open(address, workerCount: workerCount, kernel: kernel)
                    listenerIndexes.append(index)
                } catch {
                    closeRest(kernel)
                    throw .cannotListen(address: listener.description, error)
                }
            }
        }
    }

    /// Hands the socket of one address over to a worker, who closes it from then on.
    mutating func take(_ index: Int, forWorker number: Int) -> Int32 {
        defer { descriptors[index][number] = -1 }
        return descriptors[index][number]
    }

    /// Closes what nobody has taken.
    mutating func closeRest(_ kernel: Kernel) {
        for descriptor in descriptors.joined() where descriptor >= 0 { kernel.close(descriptor, abortively: false) }
        descriptors = []
    }

    private mutating func open(_ wanted: SocketAddress, workerCount: Int, kernel: Kernel) throws(SystemError) {
        // Sockets that share a port are let in beside those of any other process of this user that shares it. A socket that
        // does not share is refused then, and so tells that the address is taken. It does not listen: whoever connected to it
        // would be reset.
        let probe = try kernel.bind(wanted)
        let bound = kernel.localAddress(of: probe) ?? wanted
        kernel.close(probe, abortively: false)
        var opened: [Int32] = []
        for _ in 0..<workerCount {
            do {
                opened.append(try kernel.listen(bound, sharingPort: true))
            } catch {
                for descriptor in opened { kernel.close(descriptor, abortively: false) }
                throw error
            }
        }
        descriptors.append(opened)
        addresses.append(bound)
    }

    private static func addresses(of listener: Listener, kernel: Kernel) -> [SocketAddress] {
        // All interfaces: one IPv6 socket takes IPv4 connections too.
        if listener.host.isEmpty || listener.host == "*" { return [SocketAddress(numeric: "::", port: listener.port)!] }
        let found = kernel.resolve(listener.host, port: listener.port)
        // A name that stands for nothing is reported as the failure to listen on it.
        return found.isEmpty ? [SocketAddress(bytes: [192, 0, 2, 0], port: listener.port)] : found
    }
}

// What the names of servers stand for. Addresses written as numbers need no look-up and never change.

import Configuration
import Reactor

/// Looks up the servers of all upstreams.
struct NameResolver: Sendable {
    private let upstreams: [Upstream]

    init(_ upstreams: [Upstream]) { self.upstreams = upstreams }

    /// Whether any server is given by name.
    var needsLookups: Bool {
        upstreams.contains { $0.servers.contains { SocketAddress(numeric: $0.host, port: $0.port) == nil } }
    }

    /// The addresses of each server of each upstream; blocks as long as the system's resolver does.
    func resolveAll(_ kernel: Kernel) -> [[[SocketAddress]]] {
        upstreams.map { $0.servers.map { kernel.resolve($0.host, port: $0.port) } }
    }

    /// The same, but a server that another resolver had found addresses for keeps them until they are looked up again.
    func resolveNew(_ kernel: Kernel, known: NameResolver, _ found: [[[SocketAddress]]]) -> [[[SocketAddress]]] {
        var addresses: [Upstream.Server: [SocketAddress]] = [:]
        for (upstream, found) in zip(known.upstreams, found) {
            for (server, found) in zip(upstream.servers, found) where !found.isEmpty { addresses[server] = found }
        }
        return upstreams.map { $0.servers.map { addresses[$0] ?? kernel.resolve($0.host, port: $0.port) } }
    }

    /// The names that have no address.
    func unresolved(in addresses: [[[SocketAddress]]]) -> [String] {
        zip(upstreams, addresses).flatMap { upstream, addresses in
            zip(upstream.servers, addresses).filter { $0.1.isEmpty }.map { $0.0.host }
        }
    }
}

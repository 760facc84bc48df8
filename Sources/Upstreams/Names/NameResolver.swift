// The addresses of all servers by their names. Addresses written as numbers need no look-up and never change.

import Configuration
import Reactor

/// The servers of all upstreams by their names.
package struct NameResolver: Sendable {
    private let upstreams: [Upstream]
    /// The hosts that are names.
    package let names: Set<String>

    /// The servers of these upstreams.
    package init(_ upstreams: [Upstream]) {
        self.upstreams = upstreams
        names = NameResolver.names(among: upstreams.flatMap { $0.servers.map(\.host) })
    }

    /// The hosts among these that are names, and not addresses or paths.
    package static func names(among hosts: [String]) -> Set<String> { Set(hosts.filter { SocketAddress(literal: $0, port: 0) == nil }) }

    /// The addresses of each server of each upstream, as they are known now.
    package func addresses(from lookups: NameLookups) -> [[[SocketAddress]]] {
        upstreams.map { $0.servers.map { lookups.addresses(of: $0.host, port: $0.port) } }
    }

    /// What the operator is told of the names that have no address. `unanswered` are the names whose look-up did not end in that time.
    package func warnings(about addresses: [[[SocketAddress]]], unanswered: Set<String>, withinMilliseconds patience: Int) -> [String] {
        var hosts = Set<String>()
        return zip(upstreams, addresses).flatMap { zip($0.servers, $1) }.compactMap { server, addresses in
            guard addresses.isEmpty, hosts.insert(server.host).inserted else { return nil }
            let state = unanswered.contains(server.host) ? "could not be looked up within \(patience / 1000) s" : "has no address yet"
            return "the server's name \(server.host) \(state); it will be looked up again"
        }
    }
}

// A configuration in force, with all that belongs to it in the process. A worker's part of it is a `Generation`.

import Configuration
import Downstreams
import Exchanges
import Reactor
import Upstreams

/// What one configuration consists of while it is in force. A reload puts another generation in its place; this one does not change,
/// apart from the addresses of names.
struct ProxyGeneration: Sendable {
    /// The configuration as workers and exchanges use it.
    let settings: Settings
    /// Its certificates.
    let security: Security
    /// The limits on connections and the ways to the logs.
    let shared: SharedState
    let logs: Logs
    let sockets: ListeningSockets
    /// The console's.
    let consoleSockets: ListeningSockets
    let names: NameResolver
    /// The addresses of each server of each upstream, as far as they are known.
    var addresses: [[[SocketAddress]]]

    /// The configuration as it was written.
    var configuration: Configuration { settings.configuration }

    /// What secures the connections that come by each address.
    var listeners: [SocketAddress: ListenerSecurity] {
        var listeners: [SocketAddress: ListenerSecurity] = [:]
        for sockets in sockets.served { listeners[sockets.address] = sockets.owner.map { security.listeners[$0.index] } }
        return listeners
    }
}

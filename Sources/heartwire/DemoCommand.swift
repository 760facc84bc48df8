// `heartwire demo`: the demo's world and the real proxy in one process, until a signal ends it. `DemoWorld` builds the world; here it
// is only started and ended in the right order.

import Configuration
import Demo
import Proxy
import Reactor

enum DemoCommand {
    /// Runs the demo; returns when a signal has ended it.
    static func run(_ listener: Listener) {
        do {
            let kernel = LinuxKernel()
            let worker = try makeWorker(kernel)
            let world = try makeWorld(on: worker, at: listener, kernel)
            let proxy = try ProxyServer(world.configuration()) { LinuxKernel() }
            world.connect(proxyAddresses: proxy.listeningAddresses)
            Main.say(world.introduction)
            endOnSignal(proxy, then: worker.mailbox)
            worker.run()
        } catch {
            ServeCommand.fail(error)
        }
    }

    /// Waits for signals on a thread of its own. The proxy ends first, while the hop still passes on how its streams end. There are no
    /// log files, so a signal to reopen them does nothing.
    private static func endOnSignal(_ proxy: ProxyServer, then world: Mailbox) {
        SystemThread.start(name: "signals") {
            while SystemProcess.nextSignal() != .terminate {}
            SystemProcess.warn("heartwire: ending the demo")
            proxy.stop()
            world.post { $0.stop() }
        }
    }

    private static func makeWorker(_ kernel: Kernel) throws(StartError) -> Worker {
        do {
            return try Worker(number: 0, kernel: kernel)
        } catch {
            throw .system(error)
        }
    }

    private static func makeWorld(
        on worker: Worker, at listener: Listener, _ kernel: Kernel
    ) throws(StartError) -> DemoWorld {
        let address = address(of: listener, kernel)
        let identity: SelfSignedIdentity
        do { identity = try SelfSignedIdentity(hosts: DemoWorld.hosts(for: address)) } catch { throw .security(error) }
        do {
            return try DemoWorld(worker: worker, listen: address, identity: identity)
        } catch {
            throw .cannotListen(address: listener.description, error)
        }
    }

    /// The one address to listen on. If a name has several, an IPv4 address: `localhost` may mean `::1` on machines without IPv6.
    static func address(of listener: Listener, _ kernel: Kernel) -> SocketAddress {
        if listener.host.isEmpty || listener.host == "*" { return kernel.everyAddress(port: listener.port) }
        let found = kernel.resolve(listener.host, port: listener.port)
        // For a name without an address, listening on this one fails, and that failure is reported.
        return found.first { !$0.isIPv6 } ?? found.first ?? SocketAddress(bytes: [192, 0, 2, 0], port: listener.port)
    }
}

// `heartwire demo`: the demo's world and the real proxy in one process, until it is told to end. What the world consists
// of is `DemoWorld`'s; here it is only started and ended in the right order.

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
            world.connect(proxyAddress: proxy.listeningAddresses[0])
            SystemProcess.say(world.introduction)
            endOnSignal(proxy, then: worker.mailbox)
            worker.run()
        } catch {
            ServeCommand.fail(error)
        }
    }

    /// Waits for the operator on a thread of its own. The proxy goes first, while the hop still passes on how it ends its
    /// streams. There are no log files, so a call to open them anew means nothing here.
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
        do {
            return try DemoWorld(worker: worker, listen: address(of: listener, kernel))
        } catch {
            throw .cannotListen(address: listener.description, error)
        }
    }

    /// The one address that is listened on. Of a name with several, an IPv4 one: `localhost` may stand for `::1` on machines
    /// without IPv6.
    private static func address(of listener: Listener, _ kernel: Kernel) -> SocketAddress {
        if listener.host.isEmpty || listener.host == "*" { return kernel.everyAddress(port: listener.port) }
        let found = kernel.resolve(listener.host, port: listener.port)
        // A name that stands for nothing is reported as the failure to listen on it.
        return found.first { !$0.isIPv6 } ?? found.first ?? SocketAddress(bytes: [192, 0, 2, 0], port: listener.port)
    }
}

// Puts the demo together: the backend, the three ways to it, and Heartwire's configuration. The caller starts the proxy. Invariant: after
// a successful `init` every address is bound; after a failed one, none is.

import Configuration
import Reactor

/// The demo without the proxy. It lives on one worker, and is made and used on that worker's thread (or before the thread runs).
///
/// The order:
///
///     let worker = try Worker(number: 0, kernel: LinuxKernel())
///     let world = try DemoWorld(worker: worker, listen: address)      // throws a SystemError for a port in use
///     let proxy = try ProxyServer(world.configuration()) { LinuxKernel() }
///     world.connect(proxyAddresses: proxy.listeningAddresses)
///     print(world.introduction)
///     worker.run()                                                    // on a thread of its own
///
/// A browser that comes earlier waits in the backlog, since nothing is accepted before the worker runs.
package final class DemoWorld {
    /// Where the page is served, through hop and Heartwire, with the given port.
    package let pageAddress: SocketAddress
    /// Where the hop leads straight to the backend: the page's port plus one if that is free.
    package let directAddress: SocketAddress
    /// Where the pages are served over TLS, and so over HTTP/2: the page's port plus two if that is free.
    package let securedAddress: SocketAddress
    /// Where the backend listens, on the loopback interface.
    package let backendAddress: SocketAddress
    /// The token that the backend wants, made at the start.
    package let token: String

    let backend: Backend
    let pageHop: Hop
    let directHop: Hop
    let securedHop: Hop
    /// The hop between Heartwire and the backend, for the stream that Heartwire keeps.
    let hopBehind: Hop
    /// Where that hop listens, on the loopback interface.
    let addressBehind: SocketAddress
    private let timing: DemoTiming
    /// The certificate that the proxy shows. Its files exist as long as the object.
    private let identity: SelfSignedIdentity

    /// Binds all addresses. `listen` is where the browser connects, port 0 for any.
    ///
    /// - Throws: a `SystemError` when an address is not available; the requested address is tried first.
    package init(
        worker: Worker, listen: SocketAddress, identity: SelfSignedIdentity, timing: DemoTiming = DemoTiming()
    ) throws(SystemError) {
        self.timing = timing
        self.identity = identity
        let kernel = worker.kernel
        let feed = DemoFeed()
        token = DemoWorld.makeToken(kernel)
        let pageHop = Hop(worker: worker, side: .through, idleLimitMilliseconds: timing.hopIdleLimitMilliseconds, feed: feed)
        let directHop = Hop(worker: worker, side: .direct, idleLimitMilliseconds: timing.hopIdleLimitMilliseconds, feed: feed)
        let securedHop = Hop(worker: worker, side: .through, idleLimitMilliseconds: timing.hopIdleLimitMilliseconds, feed: feed)
        let hopBehind = Hop(worker: worker, side: .behind, idleLimitMilliseconds: timing.hopIdleLimitMilliseconds, feed: feed)
        let page = try DemoWorld.open(listen, worker: worker) { pageHop.accept($0) }
        var opened = [page.acceptor]
        do throws(SystemError) {
            let direct = try DemoWorld.openBeside(page.address, steps: 1, worker: worker) { directHop.accept($0) }
            opened.append(direct.acceptor)
            let secured = try DemoWorld.openBeside(page.address, steps: 2, worker: worker) { securedHop.accept($0) }
            opened.append(secured.acceptor)
            let backend = Backend(worker: worker, timing: timing, feed: feed, token: token)
            let loopback = SocketAddress(bytes: [127, 0, 0, 1], port: 0)
            let server = try DemoWorld.open(loopback, worker: worker) { backend.accept($0) }
            opened.append(server.acceptor)
            addressBehind = try DemoWorld.open(loopback, worker: worker) { hopBehind.accept($0) }.address
            self.backend = backend
            pageAddress = page.address
            directAddress = direct.address
            securedAddress = secured.address
            backendAddress = server.address
        } catch {
            for acceptor in opened { acceptor.close() }
            throw error
        }
        self.pageHop = pageHop
        self.directHop = directHop
        self.securedHop = securedHop
        self.hopBehind = hopBehind
        directHop.target = backendAddress
        hopBehind.target = backendAddress
        backend.countConnections = { isSecured in (isSecured ? securedHop : pageHop).connectionCount }
        let facts = PageFacts(
            plainPort: pageAddress.port, directPort: directAddress.port, securedPort: securedAddress.port, token: token, timing: timing,
            configuration: shownConfiguration)
        backend.pages = ["/": Page.document(facts), "/eight": Page.eight(facts)]
    }

    /// The hosts that the certificate of a demo at this address names.
    package static func hosts(for listen: SocketAddress) -> [String] {
        let usual = ["localhost", "127.0.0.1", "::1"]
        return usual + [listen.host].filter { !usual.contains($0) && $0 != "0.0.0.0" && $0 != "::" }
    }

    /// Sets where the proxy listens, without TLS and with it. Until then the hops refuse every client of the pages.
    package func connect(proxyAddresses: [SocketAddress]) {
        precondition(proxyAddresses.count == 2, "the configuration has two listeners")
        (pageHop.target, securedHop.target) = (proxyAddresses[0], proxyAddresses[1])
    }

    /// The proxy's configuration: one worker, two loopback ports, the second with TLS, the event stream with its token and heartbeat,
    /// and the pages. Logs are off.
    package func configuration() -> Configuration {
        do {
            var configuration = try ConfigurationFile.parse(
                Array(configurationText.utf8), fileName: "demo", environment: { _ in nil }
            ).configuration
            let certificate = Certificate(certificateFile: identity.files.certificateFile, keyFile: identity.files.keyFile)
            var secured = Listener(host: "127.0.0.1", port: 0, tls: ListenerTLS(certificates: [certificate]))
            secured.speakUsualProtocols()
            configuration.listeners = [Listener(host: "127.0.0.1", port: 0), secured]
            return configuration
        } catch {
            preconditionFailure("the demo's own configuration is good: \(error)")
        }
    }

    /// What to open and what to try, as text for the terminal: a few lines, one of them a `curl` command.
    package var introduction: String {
        """
        The demo runs. Open http://\(address(pageAddress))/ in a browser; Ctrl-C ends it.
        Eight streams in one page, over HTTP/1.1 and over HTTP/2: https://\(address(securedAddress))/eight
        (The certificate was made at the start, so the browser warns of it once.)

        The stream through Heartwire, with the token where an EventSource can put it:
          curl -N 'http://\(address(pageAddress))/events?access_token=\(token)'
        The same over HTTP/2:
          curl -Nk 'https://\(address(securedAddress))/events?access_token=\(token)'
        The same stream as it is today, cut after \(duration(timing.hopIdleLimitMilliseconds)) of silence:
          curl -N 'http://\(address(directAddress))/events-open'

        """
    }

    /// The route of the event stream, as the configuration and the page show it.
    private var eventsRoute: String {
        """
        route /events {
            upstream backend
            heartbeat \(duration(timing.heartbeatMilliseconds))
            bearer_from query access_token
        }
        """
    }

    /// The route of the stream that Heartwire keeps. It has no heartbeats, so that the hops cut.
    private var keptRoute: String {
        """
        route /events-kept {
            upstream behind
            heartbeat off
            bearer_from query access_token
            identity token
            history {
                away 30s
            }
            mask 1m
            greeting hello
        }
        """
    }

    /// The configuration that the page shows: the routes, and what TLS would need in addition.
    private var shownConfiguration: String {
        """
        \(eventsRoute)

        # The third stream: cut on both sides, as it has no heartbeats.
        \(keptRoute)

        # Over TLS, and so over HTTP/2, with a certificate of your own:
        # listen *:8443 {
        #     tls {
        #         certificate site.pem site.key
        #     }
        # }
        """
    }

    private var configurationText: String {
        """
        workers 1
        listen 127.0.0.1:1
        stream_log off
        drain 0s
        upstream backend {
            server \(backendAddress)
        }
        upstream behind {
            server \(addressBehind)
        }
        \(eventsRoute)
        \(keptRoute)
        route /* {
            upstream backend
            heartbeat \(duration(timing.heartbeatMilliseconds))
        }
        """
    }

    private func duration(_ milliseconds: Int64) -> String {
        milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
    }

    /// An address that a browser on this machine can open, also if the demo listens on all interfaces.
    private func address(_ bound: SocketAddress) -> String {
        switch bound.host {
        case "0.0.0.0", "::": "localhost:\(bound.port)"
        default: bound.description
        }
    }

    // MARK: Opening

    private static func open(
        _ wanted: SocketAddress, worker: Worker, accepted: @escaping (AcceptedConnection) -> Void
    ) throws(SystemError) -> (acceptor: Acceptor, address: SocketAddress) {
        let descriptor = try worker.kernel.listen(wanted, sharingPort: false)
        let address = worker.kernel.localAddress(of: descriptor) ?? wanted
        let acceptor = try Acceptor(worker: worker, descriptor: descriptor, accepted: accepted) { error in
            SystemProcess.warn("heartwire: no connection can be accepted for the moment: \(error.message)")
        }
        return (acceptor, address)
    }

    /// A port just above, so that it is easy to guess and to forward; any other if that one is taken.
    private static func openBeside(
        _ address: SocketAddress, steps: UInt16, worker: Worker, accepted: @escaping (AcceptedConnection) -> Void
    ) throws(SystemError) -> (acceptor: Acceptor, address: SocketAddress) {
        var beside = address
        if address.port <= .max - steps {
            beside.port = address.port + steps
            if let opened = try? open(beside, worker: worker, accepted: accepted) { return opened }
        }
        beside.port = 0
        return try open(beside, worker: worker, accepted: accepted)
    }

    private static func makeToken(_ kernel: Kernel) -> String {
        var bytes = [UInt8](repeating: 0, count: 16)
        bytes.withUnsafeMutableBytes { kernel.fillRandom($0) }
        return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

// Names whose addresses come while the proxy serves.

import Configuration
import Reactor
import Synchronization
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy
@testable import Upstreams

@Suite("What a name stands for")
struct NameAnswerTests {
    @Test("reaches the workers also when it is found while a reload is under way")
    func whileReloading() throws {
        let upstream = Upstream(name: "u", servers: [Upstream.Server(host: "localhost", port: 9)])
        let configuration = Configuration(
            listeners: [Listener(host: "127.0.0.1", port: 0)], upstreams: [upstream], routes: [Route(upstreamIndex: 0)], streamLog: .off)
        let server = try ProxyServer(configuration) { LinuxKernel() }
        defer { server.stop() }
        let old = server.generation
        try #require(old.addresses[0][0].isEmpty == false)
        let next = ProxyGeneration(
            settings: Settings(configuration, old.security), security: old.security, shared: old.shared, logs: old.logs,
            sockets: old.sockets, consoleSockets: old.consoleSockets, names: old.names, addresses: [[[]]])
        let listeners = next.listeners
        let isDone = Atomic(false)
        server.put(next) {
            SystemThread.start(name: "resolver") {
                server.takeAnswers()
                isDone.store(true, ordering: .releasing)
            }
            SystemProcess.sleep(milliseconds: 200)
            for mailbox in server.mailboxes {
                mailbox.post { [listeners] worker in
                    guard let proxy = ProxyWorker.on(worker) else { return }
                    proxy.exchanges.groups[0].update(addresses: [[SocketAddress(numeric: "192.0.2.1", port: 9)!]])
                    proxy.adopt(next.settings, shared: next.shared, addresses: next.addresses, listeners: listeners)
                }
            }
        }
        while !isDone.load(ordering: .acquiring) { SystemProcess.sleep(milliseconds: 1) }
        let known = Mutex<[[SocketAddress]]>([])
        for mailbox in server.mailboxes {
            mailbox.post { worker in known.withLock { $0.append(ProxyWorker.on(worker)?.exchanges.groups[0].servers[0].addresses ?? []) } }
        }
        while known.withLock({ $0.count }) < server.mailboxes.count { SystemProcess.sleep(milliseconds: 1) }
        #expect(known.withLock { $0.allSatisfy { $0 == old.addresses[0][0] } })
    }
}

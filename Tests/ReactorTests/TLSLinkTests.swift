// TLS over real loopback sockets: a secured link keeps the same promises as a plain one, and every way in which TLS can fail is
// reported correctly.

import Foundation
import Marks
import Reactor
import TestSupport
import Testing

/// A link that records its callbacks.
private final class NotingLink: Link {
    var received: [UInt8] = []
    var events: [String] = []
    var pendingAtFailure = 0
    var whenConnected: (NotingLink) -> Void = { _ in }

    override func linkConnected() {
        events.append("connected")
        whenConnected(self)
    }
    override func linkReceived(_ bytes: UnsafeMutableRawBufferPointer) { received += bytes }
    override func linkReachedEnd() { events.append(endIsAuthentic ? "end" : "cut") }
    override func linkFailed(_ error: SystemError, while operation: LinkOperation) { events.append("\(operation) \(error.name)") }
    override func linkDrained() { events.append("drained") }
    override func linkSecurityFailed(_ failure: TLSFailure) {
        events.append("\(failure.moment): \(failure.reason)")
        pendingAtFailure = pendingCount
        close()
    }
    /// Small buffers, so that the kernel soon takes no more.
    func limitSendBuffer() {
        var bytes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
    }
    override func linkFoundPlainText() {
        events.append("plain text")
        send(Array("plain answer".utf8))
        close()
    }
}

/// A worker with a TLS server and clients of it.
private final class World {
    let worker: Worker
    let address: SocketAddress
    var accepted: [NotingLink] = []
    private var acceptor: Acceptor?

    init(_ settings: TLSServerSettings, ticketKeys: TLSTicketKeys = TLSTicketKeys(lifetimeSeconds: 3600)) throws {
        let kernel = LinuxKernel()
        worker = try Worker(number: 0, kernel: kernel)
        let descriptor = try kernel.listen(SocketAddress(numeric: "127.0.0.1", port: 0)!, sharingPort: false)
        address = kernel.localAddress(of: descriptor)!
        let context = try TLSServerContext(settings, ticketKeys: ticketKeys) { path in
            (FileManager.default.contents(atPath: path)).map(Array.init)
        }
        acceptor = try Acceptor(
            worker: worker, descriptor: descriptor,
            accepted: { [unowned self] connection in
                let link = NotingLink(worker: worker)
                try? link.adopt(connection.descriptor, securedBy: context)
                accepted.append(link)
            }, exhausted: { _ in })
    }

    convenience init(_ names: String...) throws {
        try self.init(TLSServerSettings(identities: names.map(Certificates.shared.identity)))
    }

    static func trusting(_ change: (inout TLSClientSettings) -> Void = { _ in }) throws -> TLSClientContext {
        var settings = TLSClientSettings()
        settings.authorityFile = Certificates.shared.path("authority.pem")
        change(&settings)
        return try TLSClientContext(settings)
    }

    /// Begins to connect and runs turns until the result is known.
    func connect(_ context: TLSClientContext? = nil, name: String = "localhost", resumption: TLSResumption? = nil) throws -> NotingLink {
        let link = NotingLink(worker: worker)
        let before = accepted.count
        try link.connect(
            to: address, securedBy: try context ?? World.trusting(), serverName: name, resumption: resumption)
        try turn(until: { !link.events.isEmpty && accepted.count > before && !accepted.last!.events.isEmpty })
        return link
    }

    func turn(until condition: () -> Bool) throws { try worker.turn(until: condition) }
}

@Suite struct TLSLinkTests {
    @Test(
        "a certificate made by the process itself names its hosts, exists in memory only, and goes with its object",
        arguments: ["localhost", "::1"])
    func selfSigned(name: String) throws {
        var identity: SelfSignedIdentity? = try SelfSignedIdentity(hosts: ["localhost", "127.0.0.1", "::1"])
        let files = try #require(identity?.files)
        let world = try World(TLSServerSettings(identities: [files]))
        let context = try World.trusting { $0.authorityFile = files.certificateFile }
        #expect(try world.connect(context, name: name).events == ["connected"])
        #expect(try world.connect(context, name: "elsewhere.test").events.first?.contains("hostname mismatch") == true)
        #expect(try world.connect(name: name).events.first?.contains("self-signed certificate") == true)
        let another = try SelfSignedIdentity(hosts: ["localhost"])
        #expect(FileManager.default.contents(atPath: another.files.keyFile) != FileManager.default.contents(atPath: files.keyFile))
        let key = try #require(FileManager.default.contents(atPath: files.keyFile))
        for file in [files.certificateFile, files.keyFile] {
            #expect(try FileManager.default.destinationOfSymbolicLink(atPath: file).hasPrefix("/memfd:"))
        }
        identity = nil
        // The descriptor's number may belong to another test's file by now.
        #expect(FileManager.default.contents(atPath: files.keyFile) != key)
    }

    @Test("what is sent arrives whole and in order in both directions, also when the kernel takes it in pieces")
    func order() throws {
        let world = try World("localhost")
        let client = try world.connect()
        let server = world.accepted[0]
        #expect(client.isSecured && server.isSecured)
        #expect(client.security?.version == "TLSv1.3")
        let bytes = (0..<6_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        server.pauseReading()
        #expect(client.send(bytes) < bytes.count)
        #expect(client.pendingCount > 0)
        server.resumeReading()
        try world.turn { server.received.count == bytes.count }
        #expect(server.received == bytes)
        server.send(Array(bytes[..<100_000]))
        try world.turn { client.received.count == 100_000 }
        #expect(client.received == Array(bytes[..<100_000]))
        #expect(client.events == ["connected", "drained"])
    }

    @Test("bytes that are sent as soon as the connection is open arrive, whichever side begins")
    func earlyBytes() throws {
        let world = try World("localhost")
        let client = NotingLink(worker: world.worker)
        client.whenConnected = { $0.send(Array("question".utf8)) }
        try client.connect(to: world.address, securedBy: try World.trusting(), serverName: "localhost")
        try world.turn { world.accepted.first?.received == Array("question".utf8) }
    }

    @Test(
        "a peer that asks for changes of keys and does not read the answers is given up, with few of them waiting",
        .reaches(.answersOfTLSUnread))
    func unreadAnswers() throws {
        let world = try World("localhost")
        let client = try RawTLSClient(to: world.address)
        try world.turn { try! client.shakeHands() && world.accepted.first?.events == ["connected"] }
        let server = world.accepted[0]
        server.limitSendBuffer()
        try world.turn {
            client.askForKeys(times: 20)
            return server.events.count > 1
        }
        #expect(server.events.last == "record: the peer asks for changes of keys and does not read the answers")
        #expect(server.pendingAtFailure > 0 && server.pendingAtFailure < 2 * Worker.scratchBytes)
    }

    @Test("a peer that reads may ask for changes of keys as often as it likes")
    func readAnswers() throws {
        let world = try World("localhost")
        let client = try RawTLSClient(to: world.address, hasRoom: true)
        try world.turn { try! client.shakeHands() && world.accepted.first?.events == ["connected"] }
        var asked = 0
        try world.turn {
            client.askForKeys(times: 20)
            client.readAll()
            asked += 20
            return asked >= 2_000
        }
        #expect(Set(world.accepted[0].events).subtracting(["connected", "drained"]) == [])
    }

    @Test("an orderly end is reported as such, and one without close_notify as truncated")
    func ends() throws {
        let world = try World("localhost")
        let first = try world.connect()
        first.close()
        try world.turn { world.accepted[0].events.count == 2 }
        #expect(world.accepted[0].events == ["connected", "end"])
        let second = try world.connect()
        world.worker.kernel.shutdownWriting(second.descriptor)
        try world.turn { world.accepted[1].events.count == 2 }
        #expect(world.accepted[1].events == ["connected", "cut"])
        let third = try world.connect()
        third.send(Array("last words".utf8))
        third.shutdownWhenDrained()
        try world.turn { world.accepted[2].events.count == 2 }
        #expect(world.accepted[2].received == Array("last words".utf8))
        #expect(world.accepted[2].events == ["connected", "end"])
        world.accepted[2].send(Array("answer".utf8))
        try world.turn { third.received == Array("answer".utf8) }
        let fourth = try world.connect()
        fourth.abort()
        try world.turn { world.accepted[3].events.count == 2 }
        #expect(world.accepted[3].events == ["connected", "reading ECONNRESET"])
    }

    @Test(
        "a server that cannot prove its name is not connected to, and the reason says why",
        arguments: [
            ("localhost", "elsewhere.test", "hostname mismatch"), ("expired", "localhost", "certificate has expired"),
            ("forged", "localhost", "unable to get local issuer certificate"), ("other", "127.0.0.1", "IP address mismatch"),
        ])
    func verification(identity: String, name: String, reason: String) throws {
        let world = try World(identity)
        let client = try world.connect(name: name)
        #expect(client.events.count == 1)
        #expect(client.events[0].contains("certificate verify failed") && client.events[0].contains(reason), "\(client.events)")
        #expect(
            world.accepted[0].events[0].contains("alert") || world.accepted[0].events[0].contains("certificate"),
            "\(world.accepted[0].events)")
    }

    @Test("a server that is not verified may be anybody")
    func unverified() throws {
        let world = try World("expired")
        let client = try world.connect(try World.trusting { $0.isVerified = false }, name: "elsewhere.test")
        #expect(client.events == ["connected"])
    }

    @Test(
        "the certificate is chosen by the name asked for: exact before wildcard, one label for the star, else the first",
        arguments: [
            ("localhost", true), ("127.0.0.1", true), ("a.example.test", true), ("example.test", true), ("A.Example.Test", true),
            ("other.test", true),
            ("a.b.example.test", false),
        ])
    func serverNames(name: String, isKnown: Bool) throws {
        let world = try World("localhost", "wild", "other")
        let client = try world.connect(name: name)
        #expect((client.events == ["connected"]) == isKnown, "\(client.events)")
    }

    @Test("an ECDSA and an RSA certificate for the same names serve side by side")
    func twoKinds() throws {
        let world = try World("localhost", "rsa")
        #expect(try world.connect().events == ["connected"])
    }

    @Test("a session is resumed by a ticket, at another server of the same keys too, and not once the keys are gone")
    func resumption() throws {
        let keys = TLSTicketKeys(lifetimeSeconds: 3600)
        let settings = TLSServerSettings(identities: [Certificates.shared.identity("localhost")])
        let first = try World(settings, ticketKeys: keys)
        let second = try World(settings, ticketKeys: keys)
        let stranger = try World(settings)
        var context = try World.trusting()
        let resumption = TLSResumption()
        func isResumed(_ world: World) throws -> Bool? {
            let client = try world.connect(context, resumption: resumption)
            // A ticket comes after the handshake, with the first bytes.
            let server = world.accepted.last!
            server.send([1])
            try world.turn { client.received == [1] }
            defer { client.close() }
            return client.security?.isResumed
        }
        #expect(try isResumed(first) == false)
        #expect(try isResumed(first) == true)
        #expect(try isResumed(second) == true)
        // After a reload other authorities may be trusted, so the server must prove its name again.
        context = try World.trusting()
        #expect(try isResumed(second) == false)
        #expect(try isResumed(second) == true)
        #expect(try isResumed(stranger) == false)
    }

    @Test("a session expires with its certificate, on either side", arguments: [true, false])
    func sessionEnds(isClients: Bool) throws {
        // A busy machine may need longer than the certificate's life; then one with a longer life is made.
        for seconds in [4, 20, 90] {
            let (ending, end) = Certificates.shared.makeEnding(inSeconds: seconds, "ending-\(isClients)-\(seconds)")
            var settings = TLSServerSettings(identities: [isClients ? Certificates.shared.identity("localhost") : ending])
            if isClients {
                settings.clientAuthorityFile = Certificates.shared.path("authority.pem")
                settings.clientCertificates = .required
            }
            let world = try World(settings)
            let context = try World.trusting { if isClients { $0.identity = ending } }
            let resumption = TLSResumption()
            /// Whether a session was resumed; nil if one side refused the other.
            func isResumed() throws -> Bool? {
                let client = try world.connect(context, resumption: resumption)
                defer { client.close() }
                guard client.isSecured, let server = world.accepted.last, server.isSecured else { return nil }
                server.send([1])
                try world.turn { client.received == [1] }
                return client.security?.isResumed
            }
            let before = [try isResumed(), try isResumed(), try isResumed()]
            guard Date() < end - 1 else { continue }
            #expect(before == [false, true, true])
            Thread.sleep(until: end + 1.1)
            #expect(try isResumed() == nil)
            return
        }
        Issue.record("the machine is too busy")
    }

    @Test("a client's certificate is required, checked and reported by its subject")
    func clientCertificates() throws {
        var settings = TLSServerSettings(identities: [Certificates.shared.identity("localhost")])
        settings.clientAuthorityFile = Certificates.shared.path("authority.pem")
        settings.clientCertificates = .required
        let world = try World(settings)
        let known = try world.connect(try World.trusting { $0.identity = Certificates.shared.identity("client") })
        #expect(known.events == ["connected"])
        let subject = String(decoding: world.accepted[0].peerSubject ?? [], as: UTF8.self)
        #expect(subject.contains("CN=Klient\\, der \\\"erste\\\"") && subject.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }, "\(subject)")
        _ = try world.connect()
        #expect(world.accepted[1].events == ["handshake: peer did not return a certificate"])
        _ = try world.connect(try World.trusting { $0.identity = Certificates.shared.identity("forged") })
        #expect(world.accepted[2].events[0].contains("certificate verify failed"), "\(world.accepted[2].events)")
        settings.clientCertificates = .optional
        let optional = try World(settings)
        #expect(try optional.connect().events == ["connected"])
        #expect(optional.accepted[0].peerSubject == nil)
    }

    @Test("plain text on a TLS port is answered in plain text, and garbage is reported as garbage")
    func noTLS() throws {
        let world = try World("localhost")
        let plain = NotingLink(worker: world.worker)
        plain.whenConnected = { $0.send(Array("GET / HTTP/1.1\r\n".utf8)) }
        try plain.connect(to: world.address)
        try world.turn { plain.received == Array("plain answer".utf8) }
        #expect(world.accepted[0].events == ["plain text"])
        let garbage = NotingLink(worker: world.worker)
        garbage.whenConnected = { $0.send([0x16, 0x03, 0x01, 0x00, 0x05, 1, 2, 3, 4, 5, 6, 7, 8, 9]) }
        try garbage.connect(to: world.address)
        try world.turn { world.accepted.count == 2 && !world.accepted[1].events.isEmpty }
        #expect(world.accepted[1].events[0].hasPrefix("handshake: "), "\(world.accepted[1].events)")
    }

    @Test("garbage inside a connection is a failure of its own")
    func garbageInside() throws {
        let world = try World("localhost")
        let client = try world.connect()
        let bytes: [UInt8] = [0x17, 0x03, 0x03, 0x00, 0x20] + [UInt8](repeating: 7, count: 32)
        _ = bytes.withUnsafeBytes { world.worker.kernel.write(client.descriptor, $0) }
        try world.turn { world.accepted[0].events.count == 2 }
        #expect(world.accepted[0].events[1] == "record: decryption failed or bad record mac")
    }

    @Test("a handshake in single bytes succeeds")
    func singleBytes() throws {
        let world = try World("localhost")
        // A relay between the two passes every byte on by itself.
        let kernel = LinuxKernel()
        let descriptor = try kernel.listen(SocketAddress(numeric: "127.0.0.1", port: 0)!, sharingPort: false)
        let relay = ByteRelay(listening: descriptor, kernel: kernel, to: world.address)
        let client = NotingLink(worker: world.worker)
        client.whenConnected = { $0.send(Array("hello".utf8)) }
        try client.connect(to: kernel.localAddress(of: descriptor)!, securedBy: try World.trusting(), serverName: "localhost")
        try world.turn {
            relay.turn()
            return world.accepted.first?.received == Array("hello".utf8)
        }
    }

    @Test("an error in a file is reported in one line that names the file")
    func badFiles() throws {
        let certificates = Certificates.shared
        func message(_ files: TLSIdentityFiles, _ change: (inout TLSServerSettings) -> Void = { _ in }) -> String {
            var settings = TLSServerSettings(identities: [files])
            change(&settings)
            do {
                _ = try TLSServerContext(settings, ticketKeys: TLSTicketKeys(lifetimeSeconds: 60)) { _ in Array("no OCSP".utf8) }
                return "no error"
            } catch {
                return error.message
            }
        }
        let good = certificates.identity("localhost")
        #expect(message(good) == "no error")
        let missing = TLSIdentityFiles(certificateFile: "/nowhere.pem", keyFile: good.keyFile)
        #expect(message(missing).hasPrefix("/nowhere.pem: no certificate can be read: "))
        let keyAsCertificate = TLSIdentityFiles(certificateFile: good.keyFile, keyFile: good.keyFile)
        #expect(message(keyAsCertificate).hasPrefix("\(good.keyFile): no certificate can be read: "))
        let encrypted = TLSIdentityFiles(certificateFile: good.certificateFile, keyFile: certificates.path("encrypted.key"))
        #expect(message(encrypted).contains("the key is encrypted"))
        let foreign = TLSIdentityFiles(certificateFile: good.certificateFile, keyFile: certificates.path("other.key"))
        #expect(message(foreign) == "\(foreign.keyFile): the key does not belong to the certificate in \(good.certificateFile)")
        #expect(message(good) { $0.ciphers = "NONSENSE" } == "ciphers: OpenSSL knows none of 'NONSENSE'")
        #expect(message(good) { $0.groups = "P-257" } == "groups: OpenSSL does not know all of 'P-257'")
        #expect(message(good) { $0.ciphersuites = "X" } == "ciphersuites: OpenSSL does not know all of 'X'")
        let stapled = TLSIdentityFiles(certificateFile: good.certificateFile, keyFile: good.keyFile, stapleFile: "staple.der")
        #expect(message(stapled) == "staple.der: no OCSP response in DER can be read")
        #expect(
            message(good) {
                $0.clientCertificates = .required
                $0.clientAuthorityFile = "/nowhere.pem"
            }.hasPrefix("/nowhere.pem: no authority's certificate can be read: "))
    }

    @Test("a certificate's expiry is known")
    func certificateEnds() throws {
        let context = try TLSServerContext(
            TLSServerSettings(identities: [Certificates.shared.identity("expired")]), ticketKeys: TLSTicketKeys(lifetimeSeconds: 60)
        ) { _ in nil }
        #expect(context.certificateEnds.map(\.endsAt) == [1_580_515_200])
    }
}

/// Passes bytes on between one client and one server, one at a time.
private final class ByteRelay {
    private let listening: Int32
    private let kernel: LinuxKernel
    private let target: SocketAddress
    private var ends: (Int32, Int32)?

    init(listening: Int32, kernel: LinuxKernel, to target: SocketAddress) {
        self.listening = listening
        self.kernel = kernel
        self.target = target
    }

    func turn() {
        guard let ends else {
            guard let client = try? kernel.accept(listening), let server = try? kernel.connect(to: target) else { return }
            self.ends = (client.descriptor, server.descriptor)
            return
        }
        pass(from: ends.0, to: ends.1)
        pass(from: ends.1, to: ends.0)
    }

    private func pass(from: Int32, to: Int32) {
        let byte = UnsafeMutableRawBufferPointer.allocate(byteCount: 1, alignment: 1)
        defer { byte.deallocate() }
        for _ in 0..<64 {
            guard case .bytes(1) = kernel.read(from, into: byte) else { return }
            _ = kernel.write(to, UnsafeRawBufferPointer(byte))
        }
    }
}

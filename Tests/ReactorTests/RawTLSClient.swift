// A TLS client without a link: OpenSSL over memory and its own socket, for actions that no link ever does.

import COpenSSL
import Foundation
import Reactor

final class RawTLSClient {
    private let ssl: OpaquePointer
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    private let descriptor: Int32

    struct Unusable: Error {}

    /// Connects to an address of this machine, with a small receive buffer or the usual one.
    init(to address: SocketAddress, hasRoom: Bool = false) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.descriptor = descriptor
        var room: Int32 = 1
        if !hasRoom { setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &room, socklen_t(MemoryLayout<Int32>.size)) }
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = address.port.bigEndian
        name.sin_addr.s_addr = inet_addr("127.0.0.1")
        let connected = withUnsafePointer(to: &name) { name in
            name.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard connected == 0 else { throw Unusable() }
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        guard let context = SSL_CTX_new(TLS_method()), let ssl = SSL_new(context), let incoming = BIO_new(BIO_s_mem()),
            let outgoing = BIO_new(BIO_s_mem())
        else { throw Unusable() }
        SSL_CTX_free(context)
        self.ssl = ssl
        self.incoming = incoming
        self.outgoing = outgoing
        SSL_set_bio(ssl, incoming, outgoing)
        SSL_set_connect_state(ssl)
    }

    deinit {
        SSL_free(ssl)
        close(descriptor)
    }

    /// Continues the handshake; true when it is complete.
    func shakeHands() throws -> Bool {
        takeFromSocket()
        ERR_clear_error()
        let outcome = SSL_do_handshake(ssl)
        writeToSocket()
        return outcome == 1
    }

    /// Asks for changes of keys, as many as the socket takes.
    func askForKeys(times: Int) {
        for _ in 0..<times {
            guard BIO_ctrl_pending(outgoing) == 0 else { break }
            ERR_clear_error()
            SSL_key_update(ssl, Int32(SSL_KEY_UPDATE_REQUESTED))
            SSL_do_handshake(ssl)
            writeToSocket()
        }
        writeToSocket()
    }

    /// Reads what has come.
    func readAll() {
        takeFromSocket()
        var room = [UInt8](repeating: 0, count: 16_384)
        var count = 0
        ERR_clear_error()
        while SSL_read_ex(ssl, &room, room.count, &count) == 1 {}
        writeToSocket()
    }

    private func takeFromSocket() {
        var room = [UInt8](repeating: 0, count: 16_384)
        while case let count = recv(descriptor, &room, room.count, 0), count > 0 { BIO_write(incoming, room, Int32(count)) }
    }

    /// What the socket does not take waits in `unsent`.
    private func writeToSocket() {
        var room = [UInt8](repeating: 0, count: 16_384)
        while unsent.isEmpty, BIO_ctrl_pending(outgoing) > 0 {
            let count = BIO_read(outgoing, &room, Int32(room.count))
            unsent = Array(room[..<Int(count)])
            send()
        }
        send()
    }

    private var unsent: [UInt8] = []

    private func send() {
        guard !unsent.isEmpty else { return }
        let count = Glibc.send(descriptor, unsent, unsent.count, Int32(MSG_NOSIGNAL))
        if count > 0 { unsent.removeFirst(count) }
    }
}

// The encrypted bytes between one worker's TLS links and their sockets: those received and those to send. OpenSSL reads and writes here
// and never sees a descriptor, so `Kernel` stays the only seam. Invariant: between two calls of a link both directions are empty.

import COpenSSL

/// The encrypted bytes of the worker's current link.
final class TLSBuffers {
    /// The most encrypted bytes of one read: decrypted, together with a record begun before, they fit into the worker's scratch buffer.
    static let inputBytes = Worker.scratchBytes - (1 << 14) - 512

    /// Encrypted bytes are read into this memory.
    let input = UnsafeMutableRawBufferPointer.allocate(byteCount: TLSBuffers.inputBytes, alignment: 64)
    private var inputStart = 0
    private var inputEnd = 0
    private var output: UnsafeMutableRawBufferPointer
    private var outputCount = 0
    /// One for all links of the worker: OpenSSL counts its references.
    private var transport: OpaquePointer?
    /// Enough for a scratch buffer and its record headers. Handshakes and long heads exceed it for a moment.
    private static let usualOutputBytes = Worker.scratchBytes + 4096

    init() {
        output = .allocate(byteCount: TLSBuffers.usualOutputBytes, alignment: 64)
        transport = TLSTransportMethod.shared.makeTransport(for: self)
    }

    deinit {
        BIO_free(transport)
        input.deallocate()
        output.deallocate()
    }

    /// Makes OpenSSL read and write here for this connection.
    func attach(to ssl: OpaquePointer) {
        // Once for reading and once for writing.
        BIO_up_ref(transport)
        BIO_up_ref(transport)
        SSL_set0_rbio(ssl, transport)
        SSL_set0_wbio(ssl, transport)
    }

    // MARK: Received bytes

    /// That many bytes were read into `input`.
    func received(_ count: Int) {
        inputStart = 0
        inputEnd = count
    }

    /// The first byte that OpenSSL has not processed yet.
    var firstByte: UInt8? { inputStart < inputEnd ? input[inputStart] : nil }

    /// Drops what OpenSSL has not processed, because its link is closed or broken.
    func forgetInput() { inputEnd = inputStart }

    fileprivate func take(into buffer: UnsafeMutableRawPointer, _ room: Int) -> Int {
        let count = min(room, inputEnd - inputStart)
        guard count > 0 else { return 0 }
        buffer.copyMemory(from: input.baseAddress! + inputStart, byteCount: count)
        inputStart += count
        return count
    }

    // MARK: Bytes to send

    /// Passes the encrypted bytes to `send` and drops them.
    func flush(_ send: (UnsafeRawBufferPointer) -> Void) {
        guard outputCount > 0 else { return }
        send(UnsafeRawBufferPointer(rebasing: output[..<outputCount]))
        outputCount = 0
        guard output.count > TLSBuffers.usualOutputBytes else { return }
        output.deallocate()
        output = .allocate(byteCount: TLSBuffers.usualOutputBytes, alignment: 64)
    }

    fileprivate func append(_ bytes: UnsafeRawBufferPointer) {
        if output.count - outputCount < bytes.count {
            let larger = UnsafeMutableRawBufferPointer.allocate(
                byteCount: max(output.count * 2, outputCount + bytes.count), alignment: 64)
            larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: output[..<outputCount]))
            output.deallocate()
            output = larger
        }
        (output.baseAddress! + outputCount).copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
        outputCount += bytes.count
    }
}

/// The functions that OpenSSL calls to read and write.
private final class TLSTransportMethod: @unchecked Sendable {
    static let shared = TLSTransportMethod()
    private let method: OpaquePointer

    private init() {
        guard let method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "heartwire link") else {
            fatalError("no memory at the start")
        }
        BIO_meth_set_read(method) { bio, buffer, room in
            hw_BIO_clear_retry_flags(bio)
            let count = buffers(of: bio).take(into: UnsafeMutableRawPointer(buffer!), Int(room))
            if count == 0 {
                hw_BIO_set_retry_read(bio)
                return -1
            }
            return Int32(count)
        }
        BIO_meth_set_write(method) { bio, bytes, count in
            // Everything is accepted; the link keeps what the socket does not take.
            buffers(of: bio).append(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
            return count
        }
        BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
        self.method = method
    }

    func makeTransport(for buffers: TLSBuffers) -> OpaquePointer? {
        let transport = BIO_new(method)
        // The buffers free their transport in `deinit`, so the pointer stays valid.
        BIO_set_data(transport, Unmanaged.passUnretained(buffers).toOpaque())
        BIO_set_init(transport, 1)
        return transport
    }
}

private func buffers(of bio: OpaquePointer?) -> TLSBuffers {
    Unmanaged<TLSBuffers>.fromOpaque(BIO_get_data(bio)!).takeUnretainedValue()
}

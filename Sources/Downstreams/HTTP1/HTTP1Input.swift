// Bytes of a client that cannot be used yet: bytes put aside until the exchange can take them, and an incomplete head. Both count like
// everything that waits on the worker (`limits`, `pending`). Invariant: `heldByteCount` is counted exactly once.

import HTTP
import Marks
import Reactor

extension HTTP1Connection {
    /// A head of up to this many bytes is kept even when the limit `pending` is reached: an honest client completes it in a moment.
    private static let alwaysKeptHeadBytes = 4_096

    /// How many of the client's bytes are kept until they can be used.
    var heldByteCount: Int { putAside.count + (partialHead?.byteCount ?? 0) }

    /// Keeps bytes until they can be used, and reads no more until then. When the proxy has no room left, bytes of a later request are
    /// dropped and the connection ends after the current response; bytes of the current request make it refused.
    func putAside(_ bytes: UnsafeRawBufferPointer) {
        guard !bytes.isEmpty else { return }
        pauseReading()
        guard !flags.contains(.discardsInput), hasRoom(in: state) else { return }
        putAside.append(contentsOf: bytes)
        worker.countHeld(bytes.count)
    }

    /// Whether more may be kept in this state. If not, this already does what follows.
    private func hasRoom(in state: State) -> Bool {
        guard clients.isFull else { return true }
        switch state {
        case .exchanging:
            guard let receiver else { return false }
            // Bytes after a request for an upgrade may belong to the tunnel, so none of them may get lost.
            guard isRequestComplete, flags.isDisjoint(with: [.isTunnel, .asksForUpgrade]) else { return receiver.mayWait() }
            Mark.reached(.pipelinedBytesDiscarded)
            flags.insert(.discardsInput)
        case .flushing: flags.insert(.discardsInput)
        case .idle: closeGracefully(lingers: true)
        case .readingHead, .closing, .lingering, .closed: break
        }
        return false
    }

    /// Takes the bytes that were put aside.
    func takePutAside() -> [UInt8] {
        let bytes = putAside
        putAside = []
        worker.countHeld(-bytes.count)
        return bytes
    }

    /// Drops all kept bytes.
    func forgetHeldBytes() {
        worker.countHeld(-heldByteCount)
        putAside = []
        partialHead = nil
    }

    /// Takes received bytes as (the next part of) a request's head. Returns nil if more is needed; then all bytes were taken.
    func takeHead(_ bytes: UnsafeRawBufferPointer, limits: HeadLimits) throws(HTTPError) -> ReceivedHead<RequestHead>? {
        let before = partialHead?.byteCount ?? 0
        defer { worker.countHeld((partialHead?.byteCount ?? 0) - before) }
        return try partialHead.receiveRequest(bytes, limits: limits)
    }

    /// Whether an incomplete head was dropped because there is no room for it.
    var lacksRoomForPartialHead: Bool {
        guard let partialHead, partialHead.byteCount > Self.alwaysKeptHeadBytes else { return false }
        return clients.isFull
    }
}

// The bodies that the pages of one browser upload over their connection: DATA as far as the proxy's windows allow, one frame at a time,
// in turns. It judges the windows that the proxy gives back. Invariant: DATA is added only when nothing else waits to be sent, so what a
// browser has to say never waits behind more than one frame.

import TestSupport

final class BrowserUploads {
    /// One body that is not sent yet.
    private final class Upload {
        let stream: UInt32
        var rest: ArraySlice<UInt8>
        /// How many bytes of DATA may be sent.
        var window: Int
        /// Trailers end it, in place of DATA.
        let hasTrailers: Bool
        /// Until then its page has nothing to send.
        var pausedUntil: Int64 = 0

        init(_ stream: UInt32, _ body: [UInt8], window: Int, hasTrailers: Bool) {
            (self.stream, rest, self.window, self.hasTrailers) = (stream, body[...], window, hasTrailers)
        }
    }

    private static let mostPayload = 16_384
    /// The window of each stream and of a connection before anything else was said, which the proxy keeps for streams.
    private static let usualWindow = 65_535

    private unowned let connection: BrowserConnection
    private var world: SimulatedWorld { connection.world }
    private var uploads: [Upload] = []
    /// How many bytes of DATA may be sent on the connection.
    private var window = BrowserUploads.usualWindow
    /// The most that the proxy may allow at a time.
    private let mostWindow: Int

    init(on connection: BrowserConnection, mostWindow: Int) { (self.connection, self.mostWindow) = (connection, mostWindow) }

    /// Whether a body of that stream is not sent completely.
    func isOpen(_ stream: UInt32) -> Bool { uploads.contains { $0.stream == stream } }

    /// A body follows the head of that stream's request.
    func begin(_ stream: UInt32, _ body: [UInt8]) {
        uploads.append(Upload(stream, body, window: BrowserUploads.usualWindow, hasTrailers: world.chance.permille(100)))
        world.count("upload over HTTP/2")
    }

    /// Nothing more is sent on the stream.
    func stop(_ stream: UInt32) { uploads.removeAll { $0.stream == stream } }

    /// The proxy gives window back. Returns the rule that it breaks.
    func windowGrows(by count: Int, of stream: UInt32) -> String? {
        defer { sendNext() }
        guard stream > 0 else {
            window += count
            return window > mostWindow ? "\(window - mostWindow) bytes more are given back than the connection sent" : nil
        }
        guard let upload = uploads.first(where: { $0.stream == stream }) else { return nil }
        upload.window += count
        let excess = upload.window - BrowserUploads.usualWindow
        return excess > 0 ? "\(excess) bytes more are given back to stream \(stream) than it sent" : nil
    }

    /// Sends the next frame, if nothing else waits to be sent.
    func sendNext() {
        guard connection.hasSentAll, let upload = uploads.first(where: { canSend($0) }) else { return }
        // The others have their turns first.
        uploads.removeAll { $0 === upload }
        if !sendFrame(of: upload) { uploads.append(upload) }
    }

    private func canSend(_ upload: Upload) -> Bool {
        upload.pausedUntil <= world.now && (upload.rest.isEmpty || min(window, upload.window) > 0)
    }

    /// Returns whether that was the last frame.
    private func sendFrame(of upload: Upload) -> Bool {
        if upload.rest.isEmpty, upload.hasTrailers {
            let block = PlainFields.block([("x-checksum", "1")], &world.chance)
            connection.send(PlainFrame.bytes(PlainFrame.headers, flags: 5, stream: upload.stream, block))
            return true
        }
        // A frame that does not fit into the network's buffers would keep the others waiting.
        let room = min(BrowserUploads.mostPayload, window, upload.window, max(connection.wire.socket.window, 1))
        let most = min(upload.rest.count, room)
        var payload = Array(upload.rest.prefix(world.chance.permille(600) || most < 2 ? most : world.chance.number(1...most)))
        upload.rest = upload.rest.dropFirst(payload.count)
        var flags: UInt8 = 0
        if room - payload.count > 20, world.chance.permille(100) {
            let padding = world.chance.number(0...19)
            flags = 8
            payload = [UInt8(padding)] + payload + [UInt8](repeating: 0, count: padding)
        }
        // END_STREAM may also stand on an empty frame of its own.
        let isLast = upload.rest.isEmpty && !upload.hasTrailers && (payload.isEmpty || world.chance.permille(700))
        window -= payload.count
        upload.window -= payload.count
        connection.send(PlainFrame.bytes(PlainFrame.data, flags: flags | (isLast ? 1 : 0), stream: upload.stream, payload))
        if !isLast, world.chance.permille(200) { pause(upload) }
        return isLast
    }

    private func pause(_ upload: Upload) {
        let milliseconds = Int64(world.chance.number(1...500))
        upload.pausedUntil = world.now + milliseconds
        world.after(milliseconds) { [self, connection] in withExtendedLifetime(connection) { sendNext() } }
    }
}

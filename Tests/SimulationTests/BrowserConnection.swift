// One connection of HTTP/2 that several pages of a browser share, on the client's side. It judges every frame of the proxy as strictly as
// RFC 9113 does: windows, states of streams, settings, PING, GOAWAY. Invariant: a stream is in `streams` from its request until it is over
// on both sides, and every end of the connection is told to all of them.

import Reactor
import TestSupport

final class BrowserConnection {
    /// How much of a small window of the connection an event stream leaves to the others.
    private static let sharedRoom = 32_767

    let wire: Wire
    let world: SimulatedWorld
    let manner: BrowserManner
    /// The first line of the proxy's heartbeats.
    let heartbeat: [UInt8]
    private let scheme: String
    private var reader = PlainFrameReader()
    private var streams: [UInt32: BrowserStream] = [:]
    private var uploads: BrowserUploads!
    /// Streams whose response has ended and that had a body: the proxy may ask for no more of it (section 8.1).
    private var mayBeStopped: Set<UInt32> = []
    private var nextNumber: UInt32 = 1
    /// What waits for the end of this moment, so that several streams begin in one packet.
    private var output: [UInt8] = []
    /// How many bytes of DATA the proxy may send.
    private var window = 65_535
    /// What came and is not given back to the connection.
    private var unreturned = 0
    /// The INITIAL_WINDOW_SIZE that the proxy has confirmed, and those that are on their way.
    private var confirmedWindow = 65_535
    private var sentWindows: [Int] = []
    private var newestWindow: Int
    /// The stream and the fragments of a field block that is not whole.
    private var block: (stream: UInt32, endsStream: Bool, bytes: [UInt8])?
    private var hasReadBlock = false
    /// When its SETTINGS came: a proxy without descriptors accepts late.
    private var servedAt: Int64?
    private var lastGoAway = UInt32.max
    /// Its PINGs without answer: the octets, when they left, and what follows the answer.
    private var pings: [(octets: [UInt8], at: Int64, answered: () -> Void)] = []
    private var pingCount: UInt32 = 0
    /// One of the two said GOAWAY.
    private var isLeaving = false
    private var isOver = false

    /// `wire` is its own connection. `isCalm` says whether the trouble of the world is over.
    init(
        _ world: SimulatedWorld, _ wire: Wire, manner: BrowserManner, heartbeat: String?, mostUploadWindow: Int, isSecured: Bool,
        isCalm: @escaping () -> Bool
    ) {
        (self.world, self.wire, self.manner) = (world, wire, manner)
        self.heartbeat = Array((heartbeat.map { "event: \($0)\n" } ?? ":\n").utf8)
        scheme = isSecured ? "https" : "http"
        newestWindow = manner.initialWindow
        uploads = BrowserUploads(on: self, mostWindow: mostUploadWindow)
        // Held by its wire until that ends, although a newer connection takes its place.
        wire.changed = { [self] in look() }
        output = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
        setWindow(manner.initialWindow)
        if manner.widerBy > 0 {
            output += PlainFrame.bytes(PlainFrame.windowUpdate, PlainFrame.octets(UInt32(manner.widerBy)))
            window += manner.widerBy
        }
        flushLater()
        world.count("connection of HTTP/2")
        chat(isCalm)
        guard world.chance.permille(400) else { return }
        let deed = world.chance.pick([Deed.left, .left, .reset, .vanished, .finished])
        world.after(Int64(world.chance.number(500...39_000))) { [self] in
            if isCalm() || isOver { return }
            if deed == .finished { goAway() } else { end(deed) }
        }
    }

    /// Whether a new stream may be opened.
    var takesStreams: Bool { !isLeaving && !isOver && wire.isUsable && !wire.isBroken && !wire.isEnding }

    // MARK: Sending

    func send(_ bytes: [UInt8]) {
        if isOver { return }
        if output.isEmpty { flushLater() }
        output += bytes
    }

    /// Whether nothing waits to be sent.
    var hasSentAll: Bool { output.isEmpty && wire.hasSentAll && wire.isUsable }

    private func flushLater() { world.after(0) { [self] in flush() } }

    private func flush() {
        guard !isOver, !output.isEmpty else { return }
        let bytes = output
        output = []
        wire.send(bytes, noting: { [self] in noteSent() }) { [self] in uploads.sendNext() }
    }

    /// All that was said has left, and so have the resets of streams.
    private func noteSent() {
        guard output.isEmpty else { return }
        for stream in streams.values where stream.isAbandoned { stream.hasSentReset = true }
    }

    private func setWindow(_ bytes: Int) {
        newestWindow = bytes
        sentWindows.append(bytes)
        output += PlainFrame.bytes(PlainFrame.settings, [0, 4] + PlainFrame.octets(UInt32(bytes)))
    }

    /// Sends a request, given as HTTP/1.1, on a new stream.
    func open(_ stream: BrowserStream, _ request: [UInt8]) {
        guard takesStreams, let head = Text.head(in: request), let body = head.body(in: request)?.bytes else { return stream.breakOff() }
        let number = nextNumber
        nextNumber += 2
        streams[number] = stream
        stream.opened(number, window: confirmedWindow, isHEAD: head.method == "HEAD")
        var fields: [PlainFields.Field] = [(":method", head.method), (":scheme", scheme), (":path", head.path)]
        for line in head.lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let name = line[..<colon].lowercased()
            let value = String(line[colon...].dropFirst().drop { $0 == " " })
            switch name {
            case "host": fields.insert((":authority", value), at: 3)
            // A body without a length has no field here.
            case "transfer-encoding": break
            default: fields.append((name, value))
            }
        }
        // A body without bytes may end with the head, or behind it.
        stream.hasUpload = head.hasBody && (!body.isEmpty || world.chance.permille(500))
        let endFlag: UInt8 = stream.hasUpload ? 0 : 1
        let block = PlainFields.block(fields, &world.chance)
        let cut = world.chance.permille(200) ? world.chance.number(0...block.count) : block.count
        var first = Array(block[..<cut])
        var flags: UInt8 = endFlag | (cut == block.count ? 4 : 0)
        if world.chance.permille(200) {
            flags |= 0x20
            first = PlainFrame.octets(0) + [15] + first
        }
        if world.chance.permille(100) {
            let padding = world.chance.number(0...40)
            flags |= 8
            first = [UInt8(padding)] + first + [UInt8](repeating: 0, count: padding)
        }
        var bytes = PlainFrame.bytes(PlainFrame.headers, flags: flags, stream: number, first)
        if cut < block.count { bytes += PlainFrame.bytes(PlainFrame.continuation, flags: 4, stream: number, Array(block[cut...])) }
        send(bytes)
        if stream.hasUpload { uploads.begin(number, body) }
        // Narrow windows open late.
        if manner.initialWindow < 65_535 { giveBack(world.chance.number(1...5_000), to: stream) }
    }

    func reset(_ number: UInt32, code: UInt32) { send(PlainFrame.bytes(PlainFrame.reset, stream: number, PlainFrame.octets(code))) }

    /// A page has read so many bytes, or will never read them.
    func hasRead(_ count: Int) { if manner.kind == .small { giveBack(count) } }

    /// Gives window back to the connection, and in some browsers only when half of it is used.
    private func giveBack(_ count: Int) {
        unreturned += count
        guard unreturned >= manner.leastReturn else { return }
        window += unreturned
        send(PlainFrame.bytes(PlainFrame.windowUpdate, PlainFrame.octets(UInt32(unreturned))))
        unreturned = 0
    }

    /// Gives window back to a stream after its time.
    func giveBack(_ count: Int, to stream: BrowserStream) {
        world.after(Int64(world.chance.number(manner.lateMilliseconds))) { [self] in
            guard !isOver, let number = stream.number, streams[number] === stream else { return }
            stream.window += count
            // Nothing can come of it yet where SETTINGS made the window smaller by more, or the connection's window is closed.
            let room = stream.window + newestWindow - confirmedWindow
            if room > 0, manner.kind != .small || window > Self.sharedRoom { stream.noteRead() }
            send(PlainFrame.bytes(PlainFrame.windowUpdate, stream: number, PlainFrame.octets(UInt32(count))))
        }
    }

    /// Half of the newest window, where WINDOW_UPDATE waits for so much.
    var leastReturn: Int { manner.returnsHalves ? max(1, min(newestWindow, 65_535) / 2) : 1 }

    /// Things that a browser says beside its requests.
    private func chat(_ isCalm: @escaping () -> Bool) {
        world.after(Int64(world.chance.number(300...5_000))) { [self] in
            guard !isOver, wire.isUsable else { return }
            if let servedAt, let ping = pings.first, world.now - max(ping.at, servedAt) > 3_000,
                !world.leapt(between: ping.at, and: world.now)
            {
                report("PING had no answer for \(world.now - ping.at) ms")
            }
            let stream = max(1, nextNumber - 2)
            switch world.chance.number(0...5) {
            case 0: ping {}
            case 1: send(PlainFrame.bytes(PlainFrame.priority, stream: stream, PlainFrame.octets(0) + [7]))
            case 2: send(PlainFrame.bytes(PlainFrame.priorityUpdate, PlainFrame.octets(stream) + Array("u=1, i".utf8)))
            case 3: send(PlainFrame.bytes(0xB7, flags: 0xFF, stream: stream, Array("unknown".utf8)))
            case 4 where manner.kind == .usual:
                if output.isEmpty { flushLater() }
                for stream in streams.values.sorted(by: { $0.number! < $1.number! }) { stream.giveAllBack() }
                setWindow(world.chance.number(65_535...1_000_000))
            default: break
            }
            chat(isCalm)
        }
    }

    private func ping(answered: @escaping () -> Void) {
        pingCount += 1
        pings.append((PlainFrame.octets(0xABCD) + PlainFrame.octets(pingCount), world.now, answered))
        send(PlainFrame.bytes(PlainFrame.ping, pings.last!.octets))
    }

    // MARK: Receiving

    private func look() {
        guard !isOver else { return }
        let bytes = wire.read()
        var next = reader.next(bytes)
        while let frame = next {
            receive(frame)
            if isOver { return }
            next = reader.next()
        }
        guard wire.isBroken || wire.hasEnded else { return }
        isOver = true
        for stream in takeAll() { stream.breakOff() }
        wire.end(.left)
    }

    private func takeAll() -> [BrowserStream] {
        let all = streams.sorted { $0.key < $1.key }.map(\.value)
        streams = [:]
        return all
    }

    private func report(_ what: String) {
        world.problems.append("HTTP/2, connection of \(wire.socket.client.map { "\($0)" } ?? ""): \(what)")
    }

    private func receive(_ frame: PlainFrame) {
        if servedAt == nil, frame.type != PlainFrame.settings || frame.isEnd { report("the first frame has the type \(frame.type)") }
        servedAt = servedAt ?? world.now
        if frame.payload.count > 16_384 { report("a frame of \(frame.payload.count) octets") }
        if block != nil, frame.type != PlainFrame.continuation { report("a frame of type \(frame.type) inside of a field block") }
        switch frame.type {
        case PlainFrame.data: receiveData(frame)
        case PlainFrame.headers:
            block = (frame.stream, frame.isEnd, frame.payload)
            if frame.flags & ~5 != 0 { report("HEADERS with the flags \(frame.flags)") }
            if frame.endsBlock { readBlock() }
        case PlainFrame.continuation:
            guard block?.stream == frame.stream else { return report("CONTINUATION of no field block") }
            block?.bytes += frame.payload
            if frame.endsBlock { readBlock() }
        case PlainFrame.reset: receiveReset(frame)
        case PlainFrame.settings: receiveSettings(frame)
        case PlainFrame.ping: receivePing(frame)
        case PlainFrame.goAway: receiveGoAway(frame)
        case PlainFrame.windowUpdate:
            if frame.payload.count != 4 || frame.number(at: 0) == 0 { return report("WINDOW_UPDATE of nothing") }
            if frame.stream >= nextNumber { return report("WINDOW_UPDATE on an idle stream") }
            if let problem = uploads.windowGrows(by: Int(frame.number(at: 0)), of: frame.stream) { report(problem) }
        default: report("a frame of type \(frame.type)")
        }
    }

    /// The stream of a frame of the proxy's; nil if the browser has reset it.
    private func stream(of frame: PlainFrame, _ what: String) -> BrowserStream? {
        guard frame.stream & 1 == 1, frame.stream < nextNumber else {
            report("\(what) on stream \(frame.stream), which is idle")
            return nil
        }
        guard let stream = streams[frame.stream] else {
            report("\(what) on stream \(frame.stream), which has ended")
            return nil
        }
        return stream
    }

    private func receiveData(_ frame: PlainFrame) {
        if frame.flags & ~1 != 0 { report("DATA with the flags \(frame.flags)") }
        if frame.payload.isEmpty, !frame.isEnd { report("DATA without anything") }
        window -= frame.payload.count
        if window < 0 { report("\(-window) bytes more than the connection's window") }
        let stream = stream(of: frame, "DATA")
        // In most browsers the network takes what comes, whatever pages do with it.
        if manner.kind != .small || stream?.isAbandoned != false { giveBack(frame.payload.count) }
        guard let stream else { return }
        stream.window -= frame.payload.count
        if !frame.payload.isEmpty, stream.window < 0 {
            report("\(-stream.window) bytes more than the window of stream \(frame.stream)")
        }
        if let problem = stream.received(frame.payload, isLast: frame.isEnd) { report("stream \(frame.stream): \(problem)") }
        if frame.isEnd { ended(stream, frame.stream) }
    }

    /// The response is whole.
    private func ended(_ stream: BrowserStream, _ number: UInt32) {
        streams[number] = nil
        if stream.hasUpload { mayBeStopped.insert(number) }
        // A reset of a stream that is over changes nothing.
        guard world.chance.permille(50) else { return }
        world.count("reset of a stream of HTTP/2 that is over")
        uploads.stop(number)
        reset(number, code: 8)
    }

    private func readBlock() {
        guard let whole = block else { return }
        block = nil
        let frame = PlainFrame(type: PlainFrame.headers, flags: 0, stream: whole.stream, payload: [])
        do throws(PlainFields.Problem) {
            let fields = try PlainFields.read(whole.bytes, isFirst: !hasReadBlock)
            hasReadBlock = true
            guard let stream = stream(of: frame, "HEADERS") else { return }
            let head = try PlainFields.head(fields, hasBody: !whole.endsStream)
            if let problem = stream.received(head, isLast: whole.endsStream) { report("stream \(whole.stream): \(problem)") }
            if whole.endsStream { ended(stream, whole.stream) }
        } catch {
            report("stream \(whole.stream): \(error.what)")
        }
    }

    private func receiveReset(_ frame: PlainFrame) {
        guard frame.payload.count == 4 else { return report("RST_STREAM of \(frame.payload.count) octets") }
        let code = frame.number(at: 0)
        uploads.stop(frame.stream)
        if code == 0, mayBeStopped.remove(frame.stream) != nil { return world.count("upload over HTTP/2 that the proxy stops") }
        guard let stream = stream(of: frame, "RST_STREAM") else { return }
        // INTERNAL_ERROR: the response is cut. CANCEL: its client is too slow.
        if code != 2, code != 8 { report("RST_STREAM with the code \(code)") }
        streams[frame.stream] = nil
        stream.breakOff()
    }

    private func receiveSettings(_ frame: PlainFrame) {
        guard frame.stream == 0, frame.payload.count % 6 == 0 else { return report("SETTINGS of \(frame.payload.count) octets") }
        guard frame.isEnd else { return send(PlainFrame.bytes(PlainFrame.settings, flags: 1)) }
        guard !sentWindows.isEmpty, frame.payload.isEmpty else { return report("SETTINGS confirmed that were not sent") }
        let confirmed = sentWindows.removeFirst()
        for stream in streams.values { stream.window += confirmed - confirmedWindow }
        confirmedWindow = confirmed
    }

    private func receivePing(_ frame: PlainFrame) {
        guard frame.isEnd else { return send(PlainFrame.bytes(PlainFrame.ping, flags: 1, frame.payload)) }
        guard pings.first?.octets == frame.payload else { return report("PING answered that was not sent, or in another order") }
        pings.removeFirst().answered()
    }

    private func receiveGoAway(_ frame: PlainFrame) {
        let (last, code) = (frame.number(at: 0), frame.number(at: 4))
        let reason = String(decoding: frame.payload.dropFirst(8), as: UTF8.self)
        if code != 0 { report("GOAWAY with the code \(code): \(reason)") }
        if last > lastGoAway { report("GOAWAY names \(last) behind \(lastGoAway)") }
        lastGoAway = last
        isLeaving = true
        for (number, stream) in streams.sorted(by: { $0.key < $1.key }) where number > last {
            streams[number] = nil
            uploads.stop(number)
            stream.breakOff()
        }
    }

    // MARK: Ends

    /// The page of a stream does not want it any more.
    func leave(_ stream: BrowserStream, _ deed: Deed) {
        guard let number = stream.number, streams[number] === stream else { return }
        // Frames that are on their way may still come.
        stream.abandon()
        world.count("reset \(uploads.isOpen(number) ? "inside of an upload" : stream.hasHead ? "behind a head" : "in front of a head")")
        uploads.stop(number)
        reset(number, code: deed == .reset ? 2 : 8)
        if let truth = stream.truth, world.chance.permille(500) { ping { [self] in watchRelease(of: truth) } }
    }

    /// The proxy has answered a PING that left behind the reset of a stream. So it has let go of what it did for that stream, and each of
    /// the stream's servers learns it as soon as the network tells.
    private func watchRelease(of truth: Truth) {
        let resetAt = world.now
        world.after(Int64(world.faults.delayMilliseconds.upperBound) + 1) { [self] in
            guard let arrival = truth.arrivals.first(where: \.isUnderWay) else { return }
            report("\(truth.path): reset, and at \(resetAt) that was known; its server still works for it, since \(arrival.cameAt)")
        }
    }

    private func goAway() {
        world.count("client says GOAWAY")
        isLeaving = true
        send(PlainFrame.bytes(PlainFrame.goAway, PlainFrame.octets(0) + PlainFrame.octets(0)))
        guard world.chance.permille(300) else { return }
        world.after(Int64(world.chance.number(0...2_000))) { [self] in end(.left) }
    }

    /// The whole connection ends, and all its streams with it.
    func end(_ deed: Deed) {
        guard !isOver else { return }
        if world.chance.permille(300) {
            // It may end in the middle of a frame.
            let frame = PlainFrame.bytes(PlainFrame.ping, PlainFrame.octets(1) + PlainFrame.octets(2))
            send(Array(frame.prefix(world.chance.number(1...(frame.count - 1)))))
        }
        if world.chance.permille(500) { flush() }
        isOver = true
        world.count("connection of HTTP/2: \(deed.rawValue)")
        for stream in takeAll() { stream.lose(deed) }
        wire.end(deed)
    }
}

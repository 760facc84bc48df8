// One stream of a connection of HTTP/2, which looks like a connection of its own to the actor that uses it: the actor writes a request of
// HTTP/1.1 and reads the response as HTTP/1.1, in chunks. So all actors and checks serve both protocols, and hold for each stream.

import Reactor
import TestSupport

final class BrowserStream: Wire {
    private let connection: BrowserConnection
    private(set) var number: UInt32?
    /// How many bytes of DATA the proxy may send.
    var window = 0
    /// The response as HTTP/1.1, as far as the page has not read it.
    private var text: [UInt8] = []
    /// Where in the text DATA frames end, counted from its beginning, and their payloads: read, they are given back.
    private var unread: [(end: Int, payload: Int, isLast: Bool)] = []
    private var readCount = 0
    private var textCount = 0
    private var unreturned = 0
    private var status = 0
    private var missing: Int?
    var hasHead: Bool { status >= 200 }
    private var isHEAD = false
    /// Whether a body follows the request's head.
    var hasUpload = false
    private var isWhole = false
    private var isCut = false
    private(set) var isAbandoned = false
    /// Whether its reset has left, where the page has abandoned it.
    var hasSentReset = false
    private var cameAt: Int64?
    private var reads: [Int64] = []

    init(on connection: BrowserConnection) {
        self.connection = connection
        super.init(streamOf: connection.wire, connection.world)
    }

    // MARK: What the connection tells

    func opened(_ number: UInt32, window: Int, isHEAD: Bool) { (self.number, self.window, self.isHEAD) = (number, window, isHEAD) }

    /// A head came. Returns the rule that it breaks.
    func received(_ head: (text: String, status: Int, length: Int?), isLast: Bool) -> String? {
        cameAt = world.now
        if hasHead { return "a second response, or trailers" }
        status = head.status
        if status < 200, isLast { return "an interim response ends the stream" }
        let isBodiless = isHEAD || status == 204 || status == 304
        if isBodiless, hasHead, !isLast { return "the head of a response that has no body does not end the stream" }
        if isLast, !isBodiless, head.length != 0 { return "a response of \(head.length.map(String.init) ?? "unknown") length has no body" }
        missing = head.length
        isWhole = isLast
        if isAbandoned { return nil }
        append(Array(head.text.utf8))
        changed()
        return nil
    }

    /// DATA came. Returns the rule that it breaks.
    func received(_ payload: [UInt8], isLast: Bool) -> String? {
        cameAt = world.now
        guard hasHead else { return "DATA in front of HEADERS" }
        if let missing {
            self.missing = missing - payload.count
            if payload.count > missing { return "more DATA than content-length says" }
            if isLast, payload.count < missing { return "END_STREAM on a response that is cut" }
        }
        if holdsTwoHeartbeats(payload) { return "two heartbeats had waited together" }
        isWhole = isLast
        if isAbandoned { return nil }
        if missing != nil {
            append(payload)
        } else {
            if !payload.isEmpty { append(Array("\(String(payload.count, radix: 16))\r\n".utf8) + payload + Array("\r\n".utf8)) }
            if isLast { append(Array("0\r\n\r\n".utf8)) }
        }
        unread.append((textCount, payload.count, isLast))
        changed()
        return nil
    }

    /// While one heartbeat waits for a window, no other is due; so no frame holds two of them.
    private func holdsTwoHeartbeats(_ payload: [UInt8]) -> Bool {
        let line = connection.heartbeat
        guard let first = place(of: line, in: payload[...]) else { return false }
        return place(of: line, in: payload[(first + line.count)...]) != nil
    }

    private func place(of line: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
        bytes.indices.first { bytes[$0] == line[0] && bytes[$0...].starts(with: line) }
    }

    private func append(_ bytes: [UInt8]) {
        text += bytes
        textCount += bytes.count
    }

    /// The stream ends before its response was whole.
    func breakOff() {
        isCut = true
        if !isAbandoned { changed() }
    }

    /// The connection is lost, in that way.
    func lose(_ deed: Deed) {
        // A reset that did not leave any more is known to nobody. It may have left where other bytes did not.
        if isAbandoned, !hasSentReset {
            truth?.clientDeed = deed
            truth?.mayHaveLeft = true
        }
        guard !isAbandoned else { return }
        truth?.clientDeed = truth?.clientDeed ?? deed
        breakOff()
    }

    /// The page is gone; frames may still come.
    func abandon() {
        isAbandoned = true
        connection.hasRead(unread.reduce(0) { $0 + $1.payload })
        unread = []
        forget()
    }

    func noteRead() { reads.append(world.now) }

    func giveAllBack() {
        guard unreturned > 0, !isAbandoned, !isWhole else { return }
        connection.giveBack(unreturned, to: self)
        unreturned = 0
    }

    // MARK: What the actor uses

    override var version: String { "2" }
    override var lateMilliseconds: Int { connection.manner.lateMilliseconds.upperBound }
    override var readTimes: [Int64] { reads }
    override var lastArrivalAt: Int64? { cameAt }
    override var isClosed: Bool { isAbandoned }
    override func congestion(since moment: Int64) -> Int64 { connection.wire.socket.traffic.waited(from: moment, until: world.now) }
    override var isUsable: Bool { !isWhole && !isCut && !isAbandoned && (number == nil || connection.wire.isUsable) }
    override var isBroken: Bool { isCut }
    override var hasEnded: Bool { isWhole && text.isEmpty }
    override var isEnding: Bool { isWhole }
    override var endIsAuthentic: Bool { true }
    override var hasMore: Bool { !text.isEmpty }
    override var isSecured: Bool { false }

    override func send(_ bytes: [UInt8], noting: @escaping () -> Void = {}, then: @escaping () -> Void = {}) {
        connection.open(self, bytes)
    }

    override func read(upTo count: Int = .max) -> [UInt8] {
        let taken = Array(text.prefix(count))
        text.removeFirst(taken.count)
        readCount += taken.count
        while let first = unread.first, first.end <= readCount {
            unread.removeFirst()
            if !first.isLast { unreturned += first.payload }
            connection.hasRead(first.payload)
        }
        if unreturned >= connection.leastReturn { giveAllBack() }
        return taken
    }

    override func end(_ deed: Deed) {
        // A machine that vanishes takes all its pages with it.
        if deed == .vanished, !isWhole, !isCut, !isAbandoned { return connection.end(.vanished) }
        if !isWhole, !isCut { connection.leave(self, deed) }
        abandon()
    }
}

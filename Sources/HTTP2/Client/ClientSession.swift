// The client's side of a connection of HTTP/2 (RFC 9113), without I/O and without a clock: GETs out, responses in. `Session` is the
// server's side; frames, field blocks and budgets are the same.
//
//   bytes ─▶ next ─▶ ClientEvent ─▶ the connection, which calls back: open, cancel
//                └─▶ control: all that is to be sent, in its order
//
// A stream is in the table from HEADERS of ours, which end its request, until END_STREAM, RST_STREAM of either side, or GOAWAY:
//
//   open ─▶ awaiting a head ─▶ body ─▶ gone       Interim heads change nothing.
//
// DATA counts as taken when it is told: a reader that needs backpressure would read the connection later.
// Invariant: nothing that a server sends stops the program, and all memory is bounded by SessionLimits.

import HTTP

/// One connection of HTTP/2, as its client sees it.
package struct ClientSession: ~Copyable {
    /// A stream that has not ended.
    struct Stream {
        /// The bytes of DATA that we could send. We send none, but the server may not move it out of its bounds.
        var sendWindow: Int32
        var receiveWindow: ReceiveWindow
        var hasHead = false
        var interimHeads = 0
        /// What Content-Length says, and what came of it.
        var contentLength: UInt64?
        var receivedBytes: UInt64 = 0
        var emptyData = 0
    }

    /// The number of streams at once that is assumed until the server's SETTINGS have come; browsers assume the same.
    private static let assumedStreams: UInt32 = 100
    /// The interim heads of one stream.
    static let maximumInterimHeads = 16

    let limits: SessionLimits
    let headLimits: HeadLimits

    // MARK: What is being read

    /// What the next bytes are.
    enum Stage: UInt8 {
        case header, payload, padLength, data
        /// What nobody needs: padding, unknown frames, DATA of streams that have ended.
        case skipped
    }

    var stage = Stage.header
    var frame = FrameHeader(.settings, length: 0)
    /// The payload's bytes that are still to come as data or to be skipped.
    var remaining = 0
    var padding = 0
    var pieces = FramePieces()
    var hasSettings = false
    var block = OpenFieldBlock()
    var decoder: HPACKDecoder
    var fields = DecodedFields()

    // MARK: Streams and windows

    var streams: [UInt32: Stream] = [:]
    var nextNumber: UInt32 = 1
    /// How many streams the server takes at once.
    var serversMaximum = ClientSession.assumedStreams
    /// The last stream that GOAWAY names.
    var lastServed = UInt32.max
    var connectionSendWindow = SessionLimits.initialWindowBytes
    var initialSendWindow = SessionLimits.initialWindowBytes
    var connectionWindow: ReceiveWindow

    // MARK: The rest

    var budgets: Budgets
    var failure: SessionError?
    /// Frames to be sent, behind all that were taken before.
    package internal(set) var control: [UInt8] = []

    /// A session at the beginning of a connection. The preface, SETTINGS and WINDOW_UPDATE are in `control` already, and requests may
    /// follow at once (section 3.4). `now` in milliseconds of any clock that does not go back.
    package init(limits: SessionLimits, headLimits: HeadLimits = HeadLimits(), now: Int64) {
        precondition(limits.isUsable, "a limit is out of its bounds")
        self.limits = limits
        self.headLimits = headLimits
        budgets = Budgets(limits, now: now)
        decoder = HPACKDecoder(tableBytes: SessionLimits.headerTableBytes, limits: limits.fields)
        connectionWindow = ReceiveWindow(limits.connectionWindowBytes)
        let preface = Session.preface
        control.append(contentsOf: UnsafeBufferPointer(start: preface.utf8Start, count: preface.utf8CodeUnitCount))
        Settings.appendForClient(limits, to: &control)
        let increment = Int32(limits.connectionWindowBytes) - SessionLimits.initialWindowBytes
        if increment > 0 { ControlFrames.appendWindowUpdate(increment, stream: 0, to: &control) }
    }

    /// Takes what is to be sent. Take it when it can be written, so that its bound holds while a server does not read.
    package mutating func takeControl() -> [UInt8] {
        defer { control = [] }
        return control
    }

    /// The streams that have not ended.
    package var openCount: Int { streams.count }

    /// Whether the server said GOAWAY, so that new streams need another connection.
    package var isGoingAway: Bool { lastServed != .max }

    /// Why no stream can be opened; nil if one can.
    package var hindrance: StaticString? {
        if failure != nil { return "the connection has failed" }
        if isGoingAway { return "the server said GOAWAY" }
        if streams.count >= limits.maximumStreams || streams.count >= Int(serversMaximum) {
            return "the server takes no more streams on one connection at once"
        }
        return nextNumber >= 1 << 31 ? "the numbers of streams are used up" : nil
    }

    /// Opens a stream with a request that has no body. There must be no `hindrance`.
    package mutating func open(_ request: OutgoingRequest) -> UInt32 {
        precondition(hindrance == nil, "no stream can be opened")
        let number = nextNumber
        nextNumber += 2
        streams[number] = Stream(sendWindow: initialSendWindow, receiveWindow: ReceiveWindow(limits.streamWindowBytes))
        budgets.openedStream()
        let prefix = number == 1 ? HPACKEncoder.emptyTableUpdate : nil
        ControlFrames.appendFieldBlock(request.block, prefix: prefix, stream: number, isLast: true, to: &control)
        return number
    }

    /// The response is no longer wanted: RST_STREAM(CANCEL), unless the stream has ended.
    package mutating func cancel(_ number: UInt32) { reset(number, .cancel) }

    /// Resets a stream that has not ended.
    mutating func reset(_ number: UInt32, _ code: HTTP2ErrorCode) {
        guard streams.removeValue(forKey: number) != nil else { return }
        ControlFrames.appendReset(code, stream: number, to: &control)
    }

    /// Whether no stream can have that number yet. Even ones are the server's, which may open none.
    func isIdle(_ number: UInt32) -> Bool { number & 1 == 0 || number >= nextNumber }
}

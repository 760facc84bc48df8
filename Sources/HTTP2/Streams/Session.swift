// The server's side of a connection of HTTP/2 (RFC 9113), without I/O and without a clock: received bytes in, one event at a time out.
//
//   bytes ─▶ next ─▶ SessionEvent ─▶ the connection, which calls back: answered, consumed, reset, release …
//                └─▶ control: frames to send ─▶ before any DATA that is not written yet
//
// What is asked for each event is `mutating`, although nothing changes: else a session in a class is copied to the stack to be asked.
// Invariant: nothing that a client sends stops the program, and all memory is bounded by SessionLimits. The events do not depend on how
// the bytes were split, except that a DATA frame may come in several pieces.

/// One connection of HTTP/2, as its server sees it.
package struct Session: ~Copyable {
    /// The limits that the session was made with.
    let limits: SessionLimits

    // MARK: What is being read

    /// What the next bytes are.
    enum Stage: UInt8 {
        case preface, header, payload
        /// The octet that says how long a DATA frame's padding is; then its data.
        case padLength, data
        /// What nobody needs: padding, unknown frames, DATA of closed streams.
        case skipped
    }

    var stage = Stage.preface
    /// The frame whose payload is being read.
    var frame = FrameHeader(.settings, length: 0)
    /// The bytes of the preface that came, or the payload's bytes that are still to come as data or to be skipped.
    var remaining = 0
    /// The padding behind the data.
    var padding = 0
    /// The slot of the DATA frame that is being read.
    var dataSlot = 0
    /// The beginning of a frame's header or of a payload, whose rest has not come.
    var pieces = FramePieces()
    var hasSettings = false

    // MARK: The field block that is open

    var block = OpenFieldBlock()
    /// Whether the block opens a stream.
    var blockIsNew = false
    var decoder: HPACKDecoder

    // MARK: Streams and windows

    var streams = StreamTable()
    var resetStreams = ResetStreams()
    /// Idle streams that PRIORITY_UPDATE named, each once (RFC 9218 section 7.1).
    var idleTargets: [UInt32] = []
    /// The highest number that a client's HEADERS had.
    var highestSeen: UInt32 = 0
    /// The newest gap in the numbers: idle streams that a higher one has closed (section 5.1.1).
    var skippedNumbers: ClosedRange<UInt32>?
    /// The last stream that the final GOAWAY named. Later ones are ignored.
    var lastAccepted = UInt32.max
    /// The bytes of DATA that we may send on the connection, and on a new stream.
    var connectionSendWindow = SessionLimits.initialWindowBytes
    var initialSendWindow = SessionLimits.initialWindowBytes
    /// The bytes of DATA that the client may send on the connection, and those to be given back.
    var connectionReceiveWindow: Int32
    var connectionUnreturned: Int32 = 0

    // MARK: The rest

    var budgets: Budgets
    var failure: SessionError?
    var pingCount: UInt32 = 0
    var isPingUnanswered = false
    /// Whether a block has told the client that our encoder uses no table. Then no smaller HEADER_TABLE_SIZE asks for more.
    var hasSaidTableSize = false

    /// The fields of the last request or trailers.
    package internal(set) var fields = DecodedFields()
    /// Frames to be sent: behind all frames that were written before (a reset must not overtake the end of its answer), before all others.
    package internal(set) var control: [UInt8] = []
    /// Whether we said GOAWAY: the connection closes when its last stream has ended.
    package internal(set) var isLeaving = false

    /// A session at the beginning of a connection. Its SETTINGS, and WINDOW_UPDATE, are in `control` already (section 3.4). `now` in
    /// milliseconds of any clock that does not go back.
    package init(limits: SessionLimits, now: Int64) {
        precondition(limits.isUsable, "a limit is out of its bounds")
        self.limits = limits
        budgets = Budgets(limits, now: now)
        decoder = HPACKDecoder(tableBytes: SessionLimits.headerTableBytes, limits: limits.fields)
        connectionReceiveWindow = Int32(limits.connectionWindowBytes)
        Settings.append(limits, to: &control)
        let increment = connectionReceiveWindow - SessionLimits.initialWindowBytes
        if increment > 0 { ControlFrames.appendWindowUpdate(increment, stream: 0, to: &control) }
    }

    /// Whether there are control frames to be sent.
    package var hasControl: Bool {
        mutating get { !control.isEmpty }
    }

    /// Takes the control frames. Take them when they can be written, so that their bound holds while a client does not read.
    package mutating func takeControl() -> [UInt8] {
        let taken = control
        control = []
        return taken
    }

    /// The streams that are open or half-closed.
    package var openCount: Int {
        mutating get { streams.openCount }
    }

    /// The highest stream that was accepted; 0 before the first.
    package var highestStream: UInt32 {
        mutating get { min(highestSeen, lastAccepted) }
    }

    /// Whether the client owes the rest of something that a deadline is for: the preface, the first SETTINGS, a field block.
    package var isInsideHead: Bool {
        mutating get { !hasSettings || block.stream != 0 }
    }

    /// The bytes that it keeps of a field block, or of another frame, whose rest has not come.
    package var heldBytes: Int {
        mutating get { block.bytes.count + pieces.pending.count }
    }

    /// The stream's number on the wire.
    package mutating func number(of slot: Int) -> UInt32 { streams[slot].number }

    /// Whether the request has ended. For tests.
    package mutating func isRemoteEnded(_ slot: Int) -> Bool { streams[slot].flags.contains(.remoteEnded) }

    /// Whether nothing may be sent on the stream any more: it ended on both sides, or one side reset it.
    package mutating func isClosed(_ slot: Int) -> Bool { streams[slot].flags.contains(.closed) }

    /// Whether no stream can have that number yet (section 5.1). Even numbers are ours, and we open no streams.
    func isIdle(_ number: UInt32) -> Bool { number & 1 == 0 || number > highestSeen }
}

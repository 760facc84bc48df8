// Fuzzes the client's side of HTTP/2, as a part of the target HTTP2: any bytes as what a server sends to a client with two requests, whole
// and in two parts, and to one that cancels and opens streams meanwhile. No crash, no bound exceeded, the same events for every split.

private let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]

func fuzzClient(_ input: [UInt8]) {
    let received = (input[0] & 1 == 0 ? settings : []) + input[3...]
    let cut = (Int(input[1]) << 8 | Int(input[2])) % (received.count + 1)
    var whole = Client(input[0], isBusy: false)
    whole.receive(received)
    var split = Client(input[0], isBusy: false)
    if split.receive(Array(received[..<cut])) { split.receive(Array(received[cut...])) }
    require(whole.told == split.told, "other events for another split")
    require(whole.session.control == split.session.control, "other control frames for another split")
    var busy = Client(input[0], isBusy: true)
    if busy.receive(Array(received[..<cut])) { busy.receive(Array(received[cut...])) }
}

/// The client's side, with what it knows of its streams.
private struct Client: ~Copyable {
    var session: ClientSession
    /// Everything that was told, as numbers. Pieces of one body count as one.
    var told: [Int] = []
    private let isBusy: Bool
    private let limits: SessionLimits
    private var choice: UInt32
    /// The streams that have not ended, and whether their head came.
    private var open: [UInt32: Bool] = [:]
    private var now: Int64 = 0

    init(_ kind: UInt8, isBusy: Bool) {
        var limits = SessionLimits()
        if kind & 2 != 0 {
            limits.maximumStreams = 3
            limits.connectionWindowBytes = 65_535
            limits.glitches = Budget(atOnce: 8, perSecond: 1)
            limits.chatter = Budget(atOnce: 16, perSecond: 1)
            limits.maximumControlBytes = 400
        }
        self.limits = limits
        self.isBusy = isBusy
        choice = UInt32(kind) &* 2_654_435_761 | 1
        session = ClientSession(limits: limits, now: 0)
        for _ in 0..<2 { request() }
    }

    private mutating func request() {
        guard session.hindrance == nil else { return }
        let number = session.open(OutgoingRequest(isSecured: true, authority: "a", path: "/"))
        require(open.updateValue(false, forKey: number) == nil, "a number was used twice")
    }

    private mutating func chosen(_ bound: Int) -> Int {
        choice = choice &* 1_664_525 &+ 1_013_904_223
        return Int(choice >> 8) % bound
    }

    /// False after an error.
    @discardableResult
    mutating func receive(_ bytes: [UInt8]) -> Bool {
        var offset = 0
        while true {
            do throws(SessionError) {
                let before = offset
                let event = try bytes.span.withUnsafeBytes { (input: UnsafeRawBufferPointer) throws(SessionError) -> ClientEvent? in
                    try session.next(input, from: &offset, now: now)
                }
                require(offset >= before && offset <= bytes.count, "an offset outside of the bytes")
                require(session.control.count <= limits.maximumControlBytes + 4_096, "control frames without a bound")
                require(session.pieces.pending.count <= FrameHeader.maximumPayload, "a frame without a bound")
                require(session.block.bytes.count <= limits.maximumFieldBlockBytes, "a field block without a bound")
                guard let event else {
                    require(offset == bytes.count, "bytes are left")
                    require(session.openCount == open.count, "streams that nobody was told of")
                    return true
                }
                note(event, bytes)
                if isBusy { act() }
            } catch {
                told += [-1, Int(error.code.rawValue), error.isAbuse ? 1 : 0]
                require(session.control.count >= 17 && session.openCount == 0, "an error without GOAWAY, or with streams")
                return false
            }
        }
    }

    private mutating func note(_ event: ClientEvent, _ bytes: [UInt8]) {
        switch event {
        case .head(let stream, let head, let isLast):
            require(open[stream] == false && !head.isInterim && head.status != 101, "a head where none may be")
            told += [1, Int(stream), head.status, head.fields.count, head.bytes.reduce(0) { $0 &* 31 &+ Int($1) }]
            open[stream] = isLast ? nil : true
        case .data(let stream, let range, let isLast):
            require(open[stream] == true && (isLast || !range.isEmpty), "a body where none may be")
            for byte in bytes[range] { told += [2, Int(stream), Int(byte)] }
            if isLast { end(stream, [3]) }
        case .trailers(let stream):
            require(open[stream] == true, "trailers without a head")
            end(stream, [4])
        case .reset(let stream, let code): end(stream, [5, Int(code.rawValue)])
        case .failed(let stream, let code, _): end(stream, [6, Int(code.rawValue)])
        case .goAway(let last, let code):
            told += [7, Int(last), Int(code.rawValue)]
            open = open.filter { $0.key <= last }
        }
    }

    private mutating func end(_ stream: UInt32, _ what: [Int]) {
        told += [Int(stream)] + what
        require(open.removeValue(forKey: stream) != nil, "an end of a stream that had ended")
    }

    /// Does something with one of the streams, or with the connection.
    private mutating func act() {
        now += Int64(chosen(20))
        if chosen(8) == 0 { _ = session.takeControl() }
        if chosen(4) == 0 { request() }
        guard chosen(4) == 0, let stream = open.keys.sorted().first else { return }
        session.cancel(stream)
        open[stream] = nil
    }
}

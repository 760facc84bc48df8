// Fuzzes a connection of HTTP/2: any bytes, from the preface or from behind it, whole and in two parts, while a server of a kind that the
// input chooses answers. No crash, no bound exceeded, and the same events for every split. The input chooses the client's side as often
// (HTTP2Client.swift).

private let preface: [UInt8] = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0]

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: bytes, count: count))
    guard input.count > 3 else { return 0 }
    guard input[0] & 128 == 0 else {
        fuzzClient(input)
        return 0
    }
    let received = (input[0] & 1 == 0 ? preface : []) + input[3...]
    let cut = (Int(input[1]) << 8 | Int(input[2])) % (received.count + 1)
    // A server that does nothing says the same for every split. What one does that answers depends on the pieces.
    var whole = Server(input[0], answers: false)
    whole.receive(received)
    var split = Server(input[0], answers: false)
    if split.receive(Array(received[..<cut])) { split.receive(Array(received[cut...])) }
    require(whole.told == split.told, "other events for another split")
    require(whole.session.control == split.session.control, "other control frames for another split")
    var busy = Server(input[0], answers: true)
    if busy.receive(Array(received[..<cut])) { busy.receive(Array(received[cut...])) }
    return 0
}

/// The server's side, with what it knows of each slot.
private struct Server: ~Copyable {
    private struct Exchange {
        var untaken = 0
        var isEnded = false
    }

    var session: Session
    /// Everything that was told, as numbers. Pieces of one body count as one.
    var told: [Int] = []
    private let answers: Bool
    private let limits: SessionLimits
    private var choice: UInt32
    private var exchanges: [Int: Exchange] = [:]
    private var now: Int64 = 0

    init(_ kind: UInt8, answers: Bool) {
        var limits = SessionLimits()
        if kind & 2 != 0 {
            limits.maximumStreams = 3
            limits.connectionWindowBytes = 65_535
            limits.glitches = Budget(atOnce: 8, perSecond: 1)
            limits.chatter = Budget(atOnce: 16, perSecond: 1)
            limits.abandonedStreams = Budget(atOnce: 4, perSecond: 1)
            limits.maximumControlBytes = 200
        }
        limits.allowsExtendedConnect = kind & 4 != 0
        self.limits = limits
        self.answers = answers
        choice = UInt32(kind) &* 2_654_435_761 | 1
        session = Session(limits: limits, now: 0)
    }

    /// A number below `bound` that follows from the input alone.
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
                let event = try bytes.span.withUnsafeBytes { (input: UnsafeRawBufferPointer) throws(SessionError) -> SessionEvent? in
                    try session.next(input, from: &offset, now: now)
                }
                require(offset >= before && offset <= bytes.count, "an offset outside of the bytes")
                require(session.control.count <= limits.maximumControlBytes + 4_096, "control frames without a bound")
                require(session.pieces.pending.count <= FrameHeader.maximumPayload, "a frame without a bound")
                require(session.block.bytes.count <= limits.maximumFieldBlockBytes, "a field block without a bound")
                require(session.openCount <= limits.maximumStreams, "more streams than were announced")
                require(session.connectionReceiveWindow >= 0, "more DATA than the window allowed")
                guard let event else {
                    require(offset == bytes.count, "bytes are left")
                    return true
                }
                note(event, bytes)
                if answers { answer() }
            } catch {
                told += [-1, Int(error.code.rawValue), error.isAbuse ? 1 : 0]
                require(session.control.count >= 17, "an error without GOAWAY")
                for slot in exchanges.keys.sorted() { session.release(slot) }
                require(session.openCount == 0, "streams that no slot holds")
                exchanges = [:]
                return false
            }
        }
    }

    private mutating func note(_ event: SessionEvent, _ bytes: [UInt8]) {
        switch event {
        case .request(let slot, let isLast):
            require(exchanges[slot] == nil, "a slot in use was given away")
            exchanges[slot] = Exchange()
            told += [1, slot, isLast ? 1 : 0, session.fields.fields.count, session.fields.bytes.reduce(0) { $0 &* 31 &+ Int($1) }]
        case .data(let slot, let range, let isLast):
            exchanges[slot]!.untaken += range.count
            for byte in bytes[range] { told += [2, slot, Int(byte)] }
            if isLast { told += [3, slot] }
        case .trailers(let slot): told += [4, slot, session.fields.fields.count]
        case .reset(let slot, let code): end(slot, [5, slot, Int(code.rawValue)])
        case .failed(let slot, let code, _): end(slot, [6, slot, Int(code.rawValue)])
        case .windowOpened(let slot): told += [7, slot ?? -1]
        case .goAway(let code): told += [8, Int(code.rawValue)]
        case .pong: told.append(9)
        }
        for slot in exchanges.keys { require(session.room(of: slot) >= 0, "room below zero") }
    }

    private mutating func end(_ slot: Int, _ what: [Int]) {
        told += what
        require(exchanges[slot] != nil && session.isClosed(slot) && session.room(of: slot) == 0, "an end of a stream that is not closed")
        // Some exchanges end at once, others a little later.
        if answers, chosen(2) == 0 { exchanges[slot]!.isEnded = true } else { release(slot) }
    }

    private mutating func release(_ slot: Int) {
        session.release(slot)
        exchanges[slot] = nil
    }

    /// Does something with one of the exchanges, or with the connection.
    private mutating func answer() {
        now += Int64(chosen(20))
        if chosen(8) == 0 { _ = session.takeControl() }
        if chosen(50) == 0 { session.ping() }
        if chosen(80) == 0 { session.goAway(.noError, isFinal: chosen(2) == 0) }
        guard let slot = exchanges.keys.sorted().dropFirst(chosen(max(exchanges.count, 1))).first else { return }
        let isOpen = !session.isClosed(slot) && !exchanges[slot]!.isEnded
        switch chosen(8) {
        case 0, 1:
            let count = chosen(exchanges[slot]!.untaken + 1)
            session.consumed(count, of: slot)
            exchanges[slot]!.untaken -= count
        case 2, 3:
            let room = min(session.room(of: slot), session.maximumPayload)
            if isOpen, room > 0 { session.takeRoom(1 + chosen(room), of: slot, isLast: false) }
        case 4:
            var output: [UInt8] = []
            if isOpen {
                session.appendHeaders([UInt8](repeating: 0x88, count: chosen(3) * 10_000 + 1), for: slot, isLast: false, to: &output)
                session.answered(slot)
            }
        case 5:
            if isOpen {
                session.takeRoom(0, of: slot, isLast: true)
                exchanges[slot]!.isEnded = true
            }
        case 6:
            session.reset(slot, chosen(2) == 0 ? .protocolError : .cancel)
            exchanges[slot]!.isEnded = true
        default: release(slot)
        }
    }
}

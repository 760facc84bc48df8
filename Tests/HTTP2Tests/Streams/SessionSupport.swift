// What the tests of sessions share: frames as a client writes them, and a session that is fed in any pieces and says what it saw.

import HTTP2
import Testing

/// Frames of a client, as bytes.
enum Wire {
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    /// The beginning of every connection: the preface and SETTINGS without entries.
    static let start = preface + settings()
    /// `GET /` over https from `a`, each field from the static table or a literal that enters no table.
    static let get: [UInt8] = [0x82, 0x87, 0x84, 0x01, 0x01, 0x61]
    /// The same with POST.
    static let post: [UInt8] = [0x83, 0x87, 0x84, 0x01, 0x01, 0x61]
    /// A trailer: `x: y`.
    static let trailer: [UInt8] = [0x00, 0x01, 0x78, 0x01, 0x79]

    static func frame(_ type: UInt8, flags: UInt8 = 0, stream: UInt32, _ payload: [UInt8] = [], length: Int? = nil) -> [UInt8] {
        let count = length ?? payload.count
        let head = [UInt8(count >> 16 & 0xFF), UInt8(count >> 8 & 0xFF), UInt8(count & 0xFF), type, flags]
        return head + number(stream) + payload
    }

    static func number(_ value: UInt32) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) } }

    static func settings(_ entries: [(UInt16, UInt32)] = []) -> [UInt8] {
        frame(4, stream: 0, entries.flatMap { [UInt8($0.0 >> 8), UInt8($0.0 & 0xFF)] + number($0.1) })
    }

    static let settingsAnswer = frame(4, flags: 1, stream: 0)

    /// HEADERS with END_HEADERS, and END_STREAM unless a body follows.
    static func headers(_ stream: UInt32, _ block: [UInt8] = get, ends: Bool = true) -> [UInt8] {
        frame(1, flags: 4 | (ends ? 1 : 0), stream: stream, block)
    }

    static func data(_ stream: UInt32, _ payload: [UInt8] = [], ends: Bool = false) -> [UInt8] {
        frame(0, flags: ends ? 1 : 0, stream: stream, payload)
    }

    /// DATA with so many octets of padding.
    static func padded(_ stream: UInt32, _ payload: [UInt8], _ padding: Int, ends: Bool = false) -> [UInt8] {
        frame(0, flags: 8 | (ends ? 1 : 0), stream: stream, [UInt8(padding)] + payload + [UInt8](repeating: 0, count: padding))
    }

    static func reset(_ stream: UInt32, _ code: HTTP2ErrorCode = .cancel) -> [UInt8] { frame(3, stream: stream, number(code.rawValue)) }

    static func windowUpdate(_ stream: UInt32, _ increment: UInt32) -> [UInt8] { frame(8, stream: stream, number(increment)) }

    static func ping(_ octets: [UInt8] = Array("12345678".utf8), isAnswer: Bool = false) -> [UInt8] {
        frame(6, flags: isAnswer ? 1 : 0, stream: 0, octets)
    }

    static func goAway(_ code: HTTP2ErrorCode = .noError, debug: [UInt8] = []) -> [UInt8] {
        frame(7, stream: 0, number(0) + number(code.rawValue) + debug)
    }

    static func priority(_ stream: UInt32) -> [UInt8] { frame(2, stream: stream, [0, 0, 0, 0, 15]) }

    static func priorityUpdate(_ target: UInt32) -> [UInt8] { frame(16, stream: 0, number(target) + Array("u=1, i".utf8)) }

    /// The frames in these bytes, in words: `RST_STREAM 1 CANCEL`, `PING ack 3132333435363738`.
    static func words(_ bytes: [UInt8]) -> [String] {
        let names = [
            "DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE", "CONTINUATION",
        ]
        var found: [String] = []
        var rest = bytes[...]
        while rest.count >= 9 {
            let head = Array(rest.prefix(9))
            let length = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
            let payload = Array(rest.dropFirst(9).prefix(length))
            rest = rest.dropFirst(9 + length)
            var words = [names[Int(head[3])]]
            let stream = value(head, 5)
            if stream != 0 { words.append("\(stream)") }
            switch head[3] {
            case 0: words += ["\(length)"] + (head[4] & 1 != 0 ? ["end"] : [])
            case 1, 9: words += (head[4] & 1 != 0 && head[3] == 1 ? ["end"] : []) + (head[4] & 4 != 0 ? ["whole"] : [])
            case 3: words.append("\(name(value(payload, 0)))")
            case 4:
                if head[4] & 1 != 0 { words.append("ack") }
                for entry in stride(from: 0, to: length, by: 6) { words.append("\(payload[entry + 1])=\(value(payload, entry + 2))") }
            case 6: words += (head[4] & 1 != 0 ? ["ack"] : []) + [payload.map { String($0, radix: 16) }.joined()]
            case 7: words += ["\(value(payload, 0))", name(value(payload, 4))]
            case 8: words.append("+\(value(payload, 0))")
            default: break
            }
            found.append(words.joined(separator: " "))
        }
        #expect(rest.isEmpty, "half a frame was queued")
        return found
    }

    private static func value(_ bytes: [UInt8], _ offset: Int) -> UInt32 { bytes[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) } }
    private static func name(_ code: UInt32) -> String { HTTP2ErrorCode(rawValue: code).name.map { "\($0)" } ?? "\(code)" }
}

/// What a session said, in words that can be compared.
func words(_ event: SessionEvent, _ session: inout Session, _ input: [UInt8]) -> String {
    switch event {
    case .request(let slot, let isLast):
        let fields = session.fields.fields.map { text(session.fields.bytes[$0.name]) + "=" + text(session.fields.bytes[$0.value]) }
        return "request \(session.number(of: slot)) [\(fields.joined(separator: ", "))]" + (isLast ? " end" : "")
    case .data(let slot, let range, let isLast): return "data \(session.number(of: slot)) \(latin(input[range]))" + (isLast ? " end" : "")
    case .trailers(let slot): return "trailers \(session.number(of: slot)) \(session.fields.fields.count)"
    case .reset(let slot, let code): return "reset \(session.number(of: slot)) \(code.name.map { "\($0)" } ?? "\(code.rawValue)")"
    case .failed(let slot, let code, let reason): return "failed \(session.number(of: slot)) \(code.name!): \(reason)"
    case .windowOpened(let slot): return "window " + (slot.map { "\(session.number(of: $0))" } ?? "all")
    case .goAway(let code): return "goaway \(code.name.map { "\($0)" } ?? "\(code.rawValue)")"
    case .pong: return "pong"
    }
}

/// Each byte as one character, so that pieces can be put together.
private func latin(_ bytes: ArraySlice<UInt8>) -> String { String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) })) }

/// What came of some bytes.
struct Outcome: Equatable {
    /// The events in words; pieces of one DATA frame are put together. An error is the last: `error PROTOCOL_ERROR: why`.
    var events: [String] = []
    /// The control frames in words, without those of the beginning.
    var control: [String] = []

    /// Whether the connection ended with that code; and as abuse, or not.
    func endsConnection(_ code: HTTP2ErrorCode, isAbuse: Bool = false) -> Bool {
        events.last?.hasPrefix("error \(code.name!)\(isAbuse ? " abuse" : ""):") == true && control.last?.hasPrefix("GOAWAY") == true
            && control.last?.hasSuffix("\(code.name!)") == true
    }
}

/// A session with what it said.
final class Harness {
    var session: Session
    var now: Int64 = 1_000
    var outcome = Outcome()
    /// Whether an exchange ends, and gives its slot back, as soon as its stream was reset.
    var releases = true
    /// The slots of the streams that were opened, by their numbers.
    var slots: [UInt32: Int] = [:]
    /// Of the last request: whether its fields exceeded a limit, and the bytes that were stored of them.
    var isTooLarge = false
    var fieldBytes = 0
    private var isInsideData = false

    init(_ limits: SessionLimits = SessionLimits(), releases: Bool = true) {
        session = Session(limits: limits, now: 1_000)
        self.releases = releases
        _ = session.takeControl()
    }

    /// Gives the session bytes, in one piece. False after an error.
    @discardableResult
    func receive(_ bytes: [UInt8]) -> Bool {
        var offset = 0
        while true {
            let before = offset
            do throws(SessionError) {
                let event = try bytes.span.withUnsafeBytes { (input: UnsafeRawBufferPointer) throws(SessionError) -> SessionEvent? in
                    try session.next(input, from: &offset, now: now)
                }
                guard let event else {
                    #expect(offset == bytes.count)
                    return true
                }
                note(event, bytes, from: before)
            } catch {
                outcome.events.append("error \(error.code.name!)\(error.isAbuse ? " abuse" : ""): \(error.reason)")
                return false
            }
        }
    }

    private func note(_ event: SessionEvent, _ bytes: [UInt8], from before: Int) {
        let said = words(event, &session, bytes)
        if case .data(let slot, let range, let isLast) = event, isInsideData, let last = outcome.events.last,
            last.hasPrefix("data \(session.number(of: slot)) ")
        {
            outcome.events[outcome.events.count - 1] = last + latin(bytes[range]) + (isLast ? " end" : "")
        } else {
            outcome.events.append(said)
        }
        isInsideData = if case .data = event { true } else { false }
        switch event {
        case .request(let slot, _):
            slots[session.number(of: slot)] = slot
            (isTooLarge, fieldBytes) = (session.fields.isTooLarge, session.fields.bytes.count)
        case .reset(let slot, _), .failed(let slot, _, _):
            if releases {
                slots[session.number(of: slot)] = nil
                session.release(slot)
            }
        default: break
        }
    }

    /// The slot of that stream.
    func slot(_ number: UInt32) -> Int { slots[number]! }

    /// An event stream begins on that stream: its head is sent.
    func answer(_ number: UInt32) {
        var output: [UInt8] = []
        session.appendHeaders([0x88], for: slot(number), isLast: false, to: &output)
        session.answered(slot(number))
    }

    /// What was said until now, with the control frames that wait.
    func finish() -> Outcome {
        outcome.control += Wire.words(session.takeControl())
        return outcome
    }
}

/// What comes of these bytes behind the beginning of a connection, whole, byte by byte and at every two-part split: it has to be the same.
func inEverySplit(
    _ bytes: [UInt8], limits: SessionLimits = SessionLimits(), from start: [UInt8] = Wire.start,
    sourceLocation: SourceLocation = #_sourceLocation
) -> Outcome {
    func run(_ pieces: [ArraySlice<UInt8>]) -> Outcome {
        let harness = Harness(limits)
        for piece in pieces where !harness.receive(Array(piece)) { break }
        return harness.finish()
    }
    let all = start + bytes
    let whole = run([all[...]])
    #expect(run(all.indices.map { all[$0...$0] }) == whole, "byte by byte", sourceLocation: sourceLocation)
    for cut in all.indices where run([all[..<cut], all[cut...]]) != whole {
        Issue.record("another outcome when split at \(cut)", sourceLocation: sourceLocation)
        break
    }
    return whole
}

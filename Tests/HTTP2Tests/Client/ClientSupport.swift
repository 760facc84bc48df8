// What the tests of the client's side share: a session that is fed in any pieces and says what it saw.

import HTTP
import HTTP2
import Testing

/// A client's session with what it said.
final class ClientHarness {
    var session: ClientSession
    var now: Int64 = 1_000
    /// The events in words; pieces of one DATA frame are put together. An error is the last: `error PROTOCOL_ERROR: why`.
    private(set) var events: [String] = []
    private var isInsideData = false

    /// A session whose beginning has been sent.
    init(_ limits: SessionLimits = SessionLimits(), streams: Int = 1) {
        session = ClientSession(limits: limits, now: 1_000)
        for _ in 0..<streams { _ = session.open(OutgoingRequest(isSecured: true, authority: "a", path: "/")) }
        _ = session.takeControl()
    }

    /// Gives the session bytes, in one piece. False after an error.
    @discardableResult
    func receive(_ bytes: [UInt8]) -> Bool {
        var offset = 0
        while true {
            do throws(SessionError) {
                let event = try bytes.span.withUnsafeBytes { (input: UnsafeRawBufferPointer) throws(SessionError) -> ClientEvent? in
                    try session.next(input, from: &offset, now: now)
                }
                guard let event else {
                    #expect(offset == bytes.count)
                    return true
                }
                note(event, bytes)
            } catch {
                events.append("error \(name(error.code))\(error.isAbuse ? " abuse" : ""): \(error.reason)")
                return false
            }
        }
    }

    private func note(_ event: ClientEvent, _ bytes: [UInt8]) {
        let wasInside = isInsideData
        isInsideData = false
        switch event {
        case .head(let stream, let head, let isLast):
            let fields = head.fields.map { text(head.bytes[$0.name]) + "=" + text(head.bytes[$0.value]) }
            events.append("head \(stream) \(head.status) [\(fields.joined(separator: ", "))]" + (isLast ? " end" : ""))
        case .data(let stream, let range, let isLast):
            let more = text(bytes[range]) + (isLast ? " end" : "")
            if wasInside, let last = events.last, last.hasPrefix("data \(stream) ") {
                events[events.count - 1] = last + more
            } else {
                events.append("data \(stream) " + more)
            }
            isInsideData = true
        case .trailers(let stream): events.append("trailers \(stream)")
        case .reset(let stream, let code): events.append("reset \(stream) \(name(code))")
        case .failed(let stream, let code, let reason): events.append("failed \(stream) \(name(code)): \(reason)")
        case .goAway(let last, let code): events.append("goaway \(last) \(name(code))")
        }
    }

    private func name(_ code: HTTP2ErrorCode) -> String { code.name.map { "\($0)" } ?? "\(code.rawValue)" }

    /// The frames that wait, in words.
    func control() -> [String] { Wire.words(session.takeControl()) }
}

/// What a client sees of these bytes behind the server's SETTINGS, whole, byte by byte and at every two-part split: it has to be the same.
func seenInEverySplit(
    _ bytes: [UInt8], limits: SessionLimits = SessionLimits(), streams: Int = 1, from start: [UInt8] = Wire.settings(),
    sourceLocation: SourceLocation = #_sourceLocation
) -> (events: [String], control: [String]) {
    func run(_ pieces: [ArraySlice<UInt8>]) -> (events: [String], control: [String]) {
        let harness = ClientHarness(limits, streams: streams)
        for piece in pieces where !harness.receive(Array(piece)) { break }
        return (harness.events, harness.control())
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

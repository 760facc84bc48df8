// A client library that does not follow the standard at blank lines: it dispatches what it has stored (openai, httpx-sse), or an event
// at every blank line (sseclient). With the form of comments that suits it, it must read the same with the proxy as without. Written
// like `ReferenceEventSource`, over the complete bytes.

import EventStream
import ReferenceEventSource
import Configuration

/// What such a client dispatches.
struct DispatchingClient {
    struct Dispatch: Equatable {
        var type: [UInt8]
        var data: [[UInt8]]
        var identifier: [UInt8]
        var retry: [UInt8]?
    }

    private(set) var dispatches: [Dispatch] = []

    /// Reads a whole stream; `identifier` is the id that the client brought.
    init(reading bytes: [UInt8], after identifier: [UInt8], atEveryBlankLine: Bool) {
        var kept = Dispatch(type: [], data: [], identifier: identifier, retry: nil)
        for line in Self.lines(of: bytes) {
            if line.isEmpty {
                let isEmpty = kept.type.isEmpty && kept.data.isEmpty && kept.identifier.isEmpty && kept.retry == nil
                if atEveryBlankLine || !isEmpty { dispatches.append(kept) }
                kept = Dispatch(type: [], data: [], identifier: kept.identifier, retry: nil)
                continue
            }
            let name = line.prefix { $0 != 0x3A }
            var value = line.dropFirst(name.count + 1)
            if value.first == 0x20 { value = value.dropFirst() }
            switch String(decoding: name, as: UTF8.self) {
            case "event": kept.type = Array(value)
            case "data": kept.data.append(Array(value))
            case "id": if !value.contains(0) { kept.identifier = Array(value) }
            case "retry": kept.retry = Array(value)
            default: break
            }
        }
    }

    /// The lines that have ended.
    private static func lines(of bytes: [UInt8]) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var line: [UInt8] = []
        var followsCarriageReturn = false
        for byte in bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...] {
            defer { followsCarriageReturn = byte == 13 }
            if byte == 10, followsCarriageReturn { continue }
            if byte == 10 || byte == 13 {
                lines.append(line)
                line = []
            } else {
                line.append(byte)
            }
        }
        return lines
    }
}

extension Scenario {
    /// A client that the route's form of comments suits reads the same with and without the proxy. The proxy's own events end with a
    /// blank line on purpose, and blocks are for other clients.
    func checkForm(_ truth: Truth, _ response: Response, sent: [UInt8]) {
        if case .event? = plan.early?.onFailure { return }
        let types = ReferenceEventSource(reading: response.body).events.map(\.type)
        let own = [CredentialChecks.expiryEvent, CredentialChecks.warningEvent]
        if truth.credentials != nil, types.contains(where: { own.map { Array($0.utf8) }.contains($0) }) { return }
        guard plan.heartbeatName == nil, plan.heartbeatForm != .block else { return }
        let always = plan.heartbeatForm == .line
        let direct = DispatchingClient(reading: sent, after: truth.lastEventID, atEveryBlankLine: always).dispatches
        let read = DispatchingClient(reading: response.body, after: truth.lastEventID, atEveryBlankLine: always).dispatches
        let isPrefix = read.count <= direct.count && read.elementsEqual(direct.prefix(read.count))
        expect(
            isPrefix, "\(truth.path): a client that dispatches at blank lines read \(read.count) of \(direct.count) events, or other ones")
    }
}

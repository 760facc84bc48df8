// Fuzzes the weaver: any bytes as an upstream's stream, split anywhere, with comments wherever the weaver allows one. An EventSource
// that follows the standard exactly must read the same as without the proxy, for every split; and a trace finds its events.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    // The first bytes say how to split and when to insert comments, the rest is the stream.
    let input = [UInt8](UnsafeBufferPointer(start: bytes, count: count))
    guard input.count > 8 else { return 0 }
    let plan = Array(input[..<8])
    let stream = Array(input[8...])
    let direct = ReferenceEventSource(reading: stream)
    let woven = ReferenceEventSource(reading: weave(stream, plan))
    require(woven.events == direct.events, "other events")
    require(woven.lastEventID == direct.lastEventID, "another last event id")
    require(woven.reconnectionTimeMilliseconds == direct.reconnectionTimeMilliseconds, "another retry")
    let traced = trace(stream, plan)
    require(traced.count == direct.events.count, "other events in the trace")
    for (found, event) in zip(traced, direct.events) {
        let type = found.type.isEmpty ? Array("message".utf8) : found.type
        require(event.type.starts(with: type), "another type in the trace")
        require(found.identifier.map { event.lastEventID.starts(with: $0) } ?? true, "another id in the trace")
    }
    return 0
}

private func trace(_ stream: [UInt8], _ plan: [UInt8]) -> [(type: [UInt8], identifier: [UInt8]?)] {
    var trace = EventTrace()
    var found: [(type: [UInt8], identifier: [UInt8]?)] = []
    var position = 0
    var step = 0
    while position < stream.count {
        let piece = Array(stream[position..<min(stream.count, position + max(1, Int(plan[step % 8] & 0x1F)))])
        var offset = 0
        while trace.next(in: piece.span, from: &offset) { found.append((trace.type, trace.hasIdentifier ? trace.identifier : nil)) }
        position += piece.count
        step += 1
    }
    return found
}

private func weave(_ stream: [UInt8], _ plan: [UInt8]) -> [UInt8] {
    var weaver = Weaver()
    var written: [UInt8] = []
    var position = 0
    var step = 0
    while position < stream.count {
        let size = max(1, Int(plan[step % 8] & 0x1F))
        let piece = Array(stream[position..<min(stream.count, position + size)])
        let forward = weaver.receive(piece.span)
        written += withheld(forward.withheldCount) + piece[forward.range]
        position += piece.count
        if plan[step % 8] & 0x20 != 0, weaver.placement != .nowhere {
            written += Array((weaver.placement == .betweenEvents ? ":\n\n" : ":\n").utf8)
            weaver.didWeave()
        }
        step += 1
    }
    return written + withheld(weaver.finish())
}

private func withheld(_ count: Int) -> [UInt8] {
    let mark = Weaver.byteOrderMark
    return Array([mark.0, mark.1, mark.2][..<count])
}

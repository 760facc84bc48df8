// Fuzzes weaving: any bytes as an upstream's stream, split anywhere, with comments wherever the weaver allows one. What an
// EventSource by the letter reads must be what it reads without the proxy, for every split.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    // The first bytes say how to split and when to weave, the rest is the stream.
    let input = [UInt8](UnsafeBufferPointer(start: bytes, count: count))
    guard input.count > 8 else { return 0 }
    let plan = Array(input[..<8])
    let stream = Array(input[8...])
    let direct = ReferenceEventSource(reading: stream)
    let woven = ReferenceEventSource(reading: weave(stream, plan))
    precondition(woven.events == direct.events, "other events")
    precondition(woven.lastEventID == direct.lastEventID, "another last event id")
    precondition(woven.reconnectionTimeMilliseconds == direct.reconnectionTimeMilliseconds, "another retry")
    return 0
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

// Fuzzes what keeps streams: any bytes as a client's id, and any bytes as a server's stream, split anywhere, cut into blocks and kept in a
// log. Every split gives the same blocks; an EventSource reads from the log what it reads from the server; its last id leads behind what
// it has read.

private let epoch = Epoch(truncating: 0x1234_5678_9ABC)

/// What goes on to a server holds nothing of the proxy's, and a place has one spelling.
private func fuzzIdentifier(_ input: [UInt8]) {
    let identifier = ClientIdentifier(input)
    let server = identifier.server
    require(input.starts(with: server), "a server's id that the client did not bring")
    if let position = identifier.position {
        var written: [UInt8] = []
        PositionID.append(position, to: &written)
        require(input.suffix(written.count) == written[...], "two spellings of a place")
        require(server.count + written.count + 1 >= input.count, "bytes that are neither's")
    }
    if let restoring = identifier.restoring {
        require(ReferenceEventSource(reading: restoring).lastEventID == input, "another id restored")
    }
}

/// What the cutter finds with these pieces, the log that it fills, and the bytes of blocks above the limit.
private struct Cutting {
    var blocks: [[UInt8]] = []
    var facts: [Block] = []
    var parts: [UInt8] = []
    let log: BlockLog

    init(_ stream: [UInt8], _ plan: [UInt8], limit: Int) {
        let policies = [IdentifierPolicy.keep, .suffix, .own]
        log = BlockLog(
            BlockLog.Rules(
                identifiers: policies[Int(plan[7]) % 3], gaps: .event(type: Array("stream_gap".utf8)), blockLimit: 1 + Int(plan[6])),
            epoch: epoch)
        var cutter = BlockCutter(limit: limit)
        var position = 0
        var step = 0
        while position < stream.count {
            let piece = Array(stream[position..<min(stream.count, position + max(1, Int(plan[step % 6])))])
            var offset = 0
            cutting: while true {
                switch cutter.next(in: piece.span, from: &offset) {
                case .more: break cutting
                case .part: parts += cutter.part
                case .block where cutter.block.isOversized: parts += log.appendOversized(cutter, at: 0)
                case .block:
                    blocks.append(cutter.bytes(in: piece.span))
                    facts.append(cutter.block)
                    log.append(cutter, of: piece.span, at: 0)
                }
            }
            require(offset == piece.count, "bytes left over")
            position += piece.count
            step += 1
        }
    }

    /// All that a reader reads.
    var read: [UInt8] {
        var bytes: [UInt8] = []
        var cursor: UInt64 = 1
        while true {
            switch log.read(&cursor) {
            case .upToDate: return bytes
            case .blocks(let slice): bytes += slice.copied
            case .gap: continue
            }
        }
    }
}

private func fuzzStream(_ stream: [UInt8], _ plan: [UInt8]) {
    let limit = plan[0] & 1 == 0 ? 1 << 20 : 16 + Int(plan[1])
    let cutting = Cutting(stream, plan, limit: limit)
    let whole = Cutting(stream, [255, 255, 255, 255, 255, 255, plan[6], plan[7]], limit: limit)
    require(cutting.blocks == whole.blocks && cutting.facts == whole.facts, "the split changes the blocks")
    require(cutting.parts == whole.parts, "the split changes a block above the limit")
    let read = cutting.read
    require(read == whole.read, "the split changes the log")
    require(cutting.blocks.allSatisfy { $0.count <= limit }, "a block above the limit")
    let direct = ReferenceEventSource(reading: stream)
    let browser = ReferenceEventSource(reading: read)
    if cutting.parts.isEmpty {
        require(browser.events.map(\.data) == direct.events.map(\.data), "other events")
        require(browser.events.map(\.type) == direct.events.map(\.type), "other types")
    }
    let log = cutting.log
    if log.next > 1, log.hasOwnIdentifiers, cutting.parts.isEmpty {
        require(log.resolve(ClientIdentifier(browser.lastEventID)) == .resume(at: log.next), "the last id leads elsewhere")
    }
    log.trim(at: 1_000_000)
    require(log.first == log.next && log.byteCount == 0, "blocks that are too old")
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    // The first bytes say how to split and what to do with ids, the rest is the stream, and a client's id.
    let input = [UInt8](UnsafeBufferPointer(start: bytes, count: count))
    fuzzIdentifier(input)
    guard input.count > 8 else { return 0 }
    fuzzIdentifier(Array(input[8...]))
    fuzzStream(Array(input[8...]), Array(input[..<8]))
    return 0
}

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

/// The blocks of a second response, each with whether it is dropped.
private func answers(_ stream: [UInt8], _ plan: [UInt8], limit: Int, _ drops: (BlockCutter, Span<UInt8>) -> Bool) -> [([UInt8], Bool)] {
    var found: [([UInt8], Bool)] = []
    var cutter = BlockCutter(limit: limit)
    var position = 0
    var step = 0
    while position < stream.count {
        let piece = Array(stream[position..<min(stream.count, position + max(1, Int(plan[step % 6])))])
        var offset = 0
        cutting: while true {
            switch cutter.next(in: piece.span, from: &offset) {
            case .more: break cutting
            case .part: continue
            case .block: found.append((cutter.bytes(in: piece.span), drops(cutter, piece.span)))
            }
        }
        position += piece.count
        step += 1
    }
    return found
}

/// A server says what follows the cut, again or beside its first response.
private func fuzzReplay(_ stream: [UInt8], _ plan: [UInt8]) {
    let limit = plan[0] & 1 == 0 ? 1 << 20 : 16 + Int(plan[1])
    let again = Array(stream[min(stream.count, Int(plan[5]))...])
    let known = Set(Cutting(stream, plan, limit: limit).blocks.map(withoutIdentifiers))
    var results: [[Bool]] = []
    for split in [plan, [255, 255, 255, 255, 255, 255, plan[6], plan[7]]] {
        let log = Cutting(stream, plan, limit: limit).log
        var filter = ReplayFilter(greetings: [])
        let replayed = answers(again, split, limit: limit) { filter.drops($0, of: $1, in: log) }
        var alignment = OverlapAlignment(greetings: [], blockLimit: limit)
        _ = answers(stream, split, limit: limit) { cutter, piece in
            alignment.oldSaid(cutter, of: piece)
            return false
        }
        let heldCount = again.count * Int(plan[4]) / 256
        let first = Array(again[..<heldCount])
        alignment.newSaid(first.span)
        let seam = alignment.seam(in: log)
        let (held, last) = alignment.switchOver(in: log)
        require(seam == last && held == first, "a switch that is another one")
        let aligned = answers(held + again[heldCount...], split, limit: limit) { alignment.drops($0, of: $1, in: log) }
        for (block, isDropped) in replayed + aligned where isDropped && !block.isEmpty {
            let isKnown = known.contains(withoutIdentifiers(block))
            require(isKnown || ReferenceEventSource(reading: block).events.isEmpty, "an event is dropped that the log does not have")
        }
        results.append((replayed + aligned).map(\.1))
    }
    require(results[0] == results[1], "the split changes what is dropped")
}

private func withoutIdentifiers(_ block: [UInt8]) -> [UInt8] {
    Array(block.split(separator: 10).filter { !($0.elementsEqual("id".utf8) || $0.starts(with: "id:".utf8)) }.joined(separator: [10]))
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    // The first bytes say how to split and what to do with ids, the rest is the stream, and a client's id.
    let input = [UInt8](UnsafeBufferPointer(start: bytes, count: count))
    fuzzIdentifier(input)
    guard input.count > 8 else { return 0 }
    fuzzIdentifier(Array(input[8...]))
    fuzzStream(Array(input[8...]), Array(input[..<8]))
    fuzzReplay(Array(input[8...]), Array(input[..<8]))
    return 0
}

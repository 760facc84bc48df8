// Blocks found the simple way, from a whole stream, for comparison with the cutter.

import EventStream

/// One block as a page's text says what it is.
struct NaiveBlock: Equatable, Sendable {
    var bytes: [UInt8] = []
    var hasData = false
    var identifier: [UInt8]?
    var type: [UInt8] = []
    var retryMilliseconds: UInt64?
}

/// The whole blocks of a stream: split into lines, comments and lines with a mark left out, cut at blank lines.
func naiveBlocks(of stream: [UInt8]) -> [NaiveBlock] {
    var rest = stream[...]
    if rest.starts(with: [0xEF, 0xBB, 0xBF]) { rest = rest.dropFirst(3) }
    var blocks: [NaiveBlock] = []
    var block = NaiveBlock()
    while let end = rest.firstIndex(where: { $0 == 10 || $0 == 13 }) {
        let line = Array(rest[rest.startIndex..<end])
        let isPair = rest[end] == 13 && end + 1 < rest.endIndex && rest[end + 1] == 10
        rest = rest[(end + (isPair ? 2 : 1))...]
        if line.isEmpty {
            if !block.bytes.isEmpty {
                block.bytes.append(10)
                blocks.append(block)
                block = NaiveBlock()
            }
            continue
        }
        if line[0] == UInt8(ascii: ":") || line.starts(with: [0xEF, 0xBB, 0xBF]) { continue }
        block.bytes += line + [10]
        let parts = line.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
        var value = parts.count == 2 ? Array(parts[1]) : []
        if value.first == 32 { value.removeFirst() }
        switch String(decoding: parts[0], as: UTF8.self) {
        case "data": block.hasData = true
        case "id" where !value.contains(0): block.identifier = value
        case "event": block.type = value
        case "retry" where !value.isEmpty && value.allSatisfy({ (48...57).contains($0) }):
            block.retryMilliseconds = UInt64(UInt32(String(decoding: value, as: UTF8.self)) ?? .max)
        default: break
        }
    }
    return blocks
}

/// These lines without those of ids, also of ids that are ignored.
func withoutIdentifiers(_ lines: [UInt8]) -> [UInt8] {
    var kept: [UInt8] = []
    for line in lines.split(separator: 10) where !line.elementsEqual("id".utf8) && !line.starts(with: "id:".utf8) { kept += line + [10] }
    return kept
}

// Fuzzes the reading of logs and what follows from it: any bytes as lines, the same facts for every split, and a report of them in each
// form. The input may also be bytes between lines that are right, so that the method has streams to think about.

import Telemetry

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: bytes, count: count))
    guard input.count > 1 else { return 0 }
    let rest = Array(input[1...])
    let cut = Int(input[0]) * (rest.count + 1) / 256
    let whole = facts([rest])
    let split = facts([Array(rest[..<cut]), Array(rest[cut...])])
    require(summary(whole) == summary(split), "other facts for another split")
    require(whole.skippedLineCount <= whole.lineCount, "more lines skipped than read")
    for stream in whole.streams {
        require(Int(stream.client) < whole.clientCount, "a client that is not there")
        require(Int(stream.address) < whole.addresses.count, "an address that is not there")
        require(Int(stream.surroundings) < whole.surroundings.count, "surroundings that are not there")
    }
    let report = Report(whole)
    let text = report.text(columns: 40 + Int(input[0]), isColoured: false)
    require(!text.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" || $0.value == 0x7F }, "a control character in a text")
    require(!report.json.contains { $0 < 0x20 } && !report.page.isEmpty, "a control character in JSON")
    return 0
}

private func facts(_ pieces: [[UInt8]]) -> LogFacts {
    var reader = LogReader(mostStreams: 64, seed: 1)
    reader.beginFile("log")
    for piece in pieces { reader.read(piece.span) }
    reader.endFile()
    return reader.finish()
}

private func summary(_ facts: LogFacts) -> String {
    "\(facts.streams)\(facts.refusals.count) \(facts.lineCount) \(facts.skippedLineCount) \(facts.surroundings) \(facts.addresses)"
}

// Fuzzes the header of the PROXY protocol: any bytes, in any pieces. No crash, no request for a byte behind the header, and the same
// answer for every split.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: bytes, count: count))
    guard let seed = input.first else { return 0 }
    let header = Array(input[1...])
    let whole = read(header) { $0 }
    let bytewise = read(header) { _ in 1 }
    var pace = Int(seed)
    let split = read(header) { missing in
        pace = (pace &* 31 &+ 7) & 0xFF
        return 1 + pace % missing
    }
    require(whole.client == bytewise.client && whole.client == split.client, "another answer for another split")
    require(
        (whole.error == nil) == (bytewise.error == nil) && (whole.error == nil) == (split.error == nil), "refused in one split only")
    guard whole.client != nil else { return 0 }
    require(whole.consumed == bytewise.consumed && whole.consumed == split.consumed, "another end for another split")
    require(whole.consumed <= ProxyHeaderParser.maximumBytes, "a header beyond its limit")
    if header[0] == UInt8(ascii: "P") {
        require(header[..<whole.consumed].suffix(2).elementsEqual([0x0D, 0x0A]) && whole.consumed <= 107, "a line that is none")
    } else {
        require(whole.consumed == 16 + Int(header[14]) << 8 + Int(header[15]), "another length than is said")
    }
    return 0
}

private func read(_ bytes: [UInt8], _ take: (Int) -> Int) -> (client: ProxiedClient?, consumed: Int, error: ProxyHeaderError?) {
    var parser = ProxyHeaderParser()
    var offset = 0
    while offset < bytes.count {
        require(parser.missingCount > 0, "nothing is missing, and it is not whole")
        let count = min(max(1, take(parser.missingCount)), parser.missingCount, bytes.count - offset)
        let piece = Array(bytes[offset..<(offset + count)])
        offset += count
        do throws(ProxyHeaderError) {
            if let client = try parser.receive(piece.span) { return (client, offset, nil) }
        } catch { return (nil, offset, error) }
    }
    return (nil, offset, nil)
}

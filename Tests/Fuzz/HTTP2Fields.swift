// Fuzzes the field blocks of HTTP/2 and the requests made of them: any bytes as the blocks of one connection. No crash, no limit
// exceeded, and whatever is served is exactly one head of HTTP/1.1, which cannot be read as another request.

import HTTP

private let limits = DecodedFieldLimits(maximumFields: 40, maximumBytes: 8_192, hardMaximumFields: 100)
private let key = [UInt8](repeating: 0x41, count: 24)

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: bytes, count: count))
    guard input.count > 2 else { return 0 }
    let tableBytes = [4_096, 0, 100, 512][Int(input[0] & 3)]
    let terms = RequestTerms(
        isSecured: input[0] & 4 != 0, acceptsEitherScheme: input[0] & 8 != 0, allowsExtendedConnect: input[0] & 16 != 0,
        limits: HeadLimits(headBytes: 6_000, fieldCount: 30, targetBytes: 1_000), webSocketKey: key)
    var decoder = HPACKDecoder(tableBytes: tableBytes, limits: limits)
    // Another decoder reads the same blocks, from two pieces of memory: what it has kept of a block may not change the next one.
    var twin = HPACKDecoder(tableBytes: tableBytes, limits: limits)
    var fields = DecodedFields()
    var start = 1
    while start < input.count {
        let end = min(start + 1 + Int(input[start]), input.count)
        let block = Array(input[start + 1..<end])
        let isWhole = decode(block, &decoder, &fields)
        var fresh = DecodedFields()
        require(decode(block, &twin, &fresh) == isWhole, "two decoders disagree")
        guard isWhole else { return 0 }
        require(fields.bytes == fresh.bytes && fields.fields == fresh.fields, "two decoders read other fields")
        checkBounds(decoder, fields, tableBytes)
        for isLast in [false, true] { serve(fields, isLast: isLast, terms) }
        start = end
    }
    return 0
}

private func decode(_ block: [UInt8], _ decoder: inout HPACKDecoder, _ fields: inout DecodedFields) -> Bool {
    do throws(HPACKError) {
        try decoder.decode(block.span, into: &fields)
        return true
    } catch {
        return false
    }
}

private func checkBounds(_ decoder: borrowing HPACKDecoder, _ fields: DecodedFields, _ tableBytes: Int) {
    require(fields.fields.count <= limits.maximumFields, "more fields than the limit")
    require(fields.bytes.count + 32 * fields.fields.count <= limits.maximumBytes, "more bytes than the limit")
    let contents = decoder.tableContents
    require(contents.reduce(0) { $0 + $1.name.count + $1.value.count + 32 } == decoder.tableBytes, "the table is miscounted")
    require(decoder.tableBytes <= tableBytes, "the table is larger than announced")
    var end = 0
    for field in fields.fields {
        require(field.name.lowerBound == end && field.value.lowerBound == field.name.upperBound, "fields do not lie one behind the other")
        end = field.value.upperBound
    }
    require(end == fields.bytes.count, "bytes of no field")
}

private func serve(_ fields: DecodedFields, isLast: Bool, _ terms: RequestTerms) {
    try? checkTrailers(fields)
    guard let request = try? assembleRequest(fields, isLast: isLast, terms: terms) else { return }
    let bytes = request.head.bytes
    var scanner = HeadScanner(kind: .request, limits: terms.limits)
    require((try? scanner.receive(bytes.span)) == bytes.count, "the text is not one head")
    guard let head = try? RequestHead.parse(bytes.span, limits: terms.limits) else { return require(false, "the text is no head") }
    require(head.count(of: .host) == 1 && head.count(of: .cookie) <= 1 && head.count(of: .contentLength) <= 1, "a doubled field")
    require(head.count(of: .transferEncoding) == (head.framing == .chunked ? 1 : 0), "a transfer coding of the client")
    require(head.contains(.upgrade) == request.isTunnel && head.contains(.connection) == request.isTunnel, "a field of the connection")
    let announced: BodyFraming = isLast || request.isTunnel ? .none : .chunked
    require(head.framing == request.contentLength.map { .length($0) } ?? announced, "another framing")
    require(!head.contains(.te) && !head.contains(.http2Settings) && !head.contains(.keepAlive), "a dropped field")
    // Lines that begin with a field of the client are as many as its fields.
    require(head.fields.count <= fields.fields.count + 4, "more lines than fields")
    for field in head.fields {
        for index in field.name { require(bytes[index] != 0x3A && !(0x41...0x5A).contains(bytes[index]), "a name that HTTP/2 has not") }
    }
    reencode(head)
}

/// What the encoder writes, the decoder reads back.
private func reencode(_ head: RequestHead) {
    var block: [UInt8] = []
    for field in head.fields {
        HPACKEncoder.appendField(
            lowercasing: head.bytes.span.extracting(field.name), value: head.bytes.span.extracting(field.value), to: &block)
    }
    var decoder = HPACKDecoder()
    var fields = DecodedFields()
    require((try? decoder.decode(block.span, into: &fields)) != nil && decoder.tableBytes == 0, "a block of ours is refused")
    require(fields.fields.count == head.fields.count, "fields of ours are lost")
    for (mine, theirs) in zip(fields.fields, head.fields) {
        require(fields.bytes[mine.name].elementsEqual(head.bytes[theirs.name]), "another name")
        require(fields.bytes[mine.value].elementsEqual(head.bytes[theirs.value]), "another value")
    }
}

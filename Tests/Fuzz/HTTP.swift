// Fuzzes HTTP/1.1: any bytes as request heads, response heads and bodies. No crash, no limit exceeded, and the same answer
// for every split.

private let limits = HeadLimits(headBytes: 4_096, fieldCount: 50, targetBytes: 1_024)

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: bytes, count: count))
    guard input.count > 2 else { return 0 }
    let cut = Int(input[1]) % (input.count - 1) + 1
    let rest = Array(input[2...])
    switch input[0] % 3 {
    case 0: head(rest, .request, cut: cut)
    case 1: head(rest, .response, cut: cut)
    default: body(rest, input[0] & 0x10 == 0 ? .chunked : .length(UInt64(input[1]) * 7), cut: cut)
    }
    return 0
}

private enum Answer: Equatable {
    case needsMore
    case end(Int)
    case error(HTTPError)
}

private func scan(_ pieces: [[UInt8]], _ kind: HeadKind) -> Answer {
    var scanner = HeadScanner(kind: kind, limits: limits)
    var before = 0
    for piece in pieces where !piece.isEmpty {
        do throws(HTTPError) {
            if let end = try scanner.receive(piece.span) { return .end(before + end) }
        } catch { return .error(error) }
        before += piece.count
    }
    return .needsMore
}

private func head(_ bytes: [UInt8], _ kind: HeadKind, cut: Int) {
    let whole = scan([bytes], kind)
    let first = min(cut, bytes.count)
    require(scan([Array(bytes[..<first]), Array(bytes[first...])], kind) == whole, "another answer for another split")
    if let quick = HeadScanner.endOfWholeHead(bytes.span, limits: limits) {
        let head = Array(bytes[..<quick])
        let isGood =
            kind == .request
            ? (try? RequestHead.parse(head.span, limits: limits)) != nil : (try? ResponseHead.parse(head.span, limits: limits)) != nil
        require(!isGood || whole == .end(quick), "a head is taken that the scanner refuses")
    }
    guard case .end(let end) = whole else { return }
    require(end <= limits.headBytes + 4, "a head beyond its limit")
    let head = Array(bytes[..<end])
    if kind == .request {
        guard let request = try? RequestHead.parse(head.span, limits: limits) else { return }
        require(request.fields.count <= limits.fieldCount, "more fields than the limit")
        var writer = HeadWriter(reservingCapacity: head.count)
        writer.requestLine(of: request)
        writer.field("Host", request.authority, of: request)
        writer.copyForwardableFields(of: request, except: [.host])
        writer.end()
        require(
            (try? RequestHead.parse(writer.bytes.span, limits: HeadLimits(headBytes: 8_192, fieldCount: 60, targetBytes: 1_024))) != nil
                || request.minorVersion == 0, "what is written cannot be read again")
    } else {
        guard let response = try? ResponseHead.parse(head.span, limits: limits) else { return }
        _ = try? response.framing(requestMethod: .get)
        var writer = HeadWriter(reservingCapacity: head.count)
        writer.statusLine(of: response)
        writer.copyForwardableFields(of: response)
        writer.end()
        require(
            (try? ResponseHead.parse(writer.bytes.span, limits: HeadLimits(headBytes: 8_192, fieldCount: 60, targetBytes: 1_024))) != nil,
            "what is written cannot be read again")
    }
}

private func decode(_ pieces: [[UInt8]], _ framing: BodyFraming) -> (data: [UInt8], end: Int?, error: HTTPError?) {
    var decoder = BodyDecoder(framing: framing)
    var data: [UInt8] = []
    var before = 0
    for piece in pieces {
        var offset = 0
        pieces: while true {
            do throws(HTTPError) {
                switch try decoder.next(piece.span, from: offset) {
                case .data(let range):
                    data += piece[range]
                    offset = range.upperBound
                case .needMore: break pieces
                case .end(let consumed): return (data, before + consumed, nil)
                }
            } catch { return (data, nil, error) }
        }
        before += piece.count
    }
    return (data, nil, nil)
}

private func body(_ bytes: [UInt8], _ framing: BodyFraming, cut: Int) {
    let whole = decode([bytes], framing)
    let first = min(cut, bytes.count)
    let split = decode([Array(bytes[..<first]), Array(bytes[first...])], framing)
    require(whole.data == split.data && whole.end == split.end && whole.error == split.error, "another answer for another split")
}

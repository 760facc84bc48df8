// What the tests of HTTP share: heads taken through the scanner and the parser in any pieces, bodies
// taken through the decoder in any pieces, and random numbers from a seed that is printed.

import Glibc
import HTTP
import Testing

/// The result of a head: a value or the error that refused it.
enum Outcome<Value: Equatable>: Equatable {
    case accepted(Value)
    case refused(HTTPError)
    case incomplete
}

/// How many bytes of the input the scanner gave to the head, fed with the pieces that end at these offsets.
func scan(
    _ bytes: [UInt8], _ kind: HeadKind, cuts: [Int], limits: HeadLimits = HeadLimits()
) -> Outcome<Int> {
    var scanner = HeadScanner(kind: kind, limits: limits)
    var start = 0
    for end in cuts + [bytes.count] {
        do throws(HTTPError) {
            if let count = try scanner.receive(bytes.span.extracting(start..<end)) { return .accepted(start + count) }
        } catch {
            return .refused(error)
        }
        start = end
    }
    return .incomplete
}

/// The scanner's answer, after checking that it is the same byte by byte and for every two-part split.
func scanInEverySplit(
    _ bytes: [UInt8], _ kind: HeadKind, limits: HeadLimits = HeadLimits(),
    sourceLocation: SourceLocation = #_sourceLocation
) -> Outcome<Int> {
    let whole = scan(bytes, kind, cuts: [], limits: limits)
    #expect(scan(bytes, kind, cuts: Array(0..<bytes.count), limits: limits) == whole, sourceLocation: sourceLocation)
    for cut in 0...bytes.count where scan(bytes, kind, cuts: [cut], limits: limits) != whole {
        Issue.record("another answer when split at \(cut)", sourceLocation: sourceLocation)
    }
    return whole
}

func request(
    _ bytes: [UInt8], limits: HeadLimits = HeadLimits(), sourceLocation: SourceLocation = #_sourceLocation
) throws(HTTPError) -> RequestHead {
    switch scanInEverySplit(bytes, .request, limits: limits, sourceLocation: sourceLocation) {
    case .accepted(let count): return try RequestHead.parse(bytes.span.extracting(0..<count), limits: limits)
    case .refused(let error):
        // The parser alone must also refuse what the scanner refuses.
        #expect(throws: HTTPError.self, sourceLocation: sourceLocation) {
            try RequestHead.parse(bytes.span, limits: limits)
        }
        throw error
    case .incomplete: throw .truncatedHead
    }
}

func request(
    _ text: String, limits: HeadLimits = HeadLimits(), sourceLocation: SourceLocation = #_sourceLocation
) throws(HTTPError) -> RequestHead {
    try request(Array(text.utf8), limits: limits, sourceLocation: sourceLocation)
}

func response(
    _ text: String, limits: HeadLimits = HeadLimits(), sourceLocation: SourceLocation = #_sourceLocation
) throws(HTTPError) -> ResponseHead {
    let bytes = Array(text.utf8)
    switch scanInEverySplit(bytes, .response, limits: limits, sourceLocation: sourceLocation) {
    case .accepted(let count): return try ResponseHead.parse(bytes.span.extracting(0..<count), limits: limits)
    case .refused(let error):
        #expect(throws: HTTPError.self, sourceLocation: sourceLocation) {
            try ResponseHead.parse(bytes.span, limits: limits)
        }
        throw error
    case .incomplete: throw .truncatedHead
    }
}

/// The error that refuses this request, or nil.
func refusal(
    _ text: String, limits: HeadLimits = HeadLimits(), sourceLocation: SourceLocation = #_sourceLocation
) -> HTTPError? {
    do throws(HTTPError) {
        _ = try request(text, limits: limits, sourceLocation: sourceLocation)
        return nil
    } catch {
        return error
    }
}

/// The error that refuses this response, or nil.
func responseRefusal(
    _ text: String, limits: HeadLimits = HeadLimits(), sourceLocation: SourceLocation = #_sourceLocation
) -> HTTPError? {
    do throws(HTTPError) {
        _ = try response(text, limits: limits, sourceLocation: sourceLocation)
        return nil
    } catch {
        return error
    }
}

extension RequestHead {
    func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

    /// The names that would be passed on, as spelled.
    var forwardedNames: [String] {
        fields.indices.filter(isForwardable).map { text(fields[$0].name) }
    }
}

extension ResponseHead {
    func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

    var forwardedNames: [String] {
        fields.indices.filter(isForwardable).map { text(fields[$0].name) }
    }
}

/// The result of decoding a body.
struct Decoded: Equatable {
    var data: [UInt8] = []
    /// Where the body ended, or nil.
    var end: Int?
    var error: HTTPError?
}

/// Decodes the bytes in the pieces that end at these offsets; `closes` tells the decoder of the end.
func decode(_ bytes: [UInt8], _ framing: BodyFraming, cuts: [Int], closes: Bool = false) -> Decoded {
    var decoder = BodyDecoder(framing: framing)
    var result = Decoded()
    var start = 0
    do throws(HTTPError) {
        for end in cuts + [bytes.count] {
            let piece = bytes.span.extracting(start..<end)
            var offset = 0
            feeding: while true {
                switch try decoder.next(piece, from: offset) {
                case .data(let range):
                    #expect(range.lowerBound >= offset && !range.isEmpty && range.upperBound <= piece.count)
                    result.data += bytes[start + range.lowerBound..<start + range.upperBound]
                    offset = range.upperBound
                case .needMore: break feeding
                case .end(let position):
                    if result.end == nil { result.end = start + position }
                    break feeding
                }
            }
            start = end
        }
        if closes { try decoder.finish() }
    } catch {
        result.error = error
    }
    return result
}

/// The decoder's result, after checking that it is the same byte by byte and for every two-part split.
func decodeInEverySplit(
    _ bytes: [UInt8], _ framing: BodyFraming, closes: Bool = false, sourceLocation: SourceLocation = #_sourceLocation
) -> Decoded {
    let whole = decode(bytes, framing, cuts: [], closes: closes)
    let single = decode(bytes, framing, cuts: Array(0..<bytes.count), closes: closes)
    #expect(single == whole, "byte by byte", sourceLocation: sourceLocation)
    for cut in 0...bytes.count where decode(bytes, framing, cuts: [cut], closes: closes) != whole {
        Issue.record("another result when split at \(cut)", sourceLocation: sourceLocation)
    }
    return whole
}

// What the tests of messages share: requests made of fields, and the text that HTTP/1.1 reads.

import HTTP
import HTTP2
import Testing

/// The fields of a block in which each is a literal that no table takes in.
func decoded(_ fields: [RawField], limits: DecodedFieldLimits = DecodedFieldLimits()) throws -> DecodedFields {
    var block: [UInt8] = []
    for field in fields {
        block.append(0)
        block += ReferenceEncoder.string(field.name, isHuffman: false) + ReferenceEncoder.string(field.value, isHuffman: false)
    }
    var decoder = HPACKDecoder(limits: limits)
    var decoded = DecodedFields()
    try decoder.decode(block.span, into: &decoded)
    return decoded
}

/// A field as a test writes it.
typealias Pair = (String, String)

func raw(_ pairs: [Pair]) -> [RawField] { pairs.map { RawField($0.0, $0.1) } }

/// The pseudo-fields of `GET /` over TLS.
let plainGet: [Pair] = [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "a.example")]

/// The pseudo-fields with the value of one of them replaced.
func plainGet(_ name: String, _ value: String) -> [Pair] { plainGet.map { $0.0 == name ? (name, value) : $0 } }

/// The pseudo-fields without one of them.
func plainGet(without name: String) -> [Pair] { plainGet.filter { $0.0 != name } }

/// The pseudo-fields of a WebSocket's extended CONNECT.
let tunnel: [Pair] = [
    (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":path", "/chat"), (":authority", "a.example"),
]

let key = Array("dGhlIHNhbXBsZSBub25jZQ==".utf8)

func assemble(
    _ pairs: [Pair], isLast: Bool = true, terms: RequestTerms = RequestTerms(isSecured: true)
) throws -> AssembledRequest {
    try assembleRequest(decoded(raw(pairs)), isLast: isLast, terms: terms)
}

/// The text that HTTP/1.1 reads.
func assembledText(
    _ pairs: [Pair], isLast: Bool = true, terms: RequestTerms = RequestTerms(isSecured: true)
) throws -> String {
    text(try assemble(pairs, isLast: isLast, terms: terms).head.bytes)
}

/// Why the request is not served, or nil.
func problem(_ pairs: [Pair], isLast: Bool = true, terms: RequestTerms = RequestTerms(isSecured: true)) -> RequestProblem? {
    do {
        _ = try assemble(pairs, isLast: isLast, terms: terms)
        return nil
    } catch {
        return error as? RequestProblem
    }
}

// A response's head written as a field block (RFC 9113 section 8.3.2).
//
// Invariant: no field of a connection crosses, whatever wrote the response, and no line of the response becomes two fields.

import Bytes
import HTTP

/// Appends the field block of a response: `:status`, the response's field lines with their names in lower case, and `content-length` if it
/// is known.
///
/// For a tunnel (RFC 8441) a 101 is written as 200, without the fields of HTTP/1.1's handshake. Any other success would tell the client
/// that the tunnel is open, so it is written as 502.
package func appendResponseBlock(_ response: borrowing OutgoingResponse, isTunnel: Bool, to block: inout [UInt8]) {
    let text = response.fields.bytes
    // A field takes fewer octets than its line; the rest is for the length.
    block.reserveCapacity(block.count + text.count + 32)
    let opensTunnel = response.status == 101
    precondition(!opensTunnel || isTunnel, "only a tunnel is opened by a 101")
    if opensTunnel {
        HPACKEncoder.appendStatus(200, to: &block)
    } else {
        HPACKEncoder.appendStatus(isTunnel && (200..<300).contains(response.status) ? 502 : response.status, to: &block)
    }
    let bytes = text.span
    // The status line is in front.
    var start = firstByte(lineFeed, in: bytes, 0..<bytes.count) + 1
    while start < bytes.count {
        let lineEnd = firstByte(lineFeed, in: bytes, start..<bytes.count)
        let line = start..<(lineEnd - 1)
        start = lineEnd + 1
        guard !line.isEmpty else { break }
        let name = line.lowerBound..<firstByte(0x3A, in: bytes, line)
        if isLeftOut(bytes, name) || opensTunnel && equalsIgnoringCase(bytes, name, "sec-websocket-accept") { continue }
        let value = trimmingBlanks(bytes, name.upperBound + 1..<line.upperBound)
        HPACKEncoder.appendField(lowercasing: bytes.extracting(name), value: bytes.extracting(value), to: &block)
    }
    switch response.body {
    case .none(let length): if let length { appendContentLength(length, to: &block) }
    case .length(let length): appendContentLength(length, to: &block)
    case .whole(let body): appendContentLength(UInt64(body.count), to: &block)
    case .untilEnd: break
    }
}

/// Whether the field is of an HTTP/1.1 connection (RFC 9113 section 8.2.2), or the length, which is written from the body.
private func isLeftOut(_ bytes: Span<UInt8>, _ name: Range<Int>) -> Bool {
    let known = FieldName(bytes, name)
    return known == .contentLength || known == .te || DecodedFields.isOfConnection(known)
}

private func appendContentLength(_ length: UInt64, to block: inout [UInt8]) {
    HPACKEncoder.appendField(lowercasing: "content-length".utf8Span.span, value: String(length).utf8Span.span, to: &block)
}

// A signed token in its compact form (RFC 7515 section 7.1), as far as it can be read before its signature is checked:
//
//     BASE64URL(header) "." BASE64URL(payload) "." BASE64URL(signature)
//
// Invariant: nothing in a header leads to a key that the issuer does not have; `jwk`, `jku`, `x5u` and `x5c` are not even looked at.

import Bytes

/// The parts of a token that nobody has verified yet.
struct SignedToken {
    /// The longest `kid`, in bytes.
    private static let keyNameBytes = 256
    private static let headerLimits = JSONLimits(depth: 4, members: 64)
    private static let payloadLimits = JSONLimits(depth: 16, members: 2_000)
    /// The longest header, in bytes before it is decoded.
    private static let headerBytes = 4_096

    /// What the signature is for: the first two parts, and the dot between them.
    let signedCount: Int
    let payload: [UInt8]
    let signature: [UInt8]
    let algorithm: SignatureAlgorithm
    /// The name of the key; nil if the token has none.
    let keyName: [UInt8]?
    /// The token's type, in lower case and without `application/` (RFC 7515 section 4.1.9); nil if it has none.
    let type: [UInt8]?

    /// - Throws: `shape`, `header`, or `algorithm` for one that no issuer can use.
    init(_ token: Span<UInt8>) throws(TokenFault) {
        let dot = UInt8(ascii: ".")
        let headerEnd = firstByte(dot, in: token, token.indices)
        guard headerEnd < token.count else { throw .shape }
        let payloadEnd = firstByte(dot, in: token, headerEnd + 1..<token.count)
        guard payloadEnd < token.count, firstByte(dot, in: token, payloadEnd + 1..<token.count) == token.count else { throw .shape }
        guard let header = Base64URL.decode(token.extracting(0..<headerEnd)),
            let payload = Base64URL.decode(token.extracting(headerEnd + 1..<payloadEnd)),
            let signature = Base64URL.decode(token.extracting(payloadEnd + 1..<token.count))
        else { throw .shape }
        signedCount = payloadEnd
        self.payload = payload
        self.signature = signature
        guard headerEnd <= SignedToken.headerBytes else { throw .header }
        (algorithm, keyName, type) = try SignedToken.read(header: header)
    }

    private static func read(header text: [UInt8]) throws(TokenFault) -> (SignatureAlgorithm, keyName: [UInt8]?, type: [UInt8]?) {
        let header: JSONObject
        do { header = try JSONObject(reading: text, limits: headerLimits) } catch { throw .header }
        // RFC 7515 section 4.1.11: what is critical must be understood, and nothing is. RFC 7797: b64 changes what is signed.
        guard header["crit"] == nil, header["b64"] == nil else { throw .header }
        if let content = header["cty"] {
            // RFC 7519 section 5.2: a token within a token.
            guard let name = content.string, mediaTypeName(name) != Array("jwt".utf8) else { throw .header }
        }
        var keyName: [UInt8]?
        if let member = header["kid"] {
            guard let name = member.string, name.count <= keyNameBytes else { throw .header }
            keyName = name
        }
        var type: [UInt8]?
        if let member = header["typ"] {
            guard let name = member.string else { throw .header }
            type = mediaTypeName(name)
        }
        guard let name = header["alg"]?.string else { throw .header }
        guard let algorithm = SignatureAlgorithm(rawValue: String(decoding: name, as: UTF8.self)) else { throw .algorithm }
        return (algorithm, keyName, type)
    }

    /// What the token says.
    /// - Throws: `payload`.
    func claims() throws(TokenFault) -> JSONObject {
        do { return try JSONObject(reading: payload, limits: SignedToken.payloadLimits) } catch { throw .payload }
    }

    /// The issuer that a text names, as far as it looks like a signed token at all: whatever its header says, and also where it is padded.
    /// Nobody has verified that this issuer signed it.
    static func namedIssuer(of token: Span<UInt8>) -> [UInt8]? {
        let (dot, padding) = (UInt8(ascii: "."), UInt8(ascii: "="))
        let start = firstByte(dot, in: token, token.indices) + 1
        guard start <= token.count else { return nil }
        let end = firstByte(dot, in: token, start..<token.count)
        guard end < token.count, firstByte(dot, in: token, end + 1..<token.count) == token.count,
            let payload = Base64URL.decode(token.extracting(start..<firstByte(padding, in: token, start..<end)))
        else { return nil }
        return (try? JSONObject(reading: payload, limits: payloadLimits))?["iss"]?.string
    }

    /// The name of a media type as it is compared: in lower case, without `application/`.
    static func mediaTypeName(_ name: [UInt8]) -> [UInt8] {
        let lower = lowercasedBytes(name.span, name.indices)
        let prefix = Array("application/".utf8)
        return lower.starts(with: prefix) ? Array(lower[prefix.count...]) : lower
    }
}

// The credentials of a user, as the value of an Authorization field (RFC 7617 section 2).

/// A name and a password.
package enum BasicCredentials {
    /// `Basic` and both in base64. The name may not hold a colon, since the first colon ends it.
    package static func authorizationValue(user: some Sequence<UInt8>, password: some Sequence<UInt8>) -> [UInt8] {
        Array("Basic ".utf8) + base64(Array(user) + [UInt8(ascii: ":")] + Array(password))
    }

    /// RFC 4648 section 4.
    private static func base64(_ bytes: [UInt8]) -> [UInt8] {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var encoded: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
            for place in 0..<4 {
                encoded.append(place > group.count ? UInt8(ascii: "=") : alphabet[Int(bits >> UInt32(18 - 6 * place) & 63)])
            }
        }
        return encoded
    }
}

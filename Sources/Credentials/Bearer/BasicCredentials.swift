// The credentials of a user or of an OAuth client, as the value of an Authorization field (RFC 7617 section 2).

import Bytes

/// A name and a password.
package enum BasicCredentials {
    /// `Basic` and both in base64. The name may not hold a colon, since the first colon ends it.
    package static func authorizationValue(user: some Sequence<UInt8>, password: some Sequence<UInt8>) -> [UInt8] {
        Array("Basic ".utf8) + base64(Array(user) + [UInt8(ascii: ":")] + Array(password))
    }

    /// The same for an OAuth client, whose id and secret are form-encoded first (RFC 6749 section 2.3.1).
    package static func authorizationValue(client: String, secret: String) -> [UInt8] {
        authorizationValue(user: formEncoded(client), password: formEncoded(secret))
    }

    /// A text as a value of `application/x-www-form-urlencoded`. A blank becomes `%20`: some servers take `+` for itself.
    package static func formEncoded(_ text: String) -> [UInt8] {
        let hexadecimal = Array("0123456789ABCDEF".utf8)
        var encoded: [UInt8] = []
        for byte in text.utf8 {
            // RFC 3986 section 2.3.
            if isLetterOrDigit(byte) || "-._~".utf8.contains(byte) {
                encoded.append(byte)
            } else {
                encoded += [UInt8(ascii: "%"), hexadecimal[Int(byte >> 4)], hexadecimal[Int(byte & 15)]]
            }
        }
        return encoded
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

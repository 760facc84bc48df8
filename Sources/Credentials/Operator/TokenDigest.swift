// What the configuration holds in place of the console's token: its SHA-256. A reader of the file cannot use what stands there.
// Invariant: comparing takes the same time wherever the first difference is.

import Bytes
import COpenSSL

/// The SHA-256 (FIPS 180-4) of an operator's token.
package struct TokenDigest: Sendable, Hashable, CustomStringConvertible {
    /// How many bytes a digest has.
    private static let byteCount = 32

    private let bytes: [UInt8]

    /// Reads 64 hexadecimal digits in either case; nil for anything else.
    package init?(hexadecimal text: String) {
        let digits = Array(text.utf8)
        guard digits.count == 2 * TokenDigest.byteCount else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = hexadecimalValue(digits[index]), let low = hexadecimalValue(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        self.bytes = bytes
    }

    /// The digest of a token; nil when libcrypto fails, which happens only without free memory.
    package init?(of token: Span<UInt8>) {
        var digest = [UInt8](repeating: 0, count: TokenDigest.byteCount)
        var count: UInt32 = 0
        // libcrypto's error queue belongs to the thread; errors of earlier calls must not be taken for ours.
        ERR_clear_error()
        let succeeded = token.withUnsafeBufferPointer { EVP_Digest($0.baseAddress, $0.count, &digest, &count, EVP_sha256(), nil) }
        guard succeeded == 1, count == UInt32(TokenDigest.byteCount) else { return nil }
        bytes = digest
    }

    /// Whether this is the token's digest.
    package func matches(_ token: Span<UInt8>) -> Bool {
        guard let other = TokenDigest(of: token) else { return false }
        return isEqualInConstantTime(bytes.span, other.bytes.span)
    }

    /// Always `<token digest>`.
    package var description: String { "<token digest>" }
}

/// Whether both hold the same bytes. The time depends on their lengths only.
package func isEqualInConstantTime(_ first: Span<UInt8>, _ second: Span<UInt8>) -> Bool {
    guard first.count == second.count else { return false }
    var difference: UInt8 = 0
    for index in 0..<first.count { difference |= first[index] ^ second[index] }
    return difference == 0
}

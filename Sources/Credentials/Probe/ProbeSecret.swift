// The secret that a probe and the proxy's endpoint share. It is never sent: the probe proves it for one script. Invariant: the secret is
// never printed, and the time that a comparison takes says nothing about it.

import Bytes
import COpenSSL

/// Why a file holds no usable secret.
package enum ProbeSecretError: Error, Equatable, Sendable {
    /// It has fewer than `ProbeSecret.leastBytes` bytes, blanks at both ends not counted.
    case tooShort
    /// It has more than `ProbeSecret.mostBytes` bytes.
    case tooLong
}

/// The secret of the proxy's endpoint for probes.
package struct ProbeSecret: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
    /// A shorter secret could be guessed.
    package static let leastBytes = 16
    /// A longer one adds nothing.
    package static let mostBytes = 4_096
    /// How many hexadecimal digits a proof has.
    package static let proofDigits = 64

    private let key: [UInt8]

    /// The secret that a file's content is: all of it but blanks and line ends around it.
    package init(fileContent: [UInt8]) throws(ProbeSecretError) {
        let isAround = { (byte: UInt8) in isBlank(byte) || byte == 0x0A || byte == 0x0D }
        let key = fileContent.drop(while: isAround).reversed().drop(while: isAround).reversed()
        guard key.count >= Self.leastBytes else { throw .tooShort }
        guard key.count <= Self.mostBytes else { throw .tooLong }
        self.key = Array(key)
    }

    /// The proof for a text: its HMAC-SHA256 (RFC 2104) in hexadecimal digits; nil when libcrypto fails, which happens only without free
    /// memory.
    package func proof(of text: String) -> String? {
        Fingerprinter.digest(key: key, of: Array("heartwire probe\n\(text)".utf8).span).map { digest in
            String(decoding: digest.flatMap { [hexadecimalDigit($0 >> 4), hexadecimalDigit($0 & 15)] }, as: UTF8.self)
        }
    }

    /// Whether a proof is the one for this text.
    package func accepts(_ proof: [UInt8], of text: String) -> Bool {
        guard let right = self.proof(of: text), proof.count == Self.proofDigits else { return false }
        return CRYPTO_memcmp(Array(right.utf8), proof, Self.proofDigits) == 0
    }

    /// Always `<probe secret>`.
    package var description: String { "<probe secret>" }
    /// A mirror without children.
    package var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
}

// Seals tickets and opens them. A ticket is the base64url text of
//
//     version (1) | hash of the key (4) | salt (16) | AES-256-GCM of the contents | tag (16)
//
// The AEAD key is the HKDF-SHA256 (RFC 5869) of the configured key, with the salt of this ticket, and the name of its block as info. So
// each ticket has a key of its own, and the nonce can be the same for all. All bytes before the ciphertext are authenticated too.
// Invariant: whatever is wrong, nothing of the contents comes out, and no AEAD key seals twice.

import Bytes
import COpenSSL

/// Why a text is no ticket of ours. The client learns none of this: all of them are one answer.
package enum TicketFault: Error, Sendable, Equatable, CaseIterable {
    /// No base64url, or too short or too long.
    case shape
    /// Another version of the format.
    case version
    /// None of the keys has this hash.
    case key
    /// Changed, or sealed with another key or for another block.
    case seal
    /// Contents that we do not write.
    case contents
    /// libcrypto has failed, which happens only without free memory.
    case exhausted
}

/// The keys of one block of tickets.
package struct TicketSeal: Sendable, CustomStringConvertible, CustomReflectable {
    /// How many bytes a key has.
    package static let keyBytes = 32
    /// How many random bytes a seal needs.
    package static let saltBytes = 16

    private static let version: UInt8 = 1
    private static let hashBytes = 4
    private static let tagBytes = 16
    private static let headerBytes = 1 + hashBytes + saltBytes
    /// The fewest characters of a ticket.
    private static let leastCharacters = Base64URL.count(ofBytes: headerBytes + TicketContents.leastBytes + 1 + tagBytes)
    /// The most characters of a ticket.
    static let mostCharacters = Base64URL.count(ofBytes: headerBytes + TicketContents.mostBytes + tagBytes)

    private struct Key: Sendable {
        let bytes: Token
        let hash: [UInt8]
    }

    private let keys: [Key]
    private let name: [UInt8]

    /// A seal with these keys for the block of that name: the first key seals, all of them open. Nil when libcrypto fails.
    package init?(keys: [[UInt8]], name: String) {
        precondition(!keys.isEmpty && keys.allSatisfy { $0.count == TicketSeal.keyBytes }, "the configuration has checked the keys")
        let hashed = keys.compactMap { key in
            TicketSeal.hash(of: key).map { Key(bytes: Token(copying: key.span), hash: Array($0.prefix(TicketSeal.hashBytes))) }
        }
        guard hashed.count == keys.count else { return nil }
        self.keys = hashed
        self.name = Array(name.utf8)
    }

    /// Seals a ticket.
    /// - Parameter salt: `saltBytes` random bytes. Two tickets must not have the same ones.
    /// - Throws: `exhausted` only.
    package func seal(_ contents: TicketContents, salt: [UInt8]) throws(TicketFault) -> [UInt8] {
        precondition(salt.count == TicketSeal.saltBytes, "a salt has 16 bytes")
        let key = keys[0]
        var sealed = [TicketSeal.version] + key.hash + salt
        var plain = contents.written
        defer { wipe(&plain) }
        guard let ciphertext = crypt(plain[...], key, header: sealed, tag: nil) else { throw .exhausted }
        sealed += ciphertext
        return Base64URL.encode(sealed.span)
    }

    /// Opens a ticket. Whether its time is over, and whether it is for this request, is for the caller to see.
    package func open(_ text: Span<UInt8>) throws(TicketFault) -> TicketContents {
        guard (TicketSeal.leastCharacters...TicketSeal.mostCharacters).contains(text.count), let bytes = Base64URL.decode(text) else {
            throw .shape
        }
        guard bytes[0] == TicketSeal.version else { throw .version }
        let header = Array(bytes[..<TicketSeal.headerBytes])
        let fitting = keys.filter { header[1..<1 + TicketSeal.hashBytes].elementsEqual($0.hash) }
        guard !fitting.isEmpty else { throw .key }
        let end = bytes.count - TicketSeal.tagBytes
        for key in fitting {
            guard var plain = crypt(bytes[TicketSeal.headerBytes..<end], key, header: header, tag: Array(bytes[end...])) else { continue }
            defer { wipe(&plain) }
            guard let contents = TicketContents.read(plain) else { throw .contents }
            return contents
        }
        throw .seal
    }

    /// Encrypts and adds the tag, or decrypts where a tag is given. Nil if the tag is not that of the bytes, or if libcrypto fails.
    private func crypt(_ input: ArraySlice<UInt8>, _ key: Key, header: [UInt8], tag: [UInt8]?) -> [UInt8]? {
        // libcrypto's error queue belongs to the thread; errors of earlier calls must not be taken for ours.
        ERR_clear_error()
        guard let cipher = TicketSeal.cipher, let context = EVP_CIPHER_CTX_new() else { return nil }
        defer {
            EVP_CIPHER_CTX_free(context)
            ERR_clear_error()
        }
        var derived = [UInt8](repeating: 0, count: TicketSeal.keyBytes)
        defer { wipe(&derived) }
        let salt = Array(header[(1 + TicketSeal.hashBytes)...])
        guard key.bytes.withBytes({ TicketSeal.derive(from: $0, salt: salt, info: name, into: &derived) }) else { return nil }
        let nonce = [UInt8](repeating: 0, count: 12)
        var output = [UInt8](repeating: 0, count: input.count + (tag == nil ? TicketSeal.tagBytes : 0))
        var isDone = false
        defer { if !isDone { wipe(&output) } }
        var count: Int32 = 0
        guard EVP_CipherInit_ex2(context, cipher, derived, nonce, tag == nil ? 1 : 0, nil) == 1,
            EVP_CipherUpdate(context, nil, &count, header, Int32(header.count)) == 1,
            input.withUnsafeBufferPointer({ EVP_CipherUpdate(context, &output, &count, $0.baseAddress, Int32($0.count)) }) == 1,
            Int(count) == input.count
        else { return nil }
        if var tag {
            guard EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(tag.count), &tag) == 1 else { return nil }
        }
        var last = [UInt8](repeating: 0, count: 16)
        guard EVP_CipherFinal_ex(context, &last, &count) == 1, count == 0 else { return nil }
        if tag == nil {
            var made = [UInt8](repeating: 0, count: TicketSeal.tagBytes)
            guard EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, Int32(made.count), &made) == 1 else { return nil }
            output.replaceSubrange(input.count..., with: made)
        }
        isDone = true
        return output
    }

    /// Fills `output` with HKDF-SHA256 (RFC 5869). Returns whether libcrypto could.
    static func derive(from key: Span<UInt8>, salt: [UInt8], info: [UInt8], into output: inout [UInt8]) -> Bool {
        guard let kdf else { return false }
        let count = output.count
        return key.withUnsafeBufferPointer {
            hw_EVP_KDF_derive_with_sha256(kdf, $0.baseAddress, $0.count, salt, salt.count, info, info.count, &output, count) == 1
        }
    }

    private static func hash(of key: [UInt8]) -> [UInt8]? {
        var digest = [UInt8](repeating: 0, count: 32)
        ERR_clear_error()
        return EVP_Digest(key, key.count, &digest, nil, EVP_sha256(), nil) == 1 ? digest : nil
    }

    private func wipe(_ bytes: inout [UInt8]) { bytes.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) } }

    // A fetch walks through libcrypto's lists, so it happens once. The objects are never freed, and only read.
    private nonisolated(unsafe) static let cipher = EVP_CIPHER_fetch(nil, "AES-256-GCM", nil)
    private nonisolated(unsafe) static let kdf = EVP_KDF_fetch(nil, "HKDF", nil)

    /// Always `<seal>`.
    package var description: String { "<seal>" }
    /// A mirror without children.
    package var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
}

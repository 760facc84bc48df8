import Testing

@testable import Credentials

@Suite("A fingerprint")
struct FingerprinterTests {
    private func repeated(_ byte: UInt8, _ count: Int) -> [UInt8] { [UInt8](repeating: byte, count: count) }

    private func digest(_ key: [UInt8], _ data: [UInt8]) -> [UInt8]? { Fingerprinter.digest(key: key, of: data.span) }

    @Test("is made by HMAC-SHA256, by the vectors of RFC 4231")
    func vectors() throws {
        let vectors: [(key: [UInt8], data: [UInt8], digest: String)] = [
            (repeated(0x0B, 20), Array("Hi There".utf8), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
            ),
            (repeated(0xAA, 20), repeated(0xDD, 50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
            (Array(1...25), repeated(0xCD, 50), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
            (
                repeated(0xAA, 131), Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
            ),
            (
                repeated(0xAA, 131),
                Array(
                    """
                    This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed \
                    before being used by the HMAC algorithm.
                    """
                    .utf8),
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"
            ),
        ]
        for vector in vectors {
            let hash = try #require(digest(vector.key, vector.data))
            #expect(hash.map { Fingerprint(value: UInt64($0)).description.suffix(2) }.joined() == vector.digest)
            let made = try #require(fingerprint(key: vector.key, of: vector.data))
            #expect(made.description == vector.digest.prefix(16))
        }
    }

    @Test("can be made of no bytes at all")
    func empty() throws {
        let made = try #require(fingerprint(key: [1], of: []))
        #expect(made == fingerprint(key: [1], of: []))
        #expect(made != fingerprint(key: [2], of: []))
    }

    @Test("always has 16 digits")
    func digits() {
        #expect(Fingerprint(value: 0).description == "0000000000000000")
        #expect(Fingerprint(value: 0xAB).description == "00000000000000ab")
        #expect(Fingerprint(value: .max).description == "ffffffffffffffff")
    }

    @Test("is the same wherever the token came from")
    func sameToken() throws {
        let fingerprinter = Fingerprinter(key: [7, 7])
        guard case .forward(let request) = examine(queryBridge, "/?access_token=a%62c") else {
            Issue.record("not forwarded")
            return
        }
        let bridged = try #require(request.token)
        let sent = try #require(tokenInAuthorization("Bearer abc"))
        #expect(fingerprinter.fingerprint(of: bridged) == fingerprinter.fingerprint(of: sent))
        #expect(fingerprinter.fingerprint(of: sent) != nil)
    }

    @Test("has a key of 32 bytes from the caller's source, and none when the source fails")
    func randomKey() {
        let key = Fingerprinter.randomKey { buffer in
            for index in buffer.indices { buffer[index] = UInt8(index) }
            return true
        }
        #expect(key == Array(0..<32))
        #expect(Fingerprinter.randomKey { _ in false } == nil)
    }

    @Test("is made by a type that does not show its key")
    func hidesKey() {
        var dumped = ""
        dump(Fingerprinter(key: [201, 202, 203]), to: &dumped)
        print(Fingerprinter(key: [201, 202, 203]), to: &dumped)
        #expect(!dumped.contains("202"))
    }
}

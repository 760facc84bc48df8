// The digest of a text, against a vector of FIPS 180-4.

import Credentials
import Testing

@Suite("A digest of a text")
struct ContentDigestTests {
    @Test("is the beginning of its SHA-256")
    func vectors() {
        #expect(ContentDigest.short(of: "abc") == 0xBA78_16BF_8F01_CFEA)
        #expect(ContentDigest.short(of: "") == 0xE3B0_C442_98FC_1C14)
    }
}

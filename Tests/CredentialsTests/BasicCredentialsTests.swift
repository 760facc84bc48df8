// Basic credentials, with the examples of the standards.

import Credentials
import Testing

@Suite("Basic credentials")
struct BasicCredentialsTests {
    @Test(
        "are the examples of RFC 7617, and base64 of RFC 4648 with every padding",
        arguments: [
            ("Aladdin", "open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), ("test", "123£", "dGVzdDoxMjPCow=="), ("", "", "Og=="),
            ("a", "", "YTo="), ("a", "b", "YTpi"), ("Mufasa", "Circle Of Life?>", "TXVmYXNhOkNpcmNsZSBPZiBMaWZlPz4="),
            ("ÿþ", "ÿ", "w7/DvjrDvw=="),
        ])
    func examples(user: String, password: String, expected: String) {
        let value = BasicCredentials.authorizationValue(user: user.utf8, password: password.utf8)
        #expect(String(decoding: value, as: UTF8.self) == "Basic " + expected)
    }

    @Test("of an OAuth client are form-encoded first, a blank as %20")
    func formEncoded() {
        #expect(String(decoding: BasicCredentials.formEncoded("aZ09-._~ +:/%é&="), as: UTF8.self) == "aZ09-._~%20%2B%3A%2F%25%C3%A9%26%3D")
        let value = BasicCredentials.authorizationValue(client: "a:b", secret: "c d")
        #expect(value == BasicCredentials.authorizationValue(user: "a%3Ab".utf8, password: "c%20d".utf8))
    }
}

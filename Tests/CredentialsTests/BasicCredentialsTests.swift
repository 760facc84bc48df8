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
}

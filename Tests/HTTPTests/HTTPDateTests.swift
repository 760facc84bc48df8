import Foundation
import HTTP
import Testing

@Suite struct HTTPDateTests {
    @Test("a date is the one of RFC 9110, and that of Foundation at any moment")
    func dates() {
        #expect(String(decoding: HTTPDate.text(unixSeconds: 784_111_777), as: UTF8.self) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(String(decoding: HTTPDate.text(unixSeconds: -5), as: UTF8.self) == "Thu, 01 Jan 1970 00:00:00 GMT")
        #expect(String(decoding: HTTPDate.text(unixSeconds: .max), as: UTF8.self) == "Fri, 31 Dec 9999 23:59:59 GMT")
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "GMT")
        formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        var seconds: Int64 = 0
        while seconds < 253_402_300_799 {
            let expected = formatter.string(from: Date(timeIntervalSince1970: TimeInterval(seconds)))
            #expect(String(decoding: HTTPDate.text(unixSeconds: seconds), as: UTF8.self) == expected)
            seconds += 86_400 * 331 + 12_345
        }
    }
}

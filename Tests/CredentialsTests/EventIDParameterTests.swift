// Last event ids in URLs.

import Credentials
import Testing

@Suite("A last event id in a URL")
struct EventIDParameterTests {
    private func taken(
        _ target: String, names: [String] = ["lastEventId"], ignoring: [String] = []
    ) -> (target: String, content: EventIDParameter.Content)? {
        let bytes = Array("GET \(target) HTTP/1.1".utf8)
        let found = EventIDParameter(names: names, ignoring: ignoring).taken(from: bytes.span, target: 4..<(bytes.count - 9))
        return found.map { (String(decoding: $0.target, as: UTF8.self), $0.content) }
    }

    @Test(
        "is taken out, and decoded as a form is",
        arguments: [
            ("/e?lastEventId=41", "/e", "41"), ("/e?a=1&lastEventId=41&b=2", "/e?a=1&b=2", "41"),
            ("/e?lastEventId=a%20b+c%2Bd", "/e", "a b c+d"),
            ("/e?lastEvent%49d=%C3%A9%E2%82%AC", "/e", "é€"), ("/e?lastEventId=1&lastEventId=2", "/e", "2"),
            ("/e?lastEventId=1&a&lastEventId=", "/e?a", ""),
            ("/e?&lastEventId=x&", "/e?&", "x"),
            ("/e?lastEventId=%zz%4", "/e", "%zz%4"), ("/e?lastEventId=%20a%09", "/e", "a"), ("/e?lastEventId=a=b?c", "/e", "a=b?c"),
            ("/e?lastEventId=a%09b", "/e", "a\tb"),
            ("/e?lastEventId=" + String(repeating: "x", count: 4_096), "/e", String(repeating: "x", count: 4_096)),
        ])
    func fit(target: String, rest: String, id: String) throws {
        let found = try #require(taken(target))
        #expect(found.target == rest && found.content == (id.isEmpty ? .nothing : .id(Array(id.utf8))))
    }

    @Test(
        "is looked for under all its names, the last one counts, and ignored parameters go too",
        arguments: [
            ("/e?b=2&a=1", "/e", "1"), ("/e?a=1&b=2&c=3", "/e?c=3", "2"), ("/e?x=5&a=1&y=6&c", "/e?c", "1"), ("/e?x&y=6", "/e", nil),
            ("/e?a=1&x=5", "/e", "1"),
        ] as [(String, String, String?)])
    func several(target: String, rest: String, id: String?) throws {
        let found = try #require(taken(target, names: ["a", "b"], ignoring: ["x", "y"]))
        #expect(found.target == rest && found.content == (id.map { .id(Array($0.utf8)) } ?? .nothing))
    }

    @Test(
        "that no field can hold is none, and is taken out all the same",
        arguments: [
            "a%00b", "%0A", "a%0D%0AX-Evil:1", "%01", "a%7F", "%FF", "%C3", "%ED%A0%80", "%C0%8A", "%F5%80%80%80",
            String(repeating: "x", count: 4_097), String(repeating: "%78", count: 4_097),
        ])
    func unfit(value: String) throws {
        let found = try #require(taken("/e?a=1&lastEventId=\(value)"))
        #expect(found.target == "/e?a=1" && found.content == .unfit)
    }

    @Test("that is empty says that no event was seen", arguments: ["lastEventId", "lastEventId=", "lastEventId=+", "lastEventId=%20%09"])
    func empty(query: String) throws {
        let found = try #require(taken("/e?\(query)"))
        #expect(found.target == "/e" && found.content == .nothing)
    }

    @Test(
        "is not looked for elsewhere",
        arguments: ["/e", "/lastEventId=1", "/e?lasteventid=1", "/e?xlastEventId=1", "/e?a=lastEventId=1", "*", "/e?"])
    func absent(target: String) { #expect(taken(target) == nil) }
}

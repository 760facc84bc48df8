// What a User-Agent says of its client, with the texts that clients really send.

import Telemetry
import Testing

@Suite("The class of a client")
struct AgentClassTests {
    @Test(
        "follows from the words of its User-Agent",
        arguments: [
            ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36", "chrome"),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0",
                "chrome"
            ),
            ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/131.0 Safari/537.36", "chrome"),
            ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Mobile Safari/537.36", "chrome"),
            ("Mozilla/5.0 (Linux; Android 10; CUBOT_X30) AppleWebKit/537.36 Chrome/131.0 Mobile Safari/537.36", "chrome"),
            ("Mozilla/5.0 (Linux; Android 11; CUBOT KINGKONG) AppleWebKit/537.36 Chrome/131.0 Mobile Safari/537.36", "chrome"),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0", "firefox"),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605", "safari"),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile/15E148 Safari/604.1",
                "mobile_safari"
            ),
            ("Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X) AppleWebKit/605.1.15 CriOS/131.0 Mobile/15E148 Safari/604.1", "mobile_safari"),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "bot"),
            ("Mozilla/5.0 AppleWebKit/537.36 (compatible; bingbot/2.0) Chrome/116.0 Safari/537.36", "bot"),
            ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "bot"), ("Baiduspider/2.0", "bot"), ("GPTBot/1.1", "bot"),
            ("curl/8.5.0", "curl"), ("okhttp/4.12.0", "okhttp"), ("Go-http-client/1.1", "go"), ("python-requests/2.32.3", "python"),
            ("Python/3.12 aiohttp/3.10", "python"), ("OpenAI/Python 1.55.0", "python"), ("node", "node"), ("node-fetch/1.0", "node"),
            ("axios/1.7.7", "node"), ("undici", "node"), ("Wget/1.24", "other"), ("", "other"), ("bot", "other"), ("\u{FFFD}/(", "other"),
        ])
    func classes(text: String, expected: String) {
        #expect(name(of: text) == expected, "\(text)")
        #expect(name(of: text.uppercased()) == expected, "\(text) in capitals")
    }

    @Test("does not depend on what follows the first 256 bytes")
    func bounded() {
        #expect(name(of: String(repeating: "x", count: 256) + " curl/8") == "other")
        #expect(name(of: String(repeating: "x", count: 200) + " curl/8") == "curl")
    }

    private func name(of text: String) -> String {
        let bytes = Array(text.utf8)
        return "\(AgentClass(of: bytes.span).name)"
    }
}

@Suite("The proxies in front")
struct HopTests {
    private func words(_ name: String, _ value: String) -> [String] {
        let bytes = Array((name + ":" + value).utf8)
        var hops = Hops()
        hops.look(at: 0..<name.utf8.count, name.utf8.count + 1..<bytes.count, in: bytes.span)
        return hops.words.map { "\($0)" }
    }

    @Test("are known by the fields of the table, each by its own row, whatever the case of letters")
    func rows() {
        for sign in HopSign.all {
            let name = sign.match == .whole ? "\(sign.field)" : "\(sign.field)anything"
            let value = sign.value.map { "1.1 x-\($0) (y)" } ?? "anything"
            #expect(words(name, value) == ["\(sign.word)"])
            #expect(words(name.uppercased(), value.uppercased()) == ["\(sign.word)"])
            if sign.value != nil { #expect(words(name, "anything").isEmpty && words(name, "").isEmpty) }
            #expect(words("a" + name, value).isEmpty)
            if sign.match == .whole { #expect(words(name + "s", value).isEmpty) }
        }
        #expect(HopSign.all.count <= 64)
    }

    @Test("have each word once, and rows of the same word stand together")
    func wordsOnce() {
        let all = Hops(bits: HopSign.all.indices.reduce(0) { $0 | 1 << UInt64($1) }).words.map { "\($0)" }
        #expect(Set(all).count == all.count && all.count > 20)
        #expect(Hops().words.isEmpty && Hops().isEmpty)
    }

    @Test("are not looked for in names of any length")
    func longNames() {
        #expect(words("x-envoy-" + String(repeating: "a", count: 56), "1") == ["envoy"])
        #expect(words("x-envoy-" + String(repeating: "a", count: 57), "1").isEmpty)
    }
}

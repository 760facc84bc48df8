// The page as a document; the browser test checks how it behaves in a browser.

import Testing

@testable import Demo

@Suite struct PageTests {
    private var facts: PageFacts {
        PageFacts(directPort: 8081, token: "sesame", timing: DemoTiming(), configuration: "route /events {\n}")
    }

    @Test(
        "the page refers to nothing outside of itself",
        arguments: [
            "http://", "https://", "src=", "url(", "@import", "import(", "<iframe", "<object", "\"//", "'//", "<base", "<form", "action=",
        ])
    func selfContained(reference: String) {
        let page = String(decoding: Page.document(facts), as: UTF8.self)
        #expect(!page.contains(reference))
    }

    @Test("its only link is the empty icon, and it stays small")
    func links() {
        let page = String(decoding: Page.document(facts), as: UTF8.self)
        let references = page.split(separator: "href=").dropFirst().map { $0.prefix(8) }
        #expect(references == ["\"data:,\""])
        #expect(page.utf8.count < 65_536)
    }

    @Test("inserted text cannot end its element of the page")
    func escaping() {
        var facts = facts
        facts.token = "</script><b>\"\\\u{1}"
        facts.configuration = "</pre><script>alert(1)</script>&"
        let page = String(decoding: Page.document(facts), as: UTF8.self)
        #expect(page.contains(#""token": "\u003c/script>\u003cb>\"\\\u0001""#))
        #expect(page.contains("&lt;/pre&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;"))
        #expect(page.split(separator: "<script", omittingEmptySubsequences: false).count == 3)
    }

    @Test("it tells the script the times and the port")
    func told() {
        let json = facts.json
        for part in [
            "\"directPort\": 8081", "\"hopIdleLimitMs\": 3000", "\"heartbeatMs\": 1000", "\"silenceMs\": 4800", "\"reconnectMs\": 3000",
        ] {
            #expect(json.contains(part))
        }
    }
}

// The page as a document; the browser test checks how it behaves in a browser.

import Testing

@testable import Demo

@Suite struct PageTests {
    private var facts: PageFacts {
        PageFacts(
            plainPort: 8080, directPort: 8081, securedPort: 8082, token: "sesame", timing: DemoTiming(), configuration: "route /events {\n}"
        )
    }
    private var pages: [String] { [Page.document(facts), Page.eight(facts)].map { String(decoding: $0, as: UTF8.self) } }

    @Test(
        "the pages refer to nothing outside of themselves",
        arguments: [
            "http://", "https://", "src=", "url(", "@import", "import(", "<iframe", "<object", "\"//", "'//", "<base", "<form", "action=",
        ])
    func selfContained(reference: String) {
        for page in pages { #expect(!page.contains(reference)) }
    }

    @Test("they link to the empty icon and to each other, and stay small")
    func links() {
        let references = pages.map { page in page.split(separator: "href=\"").dropFirst().map { $0.prefix { $0 != "\"" } } }
        #expect(references == [["data:,", "/eight"], ["data:,", "/"]])
        for page in pages { #expect(page.utf8.count < 65_536) }
    }

    @Test("the second page has a row for each stream in both panels")
    func rows() {
        for kind in RhythmicStream.kinds { #expect(pages[1].components(around: "<b>\(kind.name)</b>") == 3) }
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

    @Test("they tell the script the times and the ports")
    func told() {
        let json = facts.json
        for part in [
            "\"plainPort\": 8080", "\"directPort\": 8081", "\"securedPort\": 8082", "\"hopIdleLimitMs\": 3000", "\"heartbeatMs\": 1000",
            "\"silenceMs\": 4800", "\"reconnectMs\": 3000",
        ] {
            #expect(json.contains(part))
        }
    }
}

extension String {
    /// How many pieces it falls into around another text.
    fileprivate func components(around text: String) -> Int { split(separator: text, omittingEmptySubsequences: false).count }
}

// The changes that a reload reports.

import Testing

@testable import Configuration

@Suite("What has changed")
struct ChangesTests {
    private static let base = """
        listen 127.0.0.1:80
        upstream a {
            server 10.0.0.1:80
        }
        upstream b {
            server 10.0.0.2:80
        }
        route /a {
            upstream a
        }
        route /b {
            upstream b
        }

        """

    private func changes(_ replacements: [(String, String)], _ more: String = "", base: String = ChangesTests.base) throws -> [String] {
        var text = base
        for (old, new) in replacements {
            let range = try #require(text.firstRange(of: old))
            text.replaceSubrange(range, with: new)
        }
        func parse(_ text: String) throws -> Configuration {
            try ConfigurationFile.parse(Array(text.utf8), fileName: "f") { _ in nil }.configuration
        }
        return try parse(text + more).changes(since: parse(base))
    }

    @Test("is nothing where the file says the same in another order, or in more words")
    func nothing() throws {
        #expect(try changes([]) == [])
        #expect(try changes([], "# a comment\ngrace 10s\n") == [])
        let upstreams = "upstream a {\n    server 10.0.0.1:80\n}\nupstream b {\n    server 10.0.0.2:80\n}\n"
        let swapped = "upstream b {\n    server 10.0.0.2:80\n}\nupstream a {\n    server 10.0.0.1:80\n}\n"
        #expect(try changes([(upstreams, swapped)]) == [])
    }

    @Test("is reported by name and kind")
    func names() throws {
        #expect(try changes([("127.0.0.1:80", "127.0.0.1:81")]) == ["listen 127.0.0.1:81 added", "listen 127.0.0.1:80 removed"])
        #expect(try changes([("10.0.0.1:80", "10.0.0.3:80")]) == ["upstream a changed"])
        #expect(try changes([("    upstream b\n", "    upstream a\n")]) == ["route /b changed"])
        #expect(try changes([], "route /c {\n    upstream a\n}\n") == ["route /c added"])
        let changed = try changes([("127.0.0.1:80\n", "127.0.0.1:80 {\n    redirect_to_https\n}\n")])
        #expect(changed == ["listen 127.0.0.1:80 changed"])
    }

    @Test(
        "is told with the number that holds now and the one that held",
        arguments: [
            ("grace 3s", "grace 3s (was 10s)"), ("limits {\nconnections 500\n}", "limits connections 500 (was 0)"),
            ("timeouts {\nkeep_alive 5s\n}", "timeouts keep_alive 5s (was 75s)"), ("resolve_interval 1m", "resolve_interval 1m (was 30s)"),
            ("stream_log off", "stream_log off"), ("access_log stderr", "access_log stderr"), ("access_log /a/b", "access_log /a/b"),
            ("event_log stdout", "event_log stdout"),
            ("trusted_proxies 10.0.0.0/8", "trusted_proxies changed"),
            ("fingerprint_key sixteen-bytes-or-more", "fingerprint_key changed"),
            ("history_key sixteen-bytes-or-more", "history_key changed"),
        ])
    func numbers(directive: String, words: String) throws { #expect(try changes([], directive + "\n") == [words]) }

    @Test("leaves out the number of workers, which does not change")
    func workers() throws { #expect(try changes([], "workers 7\n") == []) }

    @Test("is shortened if there is much of it")
    func many() throws {
        let routes = (0..<40).map { "route /new\($0) {\n    upstream a\n}\n" }.joined()
        #expect(try changes([], routes) == ["route /new0, /new1, /new2, /new3, /new4 and 35 more added"])
    }

    @Test("names every directive that sets a number at the top level, in limits and in timeouts")
    func everyNumber() throws {
        for directive in DirectiveTable.all where directive.name != "workers" {
            guard let quantity = directive.quantity, [.top, .limits, .timeouts].contains(directive.scope) else { continue }
            let plain = directive.scope == .limits ? "request_head 1MiB\n" : ""
            let value = quantity.text(directive.name == "request_target" ? 300 : quantity.range.upperBound)
            let line = "\(directive.name) \(value)\n"
            let isOther = directive.name != "request_head" || directive.scope != .limits
            let more = directive.scope == .top ? line : "\(directive.scope.rawValue) {\n\(isOther ? plain : "")\(line)}\n"
            let found = try changes([], more)
            #expect(found.contains { $0.contains("\(directive.name) \(value) (was ") }, "\(more): \(found)")
        }
    }
}

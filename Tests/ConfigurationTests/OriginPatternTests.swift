// Which origins a pattern is for.

import Testing

@testable import Configuration

@Suite("An allowed origin")
struct OriginPatternTests {
    private func matches(_ pattern: String, _ origin: String) throws -> Bool {
        let pattern = try OriginPattern.read(pattern)
        return pattern.matches(Array(origin.utf8).span)
    }

    @Test(
        "is that origin, in any case of letters, and no other",
        arguments: [
            ("https://app.example.com", "https://app.example.com", true), ("https://App.Example.com:443", "https://app.example.com", true),
            ("https://app.example.com", "HTTPS://APP.example.com", true), ("http://[::1]:8080", "http://[::1]:8080", true),
            ("http://a:80", "http://a", true),
            ("https://app.example.com", "http://app.example.com", false),
            ("https://app.example.com", "https://app.example.com:8443", false),
            ("https://app.example.com", "https://app.example.com.evil.org", false),
            ("https://app.example.com", "https://evil.org/https://app.example.com", false),
            ("https://app.example.com", "null", false), ("https://app.example.com", "", false),
            ("https://app.example.com", "https://app.example.co", false),
            ("https://a", "https://a/", false), ("http://a:443", "http://a", false),
        ])
    func single(pattern: String, origin: String, expected: Bool) throws { #expect(try matches(pattern, origin) == expected) }

    @Test(
        "with a wildcard is everything below the domain, whole labels only",
        arguments: [
            ("https://*.example.org", "https://a.example.org", true), ("https://*.example.org", "https://a.b.example.org", true),
            ("https://*.example.org:8443", "https://A.example.ORG:8443", true),
            ("https://*.example.org", "https://example.org", false), ("https://*.example.org", "https://.example.org", false),
            ("https://*.example.org", "https://evilexample.org", false), ("https://*.example.org", "https://a.example.org:8443", false),
            ("https://*.example.org", "https://evil.com/.example.org", false),
            ("https://*.example.org", "https://evil.com#.example.org", false),
            ("https://*.example.org", "https://u@a.example.org", false), ("https://*.example.org", "http://a.example.org", false),
            ("https://*.example.org", "https://a.example.org.evil.com", false), ("https://*.example.org", "https://", false),
            ("https://*.example.org", "null", false),
            ("https://*.example.org", "", false), ("https://*.example.org", "https://example.or", false),
        ])
    func wildcard(pattern: String, origin: String, expected: Bool) throws { #expect(try matches(pattern, origin) == expected) }
}

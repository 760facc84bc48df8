// What must hold for every input: nothing traps, and every reported place is in the file.

import Credentials
import Foundation
import TestSupport
import Testing

@testable import Configuration

@Suite("Whatever the bytes")
struct PropertyTests {
    private static let fragments = [
        "listen", "route", "upstream", "heartbeat", "limits", "timeouts", "fingerprint_key", "bearer_from", "{", "}", "{$", "{$A}",
        "{$A:b", "\"", "\\", "#", "\n", "\r\n", "\r", " ", "\t", ":", "/*", "/", "*", "[::1]:80", "99999999999999999999s", "1.5s",
        "off", "127.0.0.1:8080", "http://", "https://", "@", "%2F", "..", "é", "\u{202e}", "\0", "query", "-",
    ]

    @Test("the parser ends with a configuration or with errors inside the file")
    func randomTexts() {
        var generator = SeededGenerator("random texts")
        for _ in 0..<4_000 {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 0...40, using: &generator) {
                if Int.random(in: 0..<8, using: &generator) == 0 {
                    bytes.append(UInt8.random(in: 0...255, using: &generator))
                } else if let fragment = PropertyTests.fragments.randomElement(using: &generator) {
                    bytes += Array(fragment.utf8)
                    if Bool.random(using: &generator) { bytes.append(UInt8(ascii: " ")) }
                }
            }
            check(bytes)
        }
    }

    @Test("a good file with one byte changed is read or refused at a place inside it")
    func mutatedFile() throws {
        var generator = SeededGenerator("a changed file")
        let good = Array(goodFile.utf8)
        #expect(throws: Never.self) { try ConfigurationFile.parse(good, fileName: "f") { _ in nil } }
        for place in good.indices {
            var bytes = good
            switch Int.random(in: 0..<3, using: &generator) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
            case 1: bytes.remove(at: place)
            default: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: place)
            }
            check(bytes)
            check(Array(good[..<place]))
        }
    }

    private func check(_ bytes: [UInt8]) {
        do throws(ConfigurationErrors) {
            let configuration = try ConfigurationFile.parse(bytes, fileName: "f") { $0 == "A" ? "value" : nil }.configuration
            #expect(!configuration.listeners.isEmpty && !configuration.routes.isEmpty)
            for route in configuration.routes { #expect(configuration.upstreams.indices.contains(route.upstreamIndex)) }
        } catch {
            let lines = bytes.reduce(1) { $0 + ($1 == UInt8(ascii: "\n") ? 1 : 0) }
            #expect(!error.diagnostics.isEmpty)
            for diagnostic in error.diagnostics {
                #expect((1...lines).contains(diagnostic.line), "\(bytes)")
                #expect((1...(diagnostic.sourceLine.unicodeScalars.count + 1)).contains(diagnostic.sourceColumn), "\(bytes)")
                let shown = diagnostic.description.unicodeScalars.filter { $0 != "\n" && $0 != "\t" }
                #expect(!shown.contains(where: isControl), "\(bytes)")
            }
        }
    }

    private let goodFile = """
        listen 127.0.0.1:8080 [::1]:8080
        fingerprint_key "0123456789abcdef"
        upstream u {
            server 127.0.0.1:9000
            balance least_connections
        }
        route *.example.com/events/* {
            upstream u
            heartbeat 1.5s both alive
            bearer_from query t
        }
        """
}

@Suite("Every spelling of a path")
struct SpellingTests {
    private let guarded = RouteTable([
        Route(name: "open", upstreamIndex: 0),
        Route(name: "guarded", path: .prefix("/events/"), upstreamIndex: 0, bearer: .init(sources: [.query(name: "t")])),
    ])

    /// An independent list of the paths that some server takes for `/events` or something below it: any of the lenient steps, in any
    /// order, each done or left out.
    private func mayBeEvents(_ path: String) -> Bool {
        typealias Step = (String) -> String
        let slashes: Step = { $0.replacingOccurrences(of: "\\", with: "/") }
        let decoded: Step = { $0.removingPercentEncoding ?? $0 }
        let stripped: Step = { $0.replacingOccurrences(of: ";[^/]*", with: "", options: .regularExpression) }
        let resolved: Step = { text in
            var segments: [Substring] = []
            for segment in text.split(separator: "/") {
                if segment == ".." { _ = segments.popLast() } else if segment != "." { segments.append(segment) }
            }
            return "/" + segments.joined(separator: "/")
        }
        var readings: Set<String> = [path.lowercased()]
        // Every order of the steps is a path through this set, which soon stops growing.
        for _ in 0..<4 {
            for step in [slashes, stripped, resolved] { readings.formUnion(readings.map(step)) }
            if readings.contains(where: { $0 == "/events" || $0.hasPrefix("/events/") }) { return true }
        }
        // Escapes are decoded once, by every server.
        var after = Set(readings.map(decoded))
        for _ in 0..<4 {
            for step in [slashes, stripped, resolved] { after.formUnion(after.map(step)) }
        }
        return after.contains { $0 == "/events" || $0.hasPrefix("/events/") }
    }

    @Test("that a server may take for a guarded one never takes the unguarded route")
    func neverPastTheGuard() {
        var generator = SeededGenerator("paths past the guard")
        let fragments = [
            "/", "/", "/", "events", "events", "EVENTS", "%65vents", "ev%45nts", "..", ".", "%2e", "%2E%2e", "%2f", "%2F", "\\", "%5c",
            ";x=1", ";", "%3b",
            "a", "public", "x", "//", "/events/", "/./", "/../", "%25",
        ]
        var ambiguous = 0
        var past = 0
        for _ in 0..<3_000 {
            var path = "/"
            for _ in 0..<Int.random(in: 0...8, using: &generator) { path += fragments.randomElement(using: &generator) ?? "" }
            let index = guarded.match(host: "h", path: path)
            if index == nil { ambiguous += 1 }
            if index == 0 {
                past += 1
                #expect(!mayBeEvents(path), "\(path)")
            }
        }
        // A parser that refuses everything, or passes everything, must not pass this test.
        #expect(ambiguous > 100 && past > 100)
    }
}

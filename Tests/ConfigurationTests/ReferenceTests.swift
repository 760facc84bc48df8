// Compares conf/README.md and conf/heartwire.conf with the parser.

import Foundation
import Testing

@testable import Configuration

private let conf = URL(fileURLWithPath: repositoryRoot()).appendingPathComponent("conf")

/// The folder that holds `conf`, found from this file upwards.
private func repositoryRoot() -> String {
    var folder = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
    while folder.path != "/", !FileManager.default.fileExists(atPath: folder.appendingPathComponent("conf/README.md").path) {
        folder.deleteLastPathComponent()
    }
    return folder.path
}

private func reference() throws -> String {
    try String(contentsOf: conf.appendingPathComponent("README.md"), encoding: .utf8)
}

/// The cells of the rows of the table of directives in one section.
private func rows(of scope: Scope, in text: String) -> [[String]] {
    let title = "## \(scope.title)"
    let lines = text.components(separatedBy: "\n")
    guard let start = lines.firstIndex(of: title) else { return [] }
    let section = lines[(start + 1)...].prefix { !$0.hasPrefix("## ") }
    return section.filter { $0.hasPrefix("| `") }.map { line in
        line.replacingOccurrences(of: "\\|", with: "\u{1}")
            .split(separator: "|", omittingEmptySubsequences: false)
            .dropFirst().dropLast()
            .map { $0.trimmingCharacters(in: .whitespaces).replacingOccurrences(of: "\u{1}", with: "|") }
    }
}

/// The row that the manual must hold for a directive; more may follow its summary.
func referenceRow(_ directive: Directive) -> [String] {
    let arguments = directive.syntax.isEmpty ? "" : " \(directive.syntax)"
    let fallback = directive.defaultText.hasPrefix("(") ? directive.defaultText : "`\(directive.defaultText)`"
    let range = directive.quantity?.rangeText ?? ""
    return [
        "`\(directive.name)\(arguments)`" + (directive.isRepeatable ? ", repeatable" : ""), fallback, range,
        directive.summary,
    ]
}

private func examples(in text: String) -> [String] {
    text.components(separatedBy: "```heartwire\n").dropFirst().map { $0.components(separatedBy: "```")[0] }
}

@Suite("The reference")
struct ReferenceTests {
    @Test("describes every directive with its arguments, default and range, and none that is unknown", arguments: Scope.allCases)
    func directives(scope: Scope) throws {
        let found = rows(of: scope, in: try reference())
        let known = DirectiveTable.all.filter { $0.scope == scope }.map(referenceRow)
        #expect(!known.isEmpty)
        #expect(found == known)
    }

    @Test("shows every directive in an example")
    func directivesInExamples() throws {
        let words = Set(
            examples(in: try reference()).joined().components(separatedBy: "\n").compactMap {
                $0.split(separator: " ").first.map(String.init)
            })
        #expect(DirectiveTable.all.map(\.name).filter { !words.contains($0) } == [])
    }

    @Test("has examples that all parse without an error or a warning")
    func examplesParse() throws {
        let all = examples(in: try reference())
        #expect(all.count >= 6)
        for example in all {
            let parsed = try ConfigurationFile.parse(Array(example.utf8), fileName: "README.md") { _ in nil }
            #expect(parsed.warnings == [], "\(example)")
        }
    }

    @Test("shows a line of options and a small file that mean the same")
    func commandLineExample() throws {
        let text = try reference()
        let line = try #require(text.components(separatedBy: "```sh\nheartwire ").last?.components(separatedBy: "\n").first)
        guard case .proxy(let fromOptions) = try CommandLine.parse(line.split(separator: " ").map(String.init)) else {
            Issue.record("the example is not 'heartwire proxy'")
            return
        }
        let file = try #require(examples(in: text).last)
        #expect(try ConfigurationFile.parse(Array(file.utf8), fileName: "f") { _ in nil }.configuration == fromOptions)
    }

    @Test("comes with a configuration that runs as it is")
    func shippedConfiguration() throws {
        let path = conf.appendingPathComponent("heartwire.conf").path
        let parsed = try ConfigurationFile.parse(try ConfigurationFile.load(path: path), fileName: path) { _ in nil }
        #expect(parsed.warnings == [])
        #expect(parsed.configuration.listeners == [Listener(host: "127.0.0.1", port: 8080)])
        #expect(parsed.configuration.upstreams.flatMap(\.servers) == [Upstream.Server(host: "127.0.0.1", port: 9000)])
        #expect(parsed.configuration.streamLog == .standardOutput)
        #expect(parsed.configuration.accessLog == .standardOutput)
    }

    @Test(
        "names defaults that, written out, change nothing",
        arguments: DirectiveTable.all.filter { !$0.defaultText.hasPrefix("(") }.map(\.name))
    func defaultsAreTrue(name: String) throws {
        for directive in DirectiveTable.all where directive.name == name && !directive.defaultText.hasPrefix("(") {
            let isOfSharing = directive.name == "lag"
            let context =
                CheckDraft.details.contains(directive.name) ? "bearer_check main\n" : isOfSharing ? "identity token\nshare live\n" : ""
            let plain = fileWith(context, in: directive.scope)
            let written = fileWith("\(context)\(directive.name) \(directive.defaultText)", in: directive.scope)
            #expect(try configuration(written) == (try configuration(plain)), "\(written)")
        }
    }

    /// A small configuration with one more line in one of its blocks.
    private func fileWith(_ line: String, in scope: Scope) -> String {
        let sources = "bearer_from ticket t\nbearer_from query a"
        var history: String { "history {\(block(.history, ""))\n}" }
        func block(_ name: Scope, _ rest: String) -> String { rest + (scope == name ? "\n\(line)" : "") }
        return """
            listen a:1 {
            \(block(.listen, "tls {\n\(block(.listenTLS, "certificate c k"))\n}"))
            }
            issuer main {
            name i
            audience any
            keys_file j
            }
            \(block(.top, ""))
            upstream u {
            \(block(.upstream, "server https://b:2\ntls {\n\(block(.upstreamTLS, ""))\n}"))
            }
            token t {
            \(block(.token, "url https://c\nclient_id a\nclient_secret b"))
            }
            limits {
            \(block(.limits, ""))
            }
            timeouts {
            \(block(.timeouts, ""))
            }
            ticket t {
            \(block(.ticket, "sealing_key AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))
            }
            route /* {
            \(block(.route, "upstream u\n\(sources)\nallow_origin https://a\n\(history)\nrecord d {\(block(.record, ""))\n}"))
            }
            """.replacingOccurrences(of: line.hasPrefix("upstream ") ? "upstream u\n" : "\u{1}", with: "")
    }

    private func configuration(_ text: String) throws -> Configuration {
        try ConfigurationFile.parse(Array(text.utf8), fileName: "f") { _ in nil }.configuration
    }
}

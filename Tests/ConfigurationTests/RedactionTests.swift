// No message about a configuration holds a secret.

import Testing

@testable import Configuration

@Suite("The message about a mistake")
struct RedactionTests {
    private func shown(_ text: String, environment: [String: String] = [:]) -> String {
        ConfigurationErrors(diagnostics: diagnostics(text, environment: environment)).description
    }

    @Test(
        "never holds what follows the name of a secret directive, however both are spelt and joined",
        arguments: [
            "fingerprint_key S3CRET", "fingerprnt_key \"0123456789-S3CRET\"", "fingerprint_key \"0123-S3CRET", "\tfingerprint_key a S3CRET",
            "fingerprint_key=S3CRET", "fingerprint_key:S3CRET", "fingerprint_key = S3CRET", "fingerprint_keys S3CRET",
            "fingerprint_keyS3CRET-and-more",
            "fingerprint-key S3CRET", "FINGERPRINT_KEY=S3CRET", "Fingerprint_Key S3CRET {", "export fingerprint_key=S3CRET",
            "set fingerprnt_key S3CRET",
            "\"fingerprint_key\" S3CRET", "\"fingerprint_key S3CRET\"", "fingerprint_key\u{a0}S3CRET", "fingerprint_key {$S3-CRET-S3CRET}",
            "fingerprint_key={$KEY}", "fingerprint_keys {$KEY}", "fingerprnt_keyS3CRET{", "fingerprnt_keyS3CRET-and-more",
            "fingerprint_key S3CRET\u{1b}",
            "fingerprint_key\nS3CRET", "fingerprint_key =\n\n  S3CRET", "fingerprint_key \\\nS3CRET", "fingerprint_key {\nS3CRET\n}",
            "fingerprint_key \"\nS3CRET\"",
            "fingerprint_key\n{$S3-CRET}", "route /* {\n fingerprint_key S3CRET\n}", "grace 1s fingerprint_key S3CRET",
            "workers fingerprint_key=S3CRET",
            "limits {\nfingerprint_key S3CRET }\n}", "stream_log a\rfingerprint_key S3CRET",
            "fingerprint_key # note\nS3CRET", "fingerprint_key# note\nS3CRET", "fingerprint_key = # \"note\"\nS3CRET",
            "fingerprint_key \\ # a\n\n# b\nS3CRET",
            "fingerprint_key { # a\nS3CRET\n}", "# fingerprint_key\nS3CRET", "fingerprint_key \" # a\nS3CRET\"",
            "token m {\n client heartwire S3CRET\n}", "issuer m {\n introspect heartwire S3CRET\n}", "issuer m {\n password S3CRET\n}",
            "ticket t {\n key half-a-S3CRET\n}", "ticket t {\n key a/half+S3CRET=\n}", "ticket t {\n client\n S3CRET\n}",
        ])
    func secret(text: String) {
        let all = shown("\(text)\n", environment: ["KEY": "the-S3CRET-of-the-environment"])
        #expect(all.contains("test.conf:"))
        #expect(!all.contains("S3") && !all.contains("CRET"), "\(all)")
    }

    @Test("never holds a secret in UTF-16, as some editors save a file", arguments: [true, false])
    func utf16(isLittleEndian: Bool) {
        let units = "\u{feff}listen a:1\nfingerprint_key S3CRET\n".utf16.flatMap { unit in
            isLittleEndian ? [UInt8(unit & 0xff), UInt8(unit >> 8)] : [UInt8(unit >> 8), UInt8(unit & 0xff)]
        }
        let errors = #expect(throws: ConfigurationErrors.self) { try ConfigurationFile.parse(units, fileName: "f") { _ in nil } }
        #expect(errors?.description.contains("C") == false, "\(errors?.description ?? "")")
    }

    @Test(
        "never holds the login or the query of a URL",
        arguments: [
            "server http://user:S3CRET@c", "server http://S3CRET@c:1", "server https://user:S3@CRET@c:1/", "server ftp://user:S3CRET@c",
            "server user:S3CRET@c:1",
            "server http://c/x?S3CRET", "server http://c:1?token=S3CRET", "server \"http://user:a S3CRET@c\"",
            "server c:1 http://user:S3CRET@c d",
            "server http://user:S3CRET@c \"", "server http://user:S3CRET@c{", "server {$URL}", "server user:S3CRET@http://c",
            "server http://user:S3CRET S3CRET@c:80", "server user:S3CRET S3CRET@c:80", "server http://S3CRET a S3CRET@c",
            "server http://user:S3@a S3CRET@c",
            "server http://user:S3CRET #S3CRET@c", "server unix:/a user:S3CRET S3CRET@c:80",
            "server http://a@b:1 http://user:S3CRET S3CRET@c:80",
            "server c:1?token=S3CRET", "server c?S3CRET", "server c:1/x?token=S3@CRET", "server http://c/x?token=S3@CRET",
            "server http://user:S3?CRET@c",
        ])
    func login(line: String) {
        for text in [
            "listen a:1\nroute /* {\nupstream u\n}\nupstream u {\n\(line)\n}",
            "listen a:1\nroute /* {\n\(line.replacing("server", with: "upstream"))\n}",
            line.replacing("server", with: "listen"), line.replacing("server", with: "route"),
            line.replacing("server", with: "stream_log stdot"),
        ] {
            let all = shown(text, environment: ["URL": "http://user:S3CRET@c/"])
            #expect(!all.contains("S3") && !all.contains("CRET"), "\(all)")
        }
    }

    @Test("shows a mark where something is hidden, and points at the place of the mistake")
    func places() {
        #expect(shown("fingerprint_key=0123456789 # x").hasSuffix("\n    fingerprint_key=…\n    ^"))
        #expect(shown("fingerprint_key short").hasSuffix("\n    fingerprint_key …\n                    ^"))
        #expect(shown("fingerprint_key a b").hasSuffix("\n    fingerprint_key …\n                    ^"))
        #expect(shown("upstream u {\n  server http://user:password@c d:2\n}").contains("\n      server http://…@c d:2\n             ^"))
        #expect(
            shown("upstream u {\n  server http://user:password@c:1 d\n}").contains(
                "\n      server http://…@c:1 d\n                          ^"))
        #expect(shown("upstream u {\n  server http://user:pass word@c d:2\n}").contains("\n      server http://…@c d:2\n"))
        #expect(shown("upstream u {\n  server c:1?token=a\n}").contains("\n      server c:1?…\n             ^"))
        #expect(shown("grace 2h # why? ask a@b").hasSuffix("\n    grace 2h # why? ask a@b\n          ^"))
        #expect(shown("fingerprint_key \"0123 #456789abcdef\" # x\ngrace 2h").contains("\n    grace 2h\n          ^"))
        #expect(shown("listen a:x # ask a@b").contains("\n    listen a:x # ask a@b\n"))
        #expect(shown("grace 2h # fine").hasSuffix("\n    grace 2h # fine\n          ^"))
    }

    @Test("holds no secret on the command line either")
    func commandLine() {
        for words in [
            ["proxy", "--listen", "a:1", "--upstream", "http://user:S3CRET@c"],
            ["proxy", "--listen", "http://user:S3CRET@c", "--upstream", "b:1"],
            ["proxy", "--fingerprint-key=S3CRET"], ["proxy", "fingerprint_key=S3CRET"], ["proxy", "-fingerprint-key=S3CRET"],
            ["http://user:S3CRET@c"],
            ["fingerprint_key=S3CRET"], ["proxy", "--listen", "a:1", "--upstream", "user:S3CRET@c:1"], ["proxy", "user:S3CRET@c:1"],
            ["proxy", "--listen", "a:1", "--upstream", "http://c?token=S3CRET"],
            ["proxy", "--listen", "a:1", "--upstream", "b:1", "--heartbeat", "http://u:S3CRET@c"],
            ["proxy", "--listen", "a:1", "--upstream", "b:1", "--bearer-from", "http://u:S3CRET@c"],
        ] {
            let error = #expect(throws: UsageError.self) { try CommandLine.parse(words) }
            #expect(error?.description.contains("S3CRET") == false, "\(error?.description ?? "")")
        }
    }

    @Test("looks at each line once, however many mistakes stand behind however many comments", .timeLimit(.minutes(1)))
    func manyMistakesBehindManyComments() {
        // Where each mistake goes through all lines above it once more, this takes a quarter of an hour.
        let comments = String(repeating: "#xxxxxxxxxxxxxxxxxx\n", count: 300)
        let mistakes = String(repeating: "\u{1}\n", count: 1_000)
        #expect(diagnostics(comments + mistakes).count == 1_000)
        #expect(!shown(comments + "fingerprint_key\n" + mistakes + "S3CRET").contains("S3"))
    }
}

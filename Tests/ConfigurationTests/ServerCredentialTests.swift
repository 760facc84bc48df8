// What is said about the credentials that servers get, and that no message repeats one.

import Testing

@testable import Configuration

@Suite("Credentials for servers")
struct ServerCredentialTests {
    private func file(_ lines: String, more: String = "") -> String { "listen a:1\nroute /* {\n upstream b:2\n\(lines)\n}\n\(more)" }

    private func credentials(_ lines: String) throws -> ServerCredentials? {
        try ConfigurationFile.parse(Array(file(lines).utf8), fileName: "f") { _ in nil }.configuration.routes[0].serverCredentials
    }

    private func authorization(_ line: String) throws -> ServerCredentials.Authorization? {
        try credentials("upstream_authorization \(line)")?.authorization
    }

    @Test("are read")
    func read() throws {
        #expect(try credentials("") == nil && credentials("upstream_authorization pass") == nil)
        #expect(try authorization("remove") == .remove)
        #expect(try authorization("bearer 12|abc==") == .value(Array("Bearer 12|abc==".utf8)))
        #expect(try authorization("basic Aladdin \"open sesame\"") == .value(Array("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".utf8)))
        #expect(try authorization("field X-Token") == .field("X-Token"))
        let found = try credentials("upstream_field X-A 1\nupstream_field X-B \"2 3\"\nupstream_authorization field X-Token")
        #expect(found?.fields.map(\.name) == ["X-A", "X-B"] && found?.guardedFields == ["X-A", "X-B", "X-Token"])
    }

    @Test("are asked for at no server that does not prove who it is, and the error is told beside the warning")
    func unverifiedTokenServer() {
        let block = """
            token machine {
             url https://id.example.com/token
             client_id a
             client_secret S3CRET
             tls {
              verification insecure_off
             }
            }

            """
        let found = diagnostics(file("upstream_authorization token machine", more: block))
        #expect(found.contains { $0.severity == .error && $0.message.hasPrefix("who can pretend to be this server gets the secret") })
    }

    @Test(
        "are refused where they could not be sent, or could be forged",
        arguments: [
            ("upstream_authorization", "4:1 'upstream_authorization' needs more"),
            ("upstream_authorization token", "4:24 write one of"),
            ("upstream_authorization token S3CRET", "4:30 there is no token of this name"),
            ("upstream_authorization pass S3CRET", "4:24 write one of: pass, remove, bearer TEXT"),
            ("upstream_authorization S3CRET", "4:24 write one of: pass, remove, bearer TEXT"),
            ("upstream_authorization basic S3CRET", "4:24 write one of"), ("upstream_authorization bearer a S3CRET", "4:24 write one of"),
            ("upstream_authorization bearer \"S3CRET S3CRET\"", "4:31 a token has 1 to 4096 visible ASCII characters"),
            ("upstream_authorization bearer \"\"", "4:31 a token has"),
            ("upstream_authorization basic S3CRET:a S3CRET", "4:30 a user's name holds no colon"),
            ("upstream_authorization basic a {$CONTROL}", "4:32 the environment variable CONTROL holds a control character"),
            ("upstream_authorization field \"S3CRET S3CRET\"", "4:30 this cannot be the name of a field"),
            ("upstream_authorization field Cookie", "4:30 the field 'Cookie' has a meaning of its own"),
            ("upstream_field Authorization S3CRET", "4:16 the field 'Authorization' has a meaning of its own"),
            ("upstream_field X_Forwarded_For S3CRET", "4:16 the field 'X_Forwarded_For' has a meaning of its own"),
            ("upstream_field X-A \" S3CRET\"", "4:20 the value of a field has 1 to 4096 bytes"),
            ("upstream_field X-A {$CONTROL}", "4:20 the environment variable CONTROL holds a control character"),
            ("upstream_field X-A \"\"", "4:20 the value of"),
            ("upstream_field X-A S3CRET S3CRET", "4:27 this is one word too many"),
            ("upstream_field X-A 1\nupstream_field x_a S3CRET", "5:16 this field is written twice"),
            ("upstream_field X-A 1\nupstream_authorization field x.a", "5:30 this field is written twice"),
            ("upstream_authorization pass\nupstream_authorization bearer S3CRET", "5:1 'upstream_authorization' is already said"),
        ])
    func refused(lines: String, expected: String) {
        let found = diagnostics(file(lines), environment: ["CONTROL": "S3CRET\n"])
        #expect(brief(found).count == 1 && brief(found)[0].hasPrefix(expected), "\(brief(found))")
        #expect(!ConfigurationErrors(diagnostics: found).description.contains("S3C"))
    }

    @Test(
        "are never shown, however they are misspelt",
        arguments: [
            "upstream_authorisation bearer S3CRET", "upstream_auth bearer S3CRET", "authorization Bearer S3CRET",
            "upstream_auth basic a S3CRET", "upstream_authorization\nS3CRET", "upstream_authorization bearer\nS3CRET",
            "upstream_authorization=S3CRET", "upstream_fields X-Key S3CRET",
            "upstream_field X-Key\nS3CRET", "upstream_field X-Key {$S3CRET-}", "bearer_from upstream_authorization S3CRET",
        ])
    func hidden(lines: String) {
        let all = ConfigurationErrors(diagnostics: diagnostics(file(lines))).description
        #expect(all.contains("test.conf:") && !all.contains("S3C"), "\(all)")
    }

    @Test("do not hide what else stands in a file")
    func shown() {
        for line in ["heartbeat 1y", "bearer_from query t extra", "basic the-value", "# the bearer\nheartbeat 1y"] {
            let all = ConfigurationErrors(diagnostics: diagnostics(file(line))).description
            #expect(!all.contains("…"), "\(all)")
        }
    }

    @Test("cannot be another directive's field")
    func sharedFields() {
        let issuer = "issuer main {\nname i\naudience any\nkey RS256 f\n}\n"
        let claims = diagnostics(file("bearer_check main\nclaim_field X-User sub\nupstream_field x_user 1", more: issuer))
        #expect(brief(claims).count == 1 && brief(claims)[0].hasPrefix("6:16 the route writes this field with 'claim_field' already"))
        let listener =
            "listen *:2 {\ntls {\ncertificate a b\nclient_certificates required\nclient_authority c\nclient_subject_field X-User\n}\n}\n"
        let subject = diagnostics(file("upstream_field X-User 1", more: listener))
        #expect(brief(subject).contains { $0.contains("is a listener's 'client_subject_field' already") }, "\(brief(subject))")
    }

    @Test("are named when a reload changes them, without their values")
    func changes() throws {
        func parse(_ lines: String) throws -> Configuration {
            try ConfigurationFile.parse(Array(file(lines).utf8), fileName: "f") { _ in nil }.configuration
        }
        let before = try parse("upstream_authorization bearer S3CRET")
        #expect(try parse("upstream_authorization bearer S3CRET2").changes(since: before) == ["route /* changed"])
    }
}

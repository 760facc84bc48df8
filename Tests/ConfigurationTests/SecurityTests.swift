// The TLS part of a configuration, and every mistake in it.

import Testing

@testable import Configuration

private func listen(_ block: String) -> String { "listen a:1 {\n\(block)\n}\nroute /* {\n upstream b:2\n}" }
private func tls(_ lines: String) -> String { listen(" tls {\n\(lines)\n }") }
private func upstream(_ lines: String) -> String { "listen a:1\nroute /* {\n upstream u\n}\nupstream u {\n\(lines)\n}" }

@Suite("TLS in a configuration")
struct SecurityTests {
    @Test("is off by default, and a listener's block holds for all addresses of its line")
    func listeners() throws {
        let text = """
            listen a:1 b:2 {
                tls {
                    certificate c.pem k.pem
                    certificate d.pem l.pem d.ocsp
                    minimum_version 1.3
                    ciphers ECDHE+AESGCM
                    ciphersuites TLS_AES_128_GCM_SHA256
                    groups X25519
                    client_certificates required
                    client_authority ca.pem
                    client_subject_field X-Client-Subject
                    ticket_lifetime 1h
                }
                strict_transport_security 8760h
            }
            listen c:3 {
                redirect_to_https
            }
            listen d:4 {
                redirect_to_https 8443
            }
            listen e:5
            route /* {
                upstream b:2
            }
            """
        let listeners = try parse(text).configuration.listeners
        var expected = ListenerTLS(certificates: [
            Certificate(certificateFile: "c.pem", keyFile: "k.pem"),
            Certificate(certificateFile: "d.pem", keyFile: "l.pem", stapleFile: "d.ocsp"),
        ])
        expected.minimumVersion = .tls13
        expected.ciphers = "ECDHE+AESGCM"
        expected.ciphersuites = "TLS_AES_128_GCM_SHA256"
        expected.groups = "X25519"
        expected.clientCertificates = .required
        expected.clientAuthorityFile = "ca.pem"
        expected.clientSubjectField = "X-Client-Subject"
        expected.ticketLifetimeSeconds = 3600
        #expect(listeners.map(\.tls) == [expected, expected, nil, nil, nil])
        #expect(listeners.map(\.strictTransportSecuritySeconds) == [31_536_000, 31_536_000, nil, nil, nil])
        #expect(listeners.map(\.redirectPort) == [nil, nil, 443, 8443, nil])
    }

    @Test(
        "offers HTTP/2 beside HTTP/1.1 unless 'protocols' says otherwise; a plain address speaks HTTP/1.1 alone",
        arguments: [
            ("tls {\ncertificate c k\n}", true, true), ("", false, true), ("protocols h2 http/1.1", true, true),
            ("protocols h2", true, false),
            ("tls {\ncertificate c k\n}\nprotocols http/1.1", false, true), ("protocols h2\ntls {\ncertificate c k\n}", true, false),
            ("protocols http/1.1 h2\ntls {\ncertificate c k\n}", true, true),
        ])
    func protocols(block: String, http2: Bool, http1: Bool) throws {
        let listener = try parse(listen(block)).configuration.listeners[0]
        #expect(listener.speaksHTTP2 == http2 && listener.speaksHTTP1 == http1)
    }

    @Test("of the console offers no HTTP/2, which the console does not speak")
    func consoleProtocols() throws {
        let text = "console 127.0.0.1:2 {\ntls {\ncertificate c k\n}\n}\n" + listen("")
        #expect(try parse(text).configuration.console?.listeners.map(\.speaksHTTP2) == [false])
    }

    @Test("to servers follows from https://, verified unless said otherwise, which is warned of")
    func upstreams() throws {
        func only(_ text: String) throws -> Upstream { try parse(text).configuration.upstreams[0] }
        #expect(try only(upstream("server b:2")).tls == nil)
        #expect(try only(upstream("server https://b https://c:1")).tls == UpstreamTLS())
        #expect(try only(upstream("server https://b https://c:1")).servers.map(\.port) == [443, 1])
        var expected = UpstreamTLS()
        expected.authorityFile = "ca.pem"
        expected.certificate = Certificate(certificateFile: "c", keyFile: "k")
        expected.serverName = "backend.internal"
        #expect(
            try only(upstream("server https://b\ntls {\nauthority ca.pem\ncertificate c k\nserver_name Backend.internal\n}")).tls
                == expected)
        let unsafe = try parse(upstream("server https://b\ntls {\nverification insecure_off\n}"))
        #expect(unsafe.configuration.upstreams[0].tls?.isVerified == false)
        #expect(
            unsafe.warnings.map(\.message) == [
                "servers need not prove who they are: anybody on the network path can read and change everything, tokens included"
            ])
        let inline = try parse("listen a:1\nroute /a {\n upstream https://b:1\n}\nroute /b {\n upstream b:1\n}").configuration
        #expect(inline.upstreams.map(\.name) == ["https://b:1", "b:1"])
        #expect(inline.upstreams.map { $0.tls != nil } == [true, false])
    }

    @Test(
        "is told where it is wrong",
        arguments: [
            (tls("minimum_version 1.2"), "2:2 this 'tls' block has no certificate; write: certificate FILE KEYFILE"),
            (tls("certificate c"), "3:1 'certificate' needs more; write: certificate FILE KEYFILE [STAPLEFILE]"),
            (tls("certificate c k\ncertificate c l"), "4:13 the certificate 'c' is named twice"),
            (tls("certificate c k\nminimum_version 1.1"), "4:17 '1.1' is none of 1.2, 1.3"),
            (tls("certificate c k\nciphers \"\""), "4:9 this is empty"),
            (tls("certificate c k\nclient_certificates required"), "4:1 whose certificates are accepted? Write: client_authority FILE"),
            (tls("certificate c k\nclient_authority f"), "4:1 'client_authority' means nothing without 'client_certificates"),
            (tls("certificate c k\nclient_subject_field X-A"), "4:1 'client_subject_field' means nothing without"),
            (tls("certificate c k\nclient_subject_field \"a b\""), "4:22 'a b' cannot be the name of a field"),
            (tls("certificate c k\nclient_subject_field X-Forwarded-User"), "4:22 the field 'X-Forwarded-User' has a meaning of its own"),
            (tls("certificate c k\nclient_subject_field Authorization"), "4:22 the field 'Authorization' has a meaning of its own"),
            (tls("certificate c k\nticket_lifetime 1m"), "4:17 "),
            (tls("certificat c k"), "3:1 unknown directive 'certificat' in the 'tls' block of a listener; did you mean 'certificate'?"),
            (listen("heartbeat 15s"), "2:1 'heartbeat' belongs in a 'route' block, not in a 'listen' block"),
            (listen("redirect_to_https 0"), "2:19 '0' is not a port"),
            (listen("strict_transport_security 1h"), "2:1 browsers accept 'strict_transport_security' only over TLS"),
            (listen("redirect_to_https\ntls {\ncertificate c k\n}"), "2:1 a listener that speaks TLS cannot redirect to it"),
            (listen("tls"), "2:1 'tls' needs a block"),
            (upstream("server b:2\ntls {\n}"), "7:1 these servers are spoken to in plain HTTP; write https:// before their addresses"),
            (upstream("server b:2 https://c"), "6:12 the servers of one upstream are all http:// or all https://"),
            (upstream("server https://b\ntls {\ncertificate c\n}"), "8:1 'certificate' needs more; write: certificate FILE KEYFILE"),
            (upstream("server https://b\ntls {\nverification off\n}"), "8:14 'off' is none of on, insecure_off"),
            (upstream("server https://b\ntls {\nserver_name a/b\n}"), "8:13 'a/b' cannot be the name of a host"),
            (
                "listen a:1 {\n tls {\n  certificate c k\n }\n}\nlisten a:1\nroute /* {\n upstream b:2\n}",
                "6:8 a:1 is already listened on, line 1"
            ),
        ])
    func mistakes(text: String, expected: String) {
        let found = brief(diagnostics(text))
        #expect(found.count == 1 && found.first?.hasPrefix(expected) == true, "\(text)\n\(found)")
    }

    @Test(
        "tells servers of a client's certificate in no field that means something to the proxy, to browsers or to servers",
        arguments: [
            "User-Agent", "X-Real-IP", "host", "CONNECTION", "Cache-Control", "Date", "Server", "Range", "Pragma", "Max-Forwards",
            "Set-Cookie",
            "X-Accel-Buffering", "Strict-Transport-Security", "Proxy", "X_Real_IP", "User_Agent", "Content_Type", "X-Original-URL",
            "Client-Cert",
            "X_Forwarded_User", "X-Forwarded", "True-Client-IP", "Sec-Fetch-Site", "sec_fetch_site", "If-None-Match", "Content-MD5",
            "Accept-Language", "Proxy-Authenticate", "Access-Control-Request-Method", "Priority", "Authorization", "Cookie", "Location",
        ])
    func takenNames(name: String) {
        let found = brief(diagnostics(tls("certificate c k\nclient_subject_field \(name)")))
        #expect(found.count == 1 && found[0].hasPrefix("4:22 the field '\(name)' has a meaning of its own"), "\(found)")
    }

    @Test(
        "tells servers of a client's certificate in any field of the operator's own making",
        arguments: [
            "X-Client-Subject", "X_Client_Subject", "SSL-Client-S-DN", "X-SSL-Client-DN", "Remote-User", "Subject", "X-Proxy-Subject",
        ])
    func freeNames(name: String) throws {
        let text = tls("certificate c k\nclient_certificates optional\nclient_authority f\nclient_subject_field \(name)")
        #expect(try parse(text).configuration.listeners[0].tls?.clientSubjectField == name)
    }

    @Test("can be said on the command line")
    func options() throws {
        let words = "proxy --upstream https://a --listen b:1 --tls-certificate c --tls-key k --upstream-ca f"
        guard case .proxy(let configuration) = try CommandLine.parse(words.split(separator: " ").map(String.init)) else {
            Issue.record("no proxy")
            return
        }
        #expect(configuration.listeners[0].tls == ListenerTLS(certificates: [Certificate(certificateFile: "c", keyFile: "k")]))
        #expect(configuration.listeners[0].speaksHTTP2)
        #expect(configuration.upstreams[0].tls?.authorityFile == "f")
        #expect(configuration.upstreams[0].servers == [Upstream.Server(host: "a", port: 443)])
    }
}

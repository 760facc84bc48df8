// Certificates for the tests, made by the `openssl` program in a folder of their own, once for all tests.

import Foundation
import Reactor
import TestSupport

/// A small authority and what it has signed.
struct Certificates {
    static let shared = Certificates()

    let folder: String

    private init() {
        folder = OpenSSLProgram.makeFolder("certificates")
        makeAuthority("authority")
        makeAuthority("stranger")
        make("localhost", names: "DNS:localhost,IP:127.0.0.1")
        make("wild", names: "DNS:*.example.test,DNS:example.test")
        make("other", names: "DNS:other.test")
        make("rsa", names: "DNS:localhost,IP:127.0.0.1", key: ["-newkey", "rsa:2048"])
        make("expired", names: "DNS:localhost", days: ["-not_before", "20200101000000Z", "-not_after", "20200201000000Z"])
        make("client", names: "DNS:client.test", subject: "/O=Ämter \\/CN=Klient, der \"erste\"")
        make("forged", names: "DNS:localhost", authority: "stranger")
        OpenSSLProgram.run("pkey", "-in", path("localhost.key"), "-aes256", "-passout", "pass:secret", "-out", path("encrypted.key"))
    }

    func path(_ name: String) -> String { folder + "/" + name }

    func identity(_ name: String) -> TLSIdentityFiles {
        TLSIdentityFiles(certificateFile: path(name + ".pem"), keyFile: path(name + ".key"))
    }

    private func makeAuthority(_ name: String) {
        OpenSSLProgram.run(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path(name + ".key"), "-out",
            path(name + ".pem"), "-days", "30", "-subj", "/CN=\(name)")
    }

    private func make(
        _ name: String, names: String, subject: String? = nil, key: [String] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        authority: String = "authority", days: [String] = ["-days", "30"]
    ) {
        let request = path(name + ".csr")
        OpenSSLProgram.run(
            ["req", "-new", "-utf8", "-nodes", "-keyout", path(name + ".key"), "-out", request, "-subj", subject ?? "/CN=\(name)"] + key)
        let extensions = path(name + ".ext")
        try! "subjectAltName=\(names)\n".write(toFile: extensions, atomically: true, encoding: .utf8)
        let arguments =
            days.first == "-days"
            ? [
                "x509", "-req", "-in", request, "-CA", path(authority + ".pem"), "-CAkey", path(authority + ".key"), "-CAcreateserial",
                "-extfile", extensions, "-out", path(name + ".pem"),
            ] + days
            : []
        if arguments.isEmpty {
            makeEnding("20200201000000Z", name, request: request, extensions: extensions, authority: authority)
        } else {
            OpenSSLProgram.run(arguments)
        }
    }

    /// A certificate for clients and servers on this machine that expires after that many seconds, and the moment of its expiry.
    func makeEnding(inSeconds seconds: Int, _ name: String) -> (TLSIdentityFiles, end: Date) {
        let (request, extensions) = (path(name + ".csr"), path(name + ".ext"))
        OpenSSLProgram.run(
            "req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", path(name + ".key"), "-out",
            request, "-subj", "/CN=\(name)")
        try! "subjectAltName=DNS:localhost,IP:127.0.0.1\n".write(toFile: extensions, atomically: true, encoding: .utf8)
        let formatter = DateFormatter()
        formatter.dateFormat = "yyyyMMddHHmmss'Z'"
        formatter.timeZone = TimeZone(identifier: "UTC")
        let end = Date(timeIntervalSinceNow: TimeInterval(seconds))
        makeEnding(formatter.string(from: end), name, request: request, extensions: extensions, authority: "authority")
        return (identity(name), end)
    }

    /// `openssl x509` of OpenSSL 3.0 cannot make an already expired certificate; `openssl ca` can.
    private func makeEnding(_ end: String, _ name: String, request: String, extensions: String, authority: String) {
        let configuration = path(name + "-ca.conf")
        try! """
        [ca]
        default_ca = here
        [here]
        database = \(path(name + "-index.txt"))
        serial = \(path(name + "-serial.txt"))
        new_certs_dir = \(folder)
        default_md = sha256
        policy = any
        unique_subject = no
        [any]
        commonName = supplied
        """.write(toFile: configuration, atomically: true, encoding: .utf8)
        try! "".write(toFile: path(name + "-index.txt"), atomically: true, encoding: .utf8)
        try! "1000\n".write(toFile: path(name + "-serial.txt"), atomically: true, encoding: .utf8)
        OpenSSLProgram.run(
            "ca", "-batch", "-notext", "-config", configuration, "-in", request, "-cert", path(authority + ".pem"), "-keyfile",
            path(authority + ".key"), "-extfile", extensions, "-startdate", "20200101000000Z", "-enddate", end, "-out",
            path(name + ".pem"))
    }
}

// Certificates for the simulated world, made by the `openssl` program in a folder of their own, once for all runs.

import Foundation

struct SimulatedCertificates {
    struct Identity {
        var certificate: String
        var key: String
    }

    static let shared = SimulatedCertificates()
    /// What servers in the simulated world go by, and the proxy too.
    static let name = "origin.test"

    let authority: String
    let server: Identity
    /// For another name.
    let impostor: Identity

    private init() {
        let folder = NSTemporaryDirectory() + "heartwire-simulation-\(UUID().uuidString)"
        try! FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        authority = folder + "/authority.pem"
        SimulatedCertificates.run(
            "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", folder + "/authority.key", "-out", authority, "-days", "30", "-subj",
            "/CN=authority")
        server = SimulatedCertificates.make(SimulatedCertificates.name, in: folder)
        impostor = SimulatedCertificates.make("imposto.test", in: folder)
    }

    private static func make(_ name: String, in folder: String) -> Identity {
        let identity = Identity(certificate: "\(folder)/\(name).pem", key: "\(folder)/\(name).key")
        run(
            "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", identity.key, "-out", identity.certificate, "-days", "30", "-subj",
            "/CN=\(name)", "-addext", "subjectAltName=DNS:\(name)", "-CA", folder + "/authority.pem", "-CAkey", folder + "/authority.key")
        return identity
    }

    /// Not by Foundation's `Process`, which has been seen to crash while other tests run.
    private static func run(_ arguments: String...) {
        let words = ["/usr/bin/openssl"] + arguments
        var pointers = words.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        let complaints = NSTemporaryDirectory() + "heartwire-openssl-\(UUID().uuidString)"
        defer { unlink(complaints) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, complaints, O_WRONLY | O_CREAT, 0o600)
        var process = pid_t()
        var status: Int32 = -1
        precondition(posix_spawn(&process, words[0], &actions, nil, &pointers, environ) == 0, "openssl cannot be started")
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        let text = FileManager.default.contents(atPath: complaints).map { String(decoding: $0, as: UTF8.self) } ?? ""
        precondition(status == 0, "openssl \(arguments.joined(separator: " ")): \(text)")
    }
}

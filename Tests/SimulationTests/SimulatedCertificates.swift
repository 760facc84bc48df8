// Certificates for the simulated world, made by the `openssl` program in a folder of their own, once for all runs.

import TestSupport

struct SimulatedCertificates {
    struct Identity {
        var certificate: String
        var key: String
    }

    static let shared = SimulatedCertificates()
    /// The name of servers in the simulated world, and of the proxy.
    static let name = "origin.test"

    let authority: String
    let server: Identity
    /// A certificate for another name.
    let impostor: Identity

    private init() {
        let folder = OpenSSLProgram.makeFolder("simulation")
        authority = folder + "/authority.pem"
        OpenSSLProgram.run(
            "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", folder + "/authority.key", "-out", authority, "-days", "30", "-subj",
            "/CN=authority")
        server = SimulatedCertificates.make(SimulatedCertificates.name, in: folder)
        impostor = SimulatedCertificates.make("imposto.test", in: folder)
    }

    private static func make(_ name: String, in folder: String) -> Identity {
        let identity = Identity(certificate: "\(folder)/\(name).pem", key: "\(folder)/\(name).key")
        OpenSSLProgram.run(
            "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", identity.key, "-out", identity.certificate, "-days", "30", "-subj",
            "/CN=\(name)", "-addext", "subjectAltName=DNS:\(name)", "-CA", folder + "/authority.pem", "-CAkey", folder + "/authority.key")
        return identity
    }
}

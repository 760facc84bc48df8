// What the configuration and the reactor have to agree on, although neither knows the other.

import Configuration
import Reactor
import Testing

@Suite("A server at a UNIX socket")
struct UnixServerTests {
    @Test("has the same path for the configuration and for the reactor")
    func path() { #expect(UnixSocketPath.path(in: Upstream.Server(unixPath: "/run/app.sock").host) == "/run/app.sock") }

    @Test("has a path of the same greatest length for both")
    func length() {
        func isConfigured(_ path: String) -> Bool {
            let text = "listen a:1\nroute /* {\n upstream unix:\(path)\n}\n"
            return (try? ConfigurationFile.parse(Array(text.utf8), fileName: "f") { _ in nil }) != nil
        }
        let longest = "/" + String(repeating: "x", count: UnixSocketPath.maximumBytes - 1)
        #expect(isConfigured(longest) && SocketAddress(unixPath: longest) != nil)
        #expect(!isConfigured(longest + "x") && SocketAddress(unixPath: longest + "x") == nil)
    }
}

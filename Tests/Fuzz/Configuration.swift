// Fuzzes the configuration language: any text. No crash, errors at places that exist, and nothing of a secret in them.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: bytes, count: count))
    do throws(ConfigurationErrors) {
        let parsed = try ConfigurationFile.parse(input, fileName: "f") { $0 == "SET" ? "value" : nil }
        let configuration = parsed.configuration
        precondition(!configuration.listeners.isEmpty && !configuration.routes.isEmpty, "a configuration that serves nobody")
        for route in configuration.routes { precondition(configuration.upstreams.indices.contains(route.upstreamIndex)) }
        let table = RouteTable(configuration.routes)
        for path in ["/", "/events", "/a/../b;c//%2f", "*"] {
            _ = table.match(host: Array("example.com".utf8).span, path: Array(path.utf8).span)
        }
    } catch {
        precondition(!error.diagnostics.isEmpty)
        for diagnostic in error.diagnostics { precondition(diagnostic.line >= 1 && diagnostic.column >= 1) }
        _ = "\(error)"
    }
    return 0
}

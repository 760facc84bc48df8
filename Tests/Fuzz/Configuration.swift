// Fuzzes the configuration language: any text. No crash, errors at places that exist, and no part of a secret in them.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: bytes, count: count))
    do throws(ConfigurationErrors) {
        let parsed = try ConfigurationFile.parse(input, fileName: "f") { $0 == "SET" ? "value" : nil }
        let configuration = parsed.configuration
        require(!configuration.listeners.isEmpty && !configuration.routes.isEmpty, "a configuration that serves nobody")
        for route in configuration.routes {
            require(configuration.upstreams.indices.contains(route.upstreamIndex), "a route to an upstream that is none")
        }
        let table = RouteTable(configuration.routes)
        for path in ["/", "/events", "/a/../b;c//%2f", "*"] {
            _ = table.match(host: Array("example.com".utf8).span, path: Array(path.utf8).span)
        }
    } catch {
        require(!error.diagnostics.isEmpty, "refused without a reason")
        for diagnostic in error.diagnostics { require(diagnostic.line >= 1 && diagnostic.column >= 1, "a place that is none") }
        _ = "\(error)"
    }
    return 0
}

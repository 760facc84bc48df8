// Fuzzes the token bridge: any target, cookies and referrers. No crash, and nothing that goes on holds a token that was
// taken.

private let bridge = TokenBridge(policy: BearerPolicy(sources: [.query(name: "access_token"), .cookie(name: "session")]))

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: bytes, count: count))
    let parts = input.split(separator: 0x0A, maxSplits: 2, omittingEmptySubsequences: false)
    let target = 0..<parts[0].count
    let cookie = parts.count > 1 ? (parts[0].count + 1)..<(parts[0].count + 1 + parts[1].count) : nil
    // A parsed head holds no control characters.
    guard !input.contains(where: { $0 < 0x20 && $0 != 0x0A || $0 == 0x7F }) else { return 0 }
    if case .forward(let request) = bridge.examine(input.span, target: target, cookies: cookie.map { [$0] } ?? [], authorization: nil),
        let token = request.token
    {
        var value: [UInt8] = []
        token.appendAuthorizationValue(to: &value)
        let secret = Array(value.dropFirst("Bearer ".utf8.count))
        // Shorter ones occur anywhere by chance.
        if secret.count >= 6, case .query = request.origin, let forwarded = request.target {
            let query = forwarded.drop { $0 != 0x3F }
            require(!names(query).contains("access_token"), "the parameter went on")
        }
    }
    if parts.count > 2 { _ = bridge.redact(url: Array(parts[2]).span) }
    _ = TokenBridge.loggablePath(of: input.span)
    return 0
}

/// The decoded names of a query's parameters.
private func names(_ query: ArraySlice<UInt8>) -> [String] {
    query.dropFirst().split(separator: 0x26).map { String(decoding: $0.prefix { $0 != 0x3D }, as: UTF8.self) }
}

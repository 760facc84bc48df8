// What the tests of Credentials share: building a request's bytes, and reading a result.

import Credentials
import Glibc
import Testing

/// The bytes of a request as far as the bridge looks at them.
func examine(
    _ bridge: TokenBridge, target: [UInt8], cookies: [[UInt8]] = [], authorizations: [String] = [], kind: RequestKind = .ordinary
) -> BridgeResult {
    // Other bytes stand before and between the parts, so that a wrong range is found.
    var head = Array("GET ".utf8)
    let targetRange = head.count..<head.count + target.count
    head += target
    var cookieRanges: [Range<Int>] = []
    for cookie in cookies {
        head += Array(" HTTP/1.1\r\nCookie: ".utf8)
        cookieRanges.append(head.count..<head.count + cookie.count)
        head += cookie
    }
    var fieldRanges: [Range<Int>] = []
    for field in authorizations {
        head += Array("\r\nAuthorization: ".utf8)
        fieldRanges.append(head.count..<head.count + field.utf8.count)
        head += Array(field.utf8)
    }
    head += Array("&access_token=outside; token=outside\r\n".utf8)
    return bridge.examine(
        head.span, target: targetRange, cookies: cookieRanges, authorization: fieldRanges.first,
        authorizationIsRepeated: fieldRanges.count > 1, kind: kind)
}

func examine(
    _ bridge: TokenBridge, _ target: String, cookies: [String] = [], authorizations: [String] = [], kind: RequestKind = .ordinary
) -> BridgeResult {
    examine(
        bridge, target: Array(target.utf8), cookies: cookies.map { Array($0.utf8) }, authorizations: authorizations, kind: kind)
}

/// A result in one line, the token spelled out: `untouched`, `401 missing`, or
/// `forward TOKEN from query to TARGET with COOKIES`.
func summary(_ result: BridgeResult) -> String {
    switch result {
    case .untouched: return "untouched"
    case .refused(let refusal): return "\(refusal.status) \(refusal.error)"
    case .forward(let request):
        var text = "forward \(request.token.map(text(of:)) ?? "-") from \(request.origin?.rawValue ?? "-")"
        if let target = request.target { text += " to " + String(decoding: target, as: UTF8.self) }
        if let cookies = request.cookies { text += " with " + String(decoding: cookies, as: UTF8.self) }
        if request.dropAuthorization { text += " without authorization" }
        return text
    }
}

func text(of token: Token) -> String {
    token.withBytes { bytes in
        var text = ""
        for index in bytes.indices { text.unicodeScalars.append(Unicode.Scalar(bytes[index])) }
        return text
    }
}

let queryBridge = TokenBridge(policy: BearerPolicy(sources: [.query(name: "access_token")]))
let cookieBridge = TokenBridge(policy: BearerPolicy(sources: [.cookie(name: "token")]))
let eitherBridge = TokenBridge(
    policy: BearerPolicy(sources: [.query(name: "access_token"), .query(name: "jwt"), .cookie(name: "token")]))

// Testing's macros cannot print a span, so these take arrays.

func fingerprint(key: [UInt8], of bytes: [UInt8]) -> Fingerprint? {
    Fingerprinter(key: key).fingerprint(ofBytes: bytes.span)
}

func tokenInAuthorization(_ value: String) -> Token? { Token.inAuthorization(Array(value.utf8).span) }

func redacted(_ bridge: TokenBridge, _ url: [UInt8]) -> [UInt8]? { bridge.redact(url: url.span) }

/// The processor time that this thread spends on something, in nanoseconds: on a busy machine the clock says little.
func processorNanoseconds(_ body: () -> Void) -> UInt64 {
    func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
    let start = now()
    body()
    return now() - start
}

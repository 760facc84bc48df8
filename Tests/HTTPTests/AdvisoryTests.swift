// One test for each advisory of facts/http-rules.md on which a parser has a say: the input that broke
// another proxy, and what this one makes of it.

import Glibc
import HTTP
import Testing

@Suite struct AdvisoryTests {
    @Test("HAProxy CVE-2021-40346: the length of a very long field name does not wrap around into another field")
    func veryLongFieldNames() throws {
        // That proxy kept the name's length in eight bits, so 270 became 14, the length of Content-Length.
        for length in [255, 256, 270, 4096, 65_535, 65_536, 65_550] {
            let name = "Content-Length0" + String(repeating: "a", count: length - 15)
            let text = "POST / HTTP/1.1\r\nHost: a\r\n\(name):\r\nContent-Length: 20\r\n\r\n"
            let bytes = Array(text.utf8)
            let limits = HeadLimits(headBytes: 1 << 17)
            let head = try RequestHead.parse(bytes.span, limits: limits)
            #expect(head.text(head.fields[1].name) == name && head.fields[1].value.isEmpty)
            #expect(head.count(of: .contentLength) == 1 && head.framing == .length(20))
            if length > HeadLimits().headBytes {
                #expect(scan(bytes, .request, cuts: []) == .refused(.headTooLarge))
            }
        }
    }

    @Test("HAProxy CVE-2023-25725: an empty field name does not cut the list of fields short")
    func emptyFieldName() {
        #expect(refusal("POST / HTTP/1.1\r\nHost: a\r\n: x\r\nContent-Length: 5\r\n\r\n") == .invalidFieldName)
        #expect(refusal("POST / HTTP/1.1\r\n:\r\nHost: a\r\n\r\n") == .invalidFieldName)
        #expect(responseRefusal("HTTP/1.1 200 OK\r\n: x\r\n\r\n") == .invalidFieldName)
    }

    @Test("HAProxy CVE-2023-40225: an empty Content-Length is refused")
    func emptyContentLength() {
        #expect(refusal("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n") == .invalidContentLength)
        #expect(refusal("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \t\r\n\r\n") == .invalidContentLength)
        #expect(refusal("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\nTransfer-Encoding: chunked\r\n\r\n") == .conflictingLengths)
        #expect(responseRefusal("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n") == .invalidContentLength)
    }

    @Test("HAProxy CVE-2023-45539: a target with a fragment is refused")
    func fragmentInTarget() {
        #expect(refusal("GET /index.html#.png HTTP/1.1\r\nHost: a\r\n\r\n") == .malformedTarget)
        #expect(refusal("GET http://a/b#c HTTP/1.1\r\nHost: a\r\n\r\n") == .malformedTarget)
    }

    @Test("Envoy CVE-2019-9900: NUL in a value is refused")
    func nulInValue() {
        #expect(refusal("GET / HTTP/1.1\r\nHost: a\r\nX-Role: admin\u{00}x\r\n\r\n") == .controlCharacter)
        #expect(refusal("GET / HTTP/1.1\r\nHost: a\u{00}b\r\n\r\n") == .controlCharacter)
        #expect(responseRefusal("HTTP/1.1 200 O\u{00}K\r\n\r\n") == .controlCharacter)
    }

    @Test("Envoy CVE-2019-15226: ten times the fields and options cost no hundred times the time")
    func manyFields() throws {
        func head(_ count: Int) -> [UInt8] {
            let options = (0..<64).map { "o\($0)" }.joined(separator: ",")
            return Array(
                ("GET / HTTP/1.1\r\nHost: a\r\nConnection: \(options)\r\n" + (0..<count).map { "n\($0): v\r\n" }.joined() + "\r\n").utf8)
        }
        let limits = HeadLimits(headBytes: 1 << 20, fieldCount: 20_000)
        /// In nanoseconds of this thread's processor time, because a busy machine makes every other clock run on.
        func cost(_ bytes: [UInt8]) throws -> Int {
            func spent() -> Int {
                var time = timespec()
                clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
                return time.tv_sec * 1_000_000_000 + time.tv_nsec
            }
            var best = Int.max
            for _ in 0..<3 {
                let before = spent()
                _ = try RequestHead.parse(bytes.span, limits: limits)
                best = min(best, spent() - before)
            }
            return best
        }
        let small = try cost(head(1_000))
        let large = try cost(head(10_000))
        #expect(large < small * 50)
        let commas = Array(("GET / HTTP/1.1\r\nHost: a\r\nConnection: " + String(repeating: ",", count: 500_000) + "\r\n\r\n").utf8)
        #expect(try RequestHead.parse(commas.span, limits: limits).keepsAlive)
        #expect(scan(head(1_000), .request, cuts: []) == .refused(.tooManyFields))
    }

    @Test("Envoy CVE-2024-23326: a 200 to an upgrade is an ordinary answer with a body")
    func okIsNoUpgrade() throws {
        let head = try response("HTTP/1.1 200 OK\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\n")
        #expect(try head.framing(requestMethod: .get) == .length(5))
        #expect(head.forwardedNames.isEmpty)
    }

    @Test("Traefik CVE-2024-45410 and CVE-2026-29054: Connection removes nothing that a proxy vouches for, in any case of letters")
    func connectionDeletesForwardedFields() throws {
        for option in [
            "X-Forwarded-For", "x-forwarded-for", "X-REAL-IP", "x-forwarded-tls-client-cert", "Authorization", "AUTHORIZATION", "Host",
            "via",
        ] {
            let name = option.lowercased() == "host" ? "X-Forwarded-Host" : option.uppercased()
            let head = try request("GET / HTTP/1.1\r\nHost: a\r\nConnection: close, \(option)\r\n\(name): 10.0.0.1\r\n\r\n")
            #expect(head.forwardedNames == [name])
            #expect(head.text(head.authority) == "a")
        }
    }

    @Test("Traefik CVE-2026-33433: an alias by case, underscore or dot is not another field")
    func aliases() throws {
        let head = try request(
            "GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 1\r\nx.forwarded.for: 2\r\nAuthorization_: 3\r\nAUTHORIZATION: 4\r\n\r\n")
        #expect(head.fields.map(\.known) == [.host, .other, .other, .other, .authorization])
        #expect(head.count(of: .authorization) == 1 && head.count(of: .xForwardedFor) == 0)
        #expect(head.forwardedNames.count == 4)
    }

    @Test("Caddy CVE-2026-30851: every copy of a field is left out when the proxy writes its own")
    func copiesOfAnIdentityField() throws {
        let head = try request(
            "GET / HTTP/1.1\r\nHost: a\r\nX-Real-IP: 1\r\nx-real-ip: 2\r\nAuthorization: a\r\nAUTHORIZATION: b\r\nX: y\r\n\r\n")
        var writer = HeadWriter()
        writer.copyForwardableFields(of: head, except: [.xRealIP, .authorization])
        #expect(String(decoding: writer.bytes, as: UTF8.self) == "X: y\r\n")
    }

    @Test("Caddy CVE-2026-55458: fields of one connection are not passed on with a 101 either")
    func switchingProtocols() throws {
        let head = try response(
            """
            HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade, X-Internal\r\nUpgrade: websocket\r\nKeep-Alive: 5\r\n\
            X-Internal: 1\r\nSec-WebSocket-Accept: x\r\n\r\n
            """
        )
        #expect(head.forwardedNames == ["Sec-WebSocket-Accept"])
    }

    @Test("SwiftNIO GHSA-7fj7-39wj-c64f: a line end in an outgoing value does not become a line")
    func injectedLines() {
        var writer = HeadWriter()
        #expect(throws: HTTPError.unsafeOutgoingBytes) { try writer.field("Location", text: "/\r\nSet-Cookie: a=b") }
        #expect(throws: HTTPError.unsafeOutgoingBytes) { try writer.field("Authorization", Array("Bearer x\nY: z".utf8)) }
        #expect(writer.bytes.isEmpty)
    }

    @Test("SwiftNIO GHSA-mgc4-wqv7-4pxm: a malformed transfer coding is refused, never read as another framing")
    func malformedTransferCoding() {
        for value in ["chunked chunked", "chunked\u{0B}", "\"chunked\"", "chunked;", "x, chunked", "chunked, x", "chunked\t,", "c hunked"] {
            #expect(refusal("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \(value)\r\n\r\n") != nil)
            #expect(responseRefusal("HTTP/1.1 200 OK\r\nTransfer-Encoding: \(value)\r\n\r\n") != nil)
        }
    }
}

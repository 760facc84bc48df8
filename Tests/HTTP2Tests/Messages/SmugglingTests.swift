// What the text of HTTP/1.1 may never be: more than one request, or another one than the fields say. At random, and with entries of the
// table that come back.

import HTTP
import HTTP2
import TestSupport
import Testing

@Suite("Nothing is smuggled into HTTP/1.1")
struct SmugglingTests {
    private let terms = RequestTerms(isSecured: true, allowsExtendedConnect: true, webSocketKey: key)

    @Test("an entry of the table that was refused once is refused again when it comes back as an index")
    func refusedEntries() throws {
        let bad: [(field: RawField, problem: MalformedRequest)] = [
            (RawField("x", "a\r\nhost: evil"), .invalidFieldValue), (RawField("x", "a\0b"), .invalidFieldValue),
            (RawField("x", " a"), .invalidFieldValue), (RawField("x y", "a"), .invalidFieldName), (RawField("X", "a"), .invalidFieldName),
            (RawField("transfer-encoding", "chunked"), .connectionField), (RawField("te", "gzip"), .invalidTE),
            (RawField(":status", "200"), .unknownPseudoField),
        ]
        for (field, expected) in bad {
            for isHuffman in [false, true] {
                var decoder = HPACKDecoder()
                var fields = DecodedFields()
                let isPseudo = field.name.first == 0x3A
                // GET, https, /, and `:authority: a` as a new entry.
                let beginning: [UInt8] = [0x82, 0x87, 0x84, 0x01, 0x01, 0x61]
                let literal =
                    [0x40] + ReferenceEncoder.string(field.name, isHuffman: isHuffman)
                    + ReferenceEncoder.string(field.value, isHuffman: isHuffman)
                for use in [literal, [0xBE], [0xBE], [0x7E] + ReferenceEncoder.string(field.value, isHuffman: isHuffman)] {
                    let block = isPseudo ? use + beginning : beginning + use
                    try decoder.decode(block.span, into: &fields)
                    #expect(fields.raw.contains(field))
                    #expect(throws: RequestProblem.malformed(expected), "\(field)") {
                        try assembleRequest(fields, isLast: false, terms: terms)
                    }
                }
                // The same connection's next request is served.
                try decoder.decode(beginning.span, into: &fields)
                #expect(try assembleRequest(fields, isLast: true, terms: terms).head.method == .get)
            }
        }
    }

    @Test("whatever the fields: the text is exactly one head, of the request that they say")
    func anyFields() throws {
        var chance = SeededGenerator("any fields become one request")
        var served = 0
        var malformed: Set<MalformedRequest> = []
        for _ in 0..<12_000 {
            let fields = Self.fields(by: &chance)
            let isLast = chance.oneIn(2)
            do throws(RequestProblem) {
                let decodedFields: DecodedFields
                do { decodedFields = try decoded(fields) } catch { continue }
                let request = try assembleRequest(decodedFields, isLast: isLast, terms: terms)
                served += 1
                Self.check(request, says: fields, isLast: isLast)
            } catch {
                if case .malformed(let reason) = error { malformed.insert(reason) }
            }
        }
        #expect(served > 1_000)
        #expect(malformed == Set(MalformedRequest.allCases))
    }

    private static func check(_ request: AssembledRequest, says fields: [RawField], isLast: Bool) {
        let bytes = request.head.bytes
        var scanner = HeadScanner(kind: .request, limits: HeadLimits())
        #expect((try? scanner.receive(bytes.span)) == bytes.count, "\(text(bytes))")
        guard let head = try? RequestHead.parse(bytes.span, limits: HeadLimits()) else {
            Issue.record("not one head: \(text(bytes))")
            return
        }
        func value(_ name: String) -> [UInt8]? { fields.first { $0.name == Array(name.utf8) }?.value }
        #expect(head.target.count == value(":path")?.count && Array(bytes[head.target]) == value(":path"))
        #expect(Array(bytes[head.methodRange]) == (request.isTunnel ? Array("GET".utf8) : value(":method")))
        let host = value(":authority") ?? value("host") ?? []
        #expect(host.starts(with: bytes[head.authority]) && [0, 1].contains(host.count - head.authority.count))
        let length = value("content-length").flatMap { UInt64(String(decoding: $0, as: UTF8.self)) }
        let framing: BodyFraming = length.map { .length($0) } ?? (isLast || request.isTunnel ? .none : .chunked)
        #expect(head.framing == framing && request.contentLength == length)
        #expect((head.upgradeProtocol != nil) == request.isTunnel)
        // Every other line is a field of the client, unchanged and in its order; the cookies are one line.
        let own = ["host", "transfer-encoding", "connection", "upgrade"] + (request.isTunnel ? ["sec-websocket-key"] : [])
        let written = head.fields.map { RawField(Array(bytes[$0.name]), Array(bytes[$0.value])) }
            .filter { !own.contains(text($0.name)) && text($0.name) != "cookie" }
        let left = own + ["te", "http2-settings", "cookie"]
        let expected = fields.filter { $0.name.first != 0x3A && !left.contains(text($0.name)) }
        #expect(written == expected.map { isUnfitEventID($0) ? RawField($0.name, []) : $0 })
        let crumbs = fields.filter { text($0.name) == "cookie" }.map(\.value).filter { !$0.isEmpty }
        #expect(head.firstValue(of: .cookie).map { Array(bytes[$0]) } ?? [] == Array(crumbs.joined(separator: Array("; ".utf8))))
    }

    /// Whether the field is a Last-Event-ID with control characters: HTTP/1.1 drops its value.
    private static func isUnfitEventID(_ field: RawField) -> Bool {
        text(field.name) == "last-event-id" && field.value.contains { $0 < 0x20 && $0 != 9 || $0 == 0x7F }
    }

    /// Mostly a request that could be served, with pieces that could not.
    private static func fields(by chance: inout SeededGenerator) -> [RawField] {
        let isConnect = chance.oneIn(6)
        var fields = raw(isConnect ? tunnel : plainGet)
        if chance.oneIn(4) { fields.swapAt(chance.below(fields.count), chance.below(fields.count)) }
        for _ in 0..<chance.below(5) {
            fields.append(RawField(Array(chance.pick(names).utf8), Array(chance.pick(values).utf8)))
        }
        if chance.oneIn(4) { fields[chance.below(fields.count)].value = Array(chance.pick(values).utf8) }
        if chance.oneIn(8) { fields.remove(at: chance.below(fields.count)) }
        if chance.oneIn(8) { fields.insert(chance.pick(fields.isEmpty ? raw(plainGet) : fields), at: chance.below(fields.count + 1)) }
        if chance.oneIn(6), !fields.isEmpty {
            let index = chance.below(fields.count)
            let byte = UInt8(chance.pick([0, 9, 10, 13, 32, 58, 0x41, 0x7F, 0xC3, chance.below(256)]))
            if chance.oneIn(2) {
                fields[index].value.insert(byte, at: chance.below(fields[index].value.count + 1))
            } else {
                fields[index].name.insert(byte, at: chance.below(fields[index].name.count + 1))
            }
        }
        return fields
    }

    private static let names = [
        "x", "cookie", "cookie", "host", "content-length", "te", "transfer-encoding", "connection", "upgrade", "accept", "last-event-id",
        "http2-settings", "expect", ":path", ":protocol", "sec-websocket-key", "", "x-y",
    ]
    private static let values = [
        "a", "", "a.example", "a.example:443", "b.example", "/", "*", "/a b", "0", "5", "-5", "trailers", "chunked", "websocket",
        "100-continue", "a\r\nb: c", "a\r\n\r\nGET /evil HTTP/1.1\r\nhost: b\r\n\r\n", "PRI", "CONNECT", "OPTIONS", "a\tb", "a\u{1}b", " a",
        "ü",
        "/ HTTP/1.1", "http://b/", "a@b", "http", "https",
    ]
}

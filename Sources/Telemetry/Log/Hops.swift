// Which proxies a request came through, as far as its own fields show. One table has the word of the log, the field, and what its value
// must contain. Anybody can send these fields: a word is evidence, not proof.
// Invariant: rows of the same word stand together, and there are at most 64 rows.

import Bytes

/// One field that betrays a proxy.
package struct HopSign: Sendable {
    /// How the field's name is compared.
    package enum Match: Sendable {
        /// The whole name.
        case whole
        /// The name begins with this text.
        case prefix
    }

    /// The word in the log.
    package let word: StaticString
    /// The field's name, or its beginning, in lower case.
    package let field: StaticString
    /// How the name is compared.
    package let match: Match
    /// What the value must contain, in lower case; nil for any value.
    package let value: StaticString?

    private init(_ word: StaticString, _ field: StaticString, _ match: Match = .whole, value: StaticString? = nil) {
        self.word = word
        self.field = field
        self.match = match
        self.value = value
    }

    /// All signs. `True-Client-IP` and `X-Request-Start` are missing because several products send them.
    package static let all: [HopSign] = [
        HopSign("cloudflare", "cf-ray"),
        HopSign("cloudflare", "cf-connecting-ip"),
        HopSign("cloudfront", "x-amz-cf-id"),
        HopSign("cloudfront", "via", value: "cloudfront"),
        HopSign("aws_load_balancer", "x-amzn-trace-id"),
        HopSign("google", "x-cloud-trace-context"),
        HopSign("google", "via", value: "google"),
        HopSign("azure_front_door", "x-azure-ref"),
        HopSign("azure_front_door", "x-azure-fdid"),
        HopSign("azure_app_service", "x-arr-log-id"),
        HopSign("azure_app_service", "x-arr-ssl"),
        HopSign("fastly", "fastly-client-ip"),
        HopSign("fastly", "x-served-by", value: "cache-"),
        HopSign("akamai", "akamai-origin-hop"),
        HopSign("heroku", "via", value: "vegur"),
        HopSign("heroku", "via", value: "heroku"),
        HopSign("fly", "fly-request-id"),
        HopSign("vercel", "x-vercel-id"),
        HopSign("netlify", "x-nf-request-id"),
        HopSign("render", "rndr-id"),
        HopSign("railway", "x-railway-edge"),
        HopSign("envoy", "x-envoy-", .prefix),
        HopSign("kong", "x-kong-", .prefix),
        HopSign("traefik_or_httpd", "x-forwarded-server"),
        HopSign("varnish", "x-varnish"),
        HopSign("varnish", "via", value: "varnish"),
        HopSign("squid", "via", value: "squid"),
        HopSign("caddy", "via", value: "caddy"),
        HopSign("heartwire", "via", value: "heartwire"),
        HopSign("nginx", "x-real-ip"),
        HopSign("zscaler", "z-forwarded-for"),
        HopSign("blue_coat", "x-bluecoat-via"),
    ]

    private static let longestNameBytes = 64

    /// For each place that a name can have the signs with such names, as bits. Most names of requests have a place without a sign.
    private static let byPlace: InlineArray<256, UInt64> = {
        precondition(all.count <= 64, "a set of hops has 64 bits")
        var signs = InlineArray<256, UInt64>(repeating: 0)
        for (index, sign) in all.enumerated() {
            let count = sign.field.utf8CodeUnitCount
            for length in count...(sign.match == .whole ? count : longestNameBytes) {
                signs[place(count: length, first: sign.field.utf8Start[0], third: sign.field.utf8Start[2])] |= 1 << UInt64(index)
            }
        }
        return signs
    }()

    /// The place of a name with that length and these letters. The factors were searched so that usual fields have a place of their own.
    private static func place(count: Int, first: UInt8, third: UInt8) -> Int {
        (count &+ 123 &* Int(lowercased(first)) &+ 169 &* Int(lowercased(third))) & 255
    }

    /// The signs for which this field counts, as bits.
    fileprivate static func bits(name: Range<Int>, value: Range<Int>, in bytes: Span<UInt8>) -> UInt64 {
        guard name.count >= 3, name.count <= longestNameBytes else { return 0 }
        var candidates = byPlace[place(count: name.count, first: bytes[name.lowerBound], third: bytes[name.lowerBound + 2])]
        var found: UInt64 = 0
        while candidates != 0 {
            let index = candidates.trailingZeroBitCount
            candidates &= candidates &- 1
            let sign = all[index]
            guard sign.match == .prefix || sign.field.utf8CodeUnitCount == name.count, hasPrefixIgnoringCase(bytes, name, sign.field)
            else { continue }
            if let wanted = sign.value, !contains(wanted, bytes, value) { continue }
            found |= 1 << UInt64(index)
        }
        return found
    }

    private static func contains(_ text: StaticString, _ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        var start = range.lowerBound
        while start + text.utf8CodeUnitCount <= range.upperBound {
            if hasPrefixIgnoringCase(bytes, start..<range.upperBound, text) { return true }
            start += 1
        }
        return false
    }
}

/// The proxies that a request's fields betray (`hops`).
package struct Hops: Sendable, Equatable {
    /// A bit for each row of `HopSign.all`.
    package private(set) var bits: UInt64

    /// A set from its bits; none by default.
    package init(bits: UInt64 = 0) { self.bits = bits }

    /// Whether no field betrays a proxy.
    package var isEmpty: Bool { bits == 0 }

    /// Takes one field of a request into account. `name` and `value` are ranges of `bytes`.
    package mutating func look(at name: Range<Int>, _ value: Range<Int>, in bytes: Span<UInt8>) {
        bits |= HopSign.bits(name: name, value: value, in: bytes)
    }

    /// Each word once, in the order of the table.
    package var words: [StaticString] {
        var words: [StaticString] = []
        for (index, sign) in HopSign.all.enumerated() where bits >> UInt64(index) & 1 == 1 {
            if words.last?.description != sign.word.description { words.append(sign.word) }
        }
        return words
    }
}

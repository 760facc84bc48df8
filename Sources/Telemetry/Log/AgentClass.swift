// What kind of client a request came from, by its User-Agent field. The log shows the class and never the text, which would identify
// people. Invariant: a class says how a client reads a stream and comes back; it does not tell two products with the same engine apart.

import Bytes

/// A kind of client (`agent`). Of several classes that fit, the first one counts.
package enum AgentClass: UInt8, CaseIterable, Sendable {
    case bot, mobileSafari, firefox, chrome, safari, curl, okhttp, go, python, node, other

    /// Its word in the log.
    package var name: StaticString {
        switch self {
        case .bot: "bot"
        case .mobileSafari: "mobile_safari"
        case .firefox: "firefox"
        case .chrome: "chrome"
        case .safari: "safari"
        case .curl: "curl"
        case .okhttp: "okhttp"
        case .go: "go"
        case .python: "python"
        case .node: "node"
        case .other: "other"
        }
    }

    /// How a word of the field begins that belongs to the class, in lower case. Every browser on iOS has Safari's engine.
    private static let signs: [(word: StaticString, of: AgentClass)] = [
        ("iphone", .mobileSafari), ("ipad", .mobileSafari), ("crios", .mobileSafari), ("fxios", .mobileSafari), ("edgios", .mobileSafari),
        ("firefox", .firefox), ("chrome", .chrome), ("chromium", .chrome), ("headlesschrome", .chrome), ("safari", .safari),
        ("curl", .curl), ("okhttp", .okhttp), ("go-http-client", .go),
        ("python", .python), ("aiohttp", .python), ("node", .node), ("undici", .node), ("axios", .node),
    ]

    /// How the words of bots end, before a slash or a hyphen.
    private static let botEndings: [StaticString] = ["bot", "spider", "crawler"]

    /// The letters with which signs begin, as bits.
    private static let initials: UInt32 = signs.reduce(0) { $0 | bit(of: $1.word.utf8Start[0]) }

    private static func bit(of letter: UInt8) -> UInt32 { 1 << UInt32(lowercased(letter) & 31) }

    /// The class of a User-Agent field's value, of which the first 256 bytes count.
    package init(of value: Span<UInt8>) {
        var found = AgentClass.other
        let end = min(value.count, 256)
        var start = 0
        while start < end {
            guard isLetter(value[start]) else {
                start += 1
                continue
            }
            var wordEnd = start + 1
            while wordEnd < end, isLetterOrDigit(value[wordEnd]) { wordEnd += 1 }
            let seen = AgentClass.ofWord(value, start..<wordEnd, upTo: end)
            if seen.rawValue < found.rawValue { found = seen }
            start = wordEnd
        }
        self = found
    }

    private static func ofWord(_ value: Span<UInt8>, _ word: Range<Int>, upTo end: Int) -> AgentClass {
        if word.upperBound < end, value[word.upperBound] == UInt8(ascii: "/") || value[word.upperBound] == UInt8(ascii: "-") {
            for ending in botEndings where word.count >= ending.utf8CodeUnitCount {
                let place = (word.upperBound - ending.utf8CodeUnitCount)..<word.upperBound
                if equalsIgnoringCase(value, place, ending) { return .bot }
            }
        }
        guard initials & bit(of: value[word.lowerBound]) != 0 else { return .other }
        let initial = lowercased(value[word.lowerBound])
        for sign in signs where sign.word.utf8Start[0] == initial {
            if hasPrefixIgnoringCase(value, word.lowerBound..<end, sign.word) { return sign.of }
        }
        return .other
    }
}

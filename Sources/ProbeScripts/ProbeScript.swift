// What a probe asks the proxy's endpoint to play: when the head comes, then events and comments with their gaps and sizes. It travels in
// a query, so that hops see an ordinary GET. Invariant: a script that was read stays within the endpoint's bounds, and its query is the
// only text that means it, so that both sides prove the same bytes.

import Bytes

/// Why a query is no script, in a few words for the answer.
package struct ProbeScriptError: Error, Equatable, Sendable {
    /// What is wrong.
    package let message: String

    init(_ message: String) { self.message = message }
}

/// One play of the endpoint.
package struct ProbeScript: Sendable, Equatable {
    /// Several items of one kind, each after the same gap.
    package struct Part: Sendable, Equatable {
        /// How many items.
        package var count: Int
        /// Whether they are comments, and not events.
        package var isComment: Bool
        /// The time before each of them.
        package var gapMilliseconds: Int
        /// How long each item is made, in bytes; 0 for as short as possible.
        package var bytes: Int

        /// A part of a script.
        package init(_ count: Int, comments isComment: Bool = false, afterEach gapMilliseconds: Int, bytes: Int = 0) {
            self.count = count
            self.isComment = isComment
            self.gapMilliseconds = gapMilliseconds
            self.bytes = bytes
        }
    }

    /// How many hexadecimal digits a nonce has.
    package static let nonceDigits = 32
    /// A stream of the endpoint lives no longer.
    package static let lifeMilliseconds = 3_600_000
    /// The endpoint sends no more than so many bytes in a second.
    package static let bytesPerSecond = 1_024
    static let partLimit = 16
    static let itemLimit = 3_600
    static let itemBytes = 4_096
    /// The shortest gap between two items of a part.
    package static let shortestGapMilliseconds = 50

    /// Has to come back in the first event, so that no cache can answer.
    package var nonce: String
    /// When the probe asked, in seconds since 1970: old scripts are refused.
    package var askedAt: Int64
    /// For how long not even the head is sent.
    package var holdMilliseconds = 0
    /// What is played, in this order.
    package var parts: [Part] = []
    /// Whether the stream stays open and silent after its last item. Otherwise it ends in good order.
    package var stays = false
    /// Whether the head asks hops not to buffer (`X-Accel-Buffering: no`).
    package var forbidsBuffering = false

    /// A script that plays nothing.
    package init(nonce: String, askedAt: Int64) {
        self.nonce = nonce
        self.askedAt = askedAt
    }

    /// The script as a query, without the `?`.
    package var query: String {
        var text = "nonce=\(nonce)&at=\(askedAt)&hold=\(holdMilliseconds)&play="
        text += parts.map { "\($0.count)\($0.isComment ? "c" : "e")\($0.gapMilliseconds)\($0.bytes > 0 ? "x\($0.bytes)" : "")" }
            .joined(separator: ",")
        return text + "&stay=\(stays ? 1 : 0)&accel=\(forbidsBuffering ? 1 : 0)"
    }

    /// Reads a query. Parameters that it does not know are ignored: a hop may have added some.
    ///
    /// - Throws: what is missing, malformed or out of bounds.
    package init(query: Substring.UTF8View) throws(ProbeScriptError) {
        let values = Self.parameters(of: query)
        guard let nonce = values["nonce"], Self.isNonce(nonce) else { throw ProbeScriptError("the nonce is missing or malformed") }
        self.init(nonce: String(nonce), askedAt: try Self.number(values["at"], 0...Int64.max, "at"))
        holdMilliseconds = try Self.number(values["hold"] ?? "0", 0...Self.lifeMilliseconds, "hold")
        stays = try Self.number(values["stay"] ?? "0", 0...1, "stay") == 1
        forbidsBuffering = try Self.number(values["accel"] ?? "0", 0...1, "accel") == 1
        let words = (values["play"] ?? "").split(separator: ",")
        guard words.count <= Self.partLimit else { throw ProbeScriptError("it has more than \(Self.partLimit) parts") }
        for word in words { parts.append(try Self.part(word)) }
        guard durationMilliseconds <= Self.lifeMilliseconds else { throw ProbeScriptError("it takes longer than an hour") }
    }

    /// How long it plays, the hold included.
    package var durationMilliseconds: Int { holdMilliseconds + parts.reduce(0) { $0 + $1.count * $1.gapMilliseconds } }

    /// Whether a text is a nonce.
    package static func isNonce(_ text: some StringProtocol) -> Bool {
        text.utf8.count == nonceDigits && text.utf8.allSatisfy { isDigit($0) || ($0 >= 0x61 && $0 <= 0x66) }
    }

    /// The parameters of a query, as they are written; of two with one name the first.
    package static func parameters(of query: Substring.UTF8View) -> [Substring: Substring] {
        var values: [Substring: Substring] = [:]
        for pair in Substring(query).split(separator: "&").prefix(64) {
            guard let place = pair.firstIndex(of: "=") else { continue }
            let name = pair[..<place]
            if values[name] == nil { values[name] = pair[pair.index(after: place)...] }
        }
        return values
    }

    private static func number<Number: FixedWidthInteger>(
        _ text: Substring?, _ range: ClosedRange<Number>, _ name: StaticString
    ) throws(ProbeScriptError) -> Number {
        // "+1" and "01" would be second texts of one script.
        guard let text, let value = Number(text), range.contains(value), "\(value)" == text else {
            throw ProbeScriptError("\(name) is missing, malformed or out of range")
        }
        return value
    }

    /// `20e250x30`: twenty events, each 250 ms after the one before, 30 bytes long.
    private static func part(_ word: Substring) throws(ProbeScriptError) -> Part {
        guard let kind = word.firstIndex(where: { $0 == "e" || $0 == "c" }) else { throw ProbeScriptError("a part names no kind") }
        let timing = word[word.index(after: kind)...].split(separator: "x", maxSplits: 1, omittingEmptySubsequences: false)
        var part = Part(
            try number(word[..<kind], 1...itemLimit, "a count"), comments: word[kind] == "c",
            afterEach: try number(timing.first, 0...lifeMilliseconds, "a gap"))
        if timing.count == 2 { part.bytes = try number(timing[1], 1...itemBytes, "a size") }
        let isTooFast = part.gapMilliseconds * bytesPerSecond < part.bytes * 1_000
        guard !isTooFast else { throw ProbeScriptError("it asks for more than \(bytesPerSecond) bytes a second") }
        guard part.count == 1 || part.gapMilliseconds >= shortestGapMilliseconds else { throw ProbeScriptError("a gap is too short") }
        return part
    }
}

extension ProbeScript {
    /// The query of the question how the stream with a nonce was seen.
    package static func seenQuery(nonce: String, askedAt: Int64) -> String { "nonce=\(nonce)&at=\(askedAt)" }

    /// How many items it plays.
    package var itemCount: Int { parts.reduce(0) { $0 + $1.count } }

    /// The time before its first item, without the hold.
    package var firstGap: Int64 { Int64(parts.first?.gapMilliseconds ?? 0) }
}

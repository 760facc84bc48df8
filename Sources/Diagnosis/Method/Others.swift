// Causes that the log names as they stand, where the method only has to count: slow readers, clients that vanish, and the proxy's own
// limits.

import Telemetry

enum Others {
    /// What was found, and what is known of refusals by the stale tokens.
    static func find(in book: Casebook, staleRefusals: Set<Int>) -> [Finding] {
        var byCause: [Cause: [Int]] = [:]
        var ended = 0
        for (index, stream) in book.facts.streams.enumerated() {
            guard let cause = stream.cause else { continue }
            ended += 1
            guard !book.isExplained[index], watched.contains(cause) else { continue }
            byCause[cause, default: []].append(index)
        }
        var findings: [Finding] = []
        // Some clients are always slow, and phones always vanish: only more than usual is a finding.
        findings += slowReaders(byCause[.clientStalled] ?? [], of: ended, book)
        findings += counted(.mobileSleep, byCause[.clientVanished], least: 5, share: 0.08, of: ended, book, "vanished without a word")
        findings += silentServer(byCause[.upstreamSilent] ?? [], book)
        findings += refused(book, staleRefusals)
        return findings
    }

    /// Those that the proxy cut, and those for which bytes waited most of the time and which may be cut next.
    private static func slowReaders(_ stalled: [Int], of ended: Int, _ book: Casebook) -> [Finding] {
        let slow = book.facts.streams.indices.filter { index in
            let stream = book.facts.streams[index]
            return stream.slowPendingKibibytes > 0 && stream.duration >= 10_000 && stream.cause != .clientStalled
        }
        let most = slow.map { book.facts.streams[$0].slowPendingKibibytes }.max() ?? 0
        let waited =
            "bytes waited most of the time for the clients of \(Words.count(slow.count, "stream")) that were not cut, up to"
            + " \(Words.count(most)) KiB"
        var findings = counted(.slowReader, stalled, least: 3, share: 0.02, of: ended, book, "took their bytes too slowly")
        if findings.isEmpty, slow.count >= 3, Double(slow.count) >= 0.02 * Double(ended) {
            // Nothing has ended for that reason so far.
            findings = [book.finding(.slowReader, .client, of: slow, confidence: 0.45)]
        }
        if !findings.isEmpty, !slow.isEmpty { findings[0].evidence.append(waited) }
        return findings
    }

    private static let watched: Set<Cause> = [.clientStalled, .clientVanished, .upstreamSilent, .proxyError]

    private static func counted(
        _ kind: Finding.Kind, _ streams: [Int]?, least: Int, share: Double, of ended: Int, _ book: Casebook, _ words: String
    ) -> [Finding] {
        guard let streams, streams.count >= least, Double(streams.count) >= share * Double(ended) else { return [] }
        var finding = book.finding(kind, .client, of: streams, confidence: streams.count >= 10 ? 0.85 : 0.7)
        finding.evidence = ["\(Words.count(streams.count)) of \(Words.count(ended, "stream")) ended because their clients \(words)"]
        return [finding]
    }

    /// The proxy's own `stream_silence_timeout`. The cause is certain; one or two alone are no pattern.
    private static func silentServer(_ streams: [Int], _ book: Casebook) -> [Finding] {
        guard !streams.isEmpty else { return [] }
        let silences = streams.compactMap { book.facts.streams[$0].reached(.silence, on: .upstream) }.sorted()
        // The first look after the limit ends the stream, so the limit is the number just below.
        let seconds = silences.isEmpty ? nil : Limit.seconds(of: silences.enumerated().map { EndPoint($1, stream: $0) })
        var finding = book.finding(
            .upstreamSilent, .upstream, of: streams, seconds: seconds, confidence: streams.count >= 3 ? 0.95 : 0.45)
        finding.evidence = [
            "stream_silence_timeout ended them: their server sent nothing"
        ]
        return [finding]
    }

    /// What the proxy itself refused. Credentials are missing wherever a stranger knocks, so that alone is a remark.
    private static func refused(_ book: Casebook, _ staleRefusals: Set<Int>) -> [Finding] {
        let facts = book.facts
        var counts: [Cause: Int] = [:]
        for (index, refusal) in facts.refusals.enumerated() where !staleRefusals.contains(index) {
            if let cause = refusal.cause { counts[cause, default: 0] += 1 }
        }
        let ends: Set<Cause> = [.proxyError, .tokenExpired, .revoked, .authorizationUnavailable]
        for stream in facts.streams { if let cause = stream.cause, ends.contains(cause) { counts[cause, default: 0] += 1 } }
        let kinds: [(Cause, Finding.Kind, claim: Double)] = [
            (.refusedByLimit, .refusedByLimit, 0.9), (.credentialsRefused, .credentialsRefused, 0.4), (.proxyError, .proxyError, 0.9),
            // That a stream ends with its token, or when its user is locked out, is what was asked for.
            (.tokenExpired, .tokenExpired, 0.4), (.revoked, .revoked, 0.4), (.authorizationUnavailable, .authorizationUnavailable, 0.9),
        ]
        return kinds.compactMap { cause, kind, claim in
            guard let count = counts[cause] else { return nil }
            var finding = Finding(kind: kind, side: .proxy, streams: count, confidence: count >= 5 ? claim : min(claim, 0.45))
            finding.evidence = ["\(Words.count(count)) requests or streams have the cause \(cause.rawValue)"]
            return finding
        }
    }
}

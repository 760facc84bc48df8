// What `diagnose` says of logs, whatever form it takes: text for a terminal, JSON, a page. Here is what the three have in common.

import Telemetry

/// The facts of logs, what was found in them, and the words for it.
package struct Report: Sendable {
    /// A finding with its words.
    struct Said {
        let finding: Finding
        let explanation: Explanation
    }

    let facts: LogFacts
    let diagnosis: Diagnosis
    /// From confidence 0.5 on, the surest first.
    let claims: [Said]
    /// Below that.
    let remarks: [Said]
    /// The heartbeat interval of most streams, in seconds; nil if the logs do not tell it.
    let heartbeatInForce: Double?

    /// Applies the method to the facts.
    package init(_ facts: LogFacts) { self.init(facts, Diagnosis(of: facts)) }

    /// A report on findings that are already there.
    init(_ facts: LogFacts, _ diagnosis: Diagnosis) {
        self.facts = facts
        self.diagnosis = diagnosis
        let heartbeat = Report.heartbeat(of: facts)
        heartbeatInForce = heartbeat
        let said = diagnosis.findings.map { Said(finding: $0, explanation: Explanation($0, heartbeatInForce: heartbeat)) }
        claims = said.filter(\.finding.isClaim)
        remarks = said.filter { !$0.finding.isClaim }
    }

    private static func heartbeat(of facts: LogFacts) -> Double? {
        var counts: [UInt32: Int] = [:]
        // Some hundred streams tell it as well as a million.
        let step = max(1, facts.streams.count / 4_096)
        for index in stride(from: 0, to: facts.streams.count, by: step) {
            let interval = facts.streams[index].heartbeatInterval
            if interval != StreamFacts.missing, interval > 0 { counts[interval, default: 0] += 1 }
        }
        if let most = counts.max(by: { ($0.value, $0.key) < ($1.value, $1.key) }) { return Double(most.key) / 1_000 }
        guard let last = facts.starts.last, last.heartbeatMilliseconds > 0 else { return nil }
        return Double(last.heartbeatMilliseconds) / 1_000
    }

    // MARK: Sentences that every form has

    /// What was read, in one or two sentences.
    var read: [String] {
        var sentences = [
            "\(Words.count(facts.lineCount, "line")) of \(Words.count(facts.files.count, "file")),"
                + " \(Words.count(diagnosis.streams, "stream")), \(Words.count(diagnosis.ended)) of them ended, by"
                + " \(Words.count(facts.clientCount, "client"))"
        ]
        if facts.lastTime > 0 {
            let span = Double(facts.lastTime - facts.firstTime) / 1_000
            sentences.append("From \(ClockTime.text(facts.firstTime)) to \(ClockTime.text(facts.lastTime)) UTC (\(Words.span(span)))")
        }
        if facts.wrongTimeLineCount > 0 {
            sentences.append(
                "\(Words.count(facts.wrongTimeLineCount, "line has", "lines have")) a time that cannot be"
                    + " (\(ClockTime.text(facts.wrongTime))): a clock was wrong, and what they say of times is left out")
        }
        if !facts.repeatedFiles.isEmpty {
            sentences.append("Named twice, and read once: \(Words.list(facts.repeatedFiles))")
        }
        if facts.keptOneIn > 1 {
            sentences.append(
                "One in \(Words.count(facts.keptOneIn)) \(facts.keptOneIn > facts.clientCount ? "streams" : "clients") was looked at:"
                    + " \(Words.count(facts.leftOutStreamCount, "stream")) more left out, counts are of the rest")
        }
        if facts.skippedLineCount > 0 {
            sentences.append("\(Words.count(facts.skippedLineCount, "line")) skipped: no JSON, or of an unknown event")
        }
        if facts.droppedLineCount > 0 {
            sentences.append(
                "\(Words.count(facts.droppedLineCount, "line")) could not be written by the proxy (log_dropped), and are missing")
        }
        return sentences
    }

    /// What the path was proved to bear.
    var excluded: [String] { excluded(diagnosis.client, on: .client) + excluded(diagnosis.upstream, on: .upstream) }

    private func excluded(_ survived: Diagnosis.Survived, on side: Finding.Side) -> [String] {
        let place = side == .client ? "between browser and proxy" : "between proxy and server"
        var sentences: [String] = []
        // Less than that excludes no hop of the table.
        if let silence = survived.silence, silence >= 5 {
            var sentence =
                "No idle timeout below \(Words.span(silence)) \(place): \(Words.count(survived.silenceStreams, "stream")) outlived"
                + " such a silence."
            if side == .client, let heartbeat = heartbeatInForce, silence < heartbeat * 1.3 {
                sentence += " Longer silences did not occur, because of the heartbeat every \(Words.seconds(heartbeat))."
            }
            sentences.append(sentence)
        }
        if let age = survived.age, age >= 15 {
            sentences.append(
                "No limit on a stream's whole life below \(Words.span(age)) \(place): \(Words.count(survived.ageStreams, "stream")) lived"
                    + " longer.")
        }
        return sentences
    }

    /// When there is nothing to claim.
    var verdict: String {
        if diagnosis.streams == 0, claims.isEmpty { return "There are no streams in these logs: stream_log has the lines that are needed." }
        if claims.isEmpty { return "Nothing found: streams end as streams end when nobody cuts them." }
        return claims.count == 1 ? "One cause found." : "\(claims.count) causes found."
    }

    /// The lines that show a finding: where each is, and what it says.
    func examples(of finding: Finding) -> [(place: String, text: String)] {
        finding.examples.prefix(3).compactMap { index in
            guard facts.streams.indices.contains(index) else { return nil }
            let stream = facts.streams[index]
            return (place(of: stream), text(of: stream, finding))
        }
    }

    func place(of stream: StreamFacts) -> String {
        let file = facts.files.indices.contains(Int(stream.place.file)) ? facts.files[Int(stream.place.file)] : "-"
        return "\(file):\(stream.place.line)"
    }

    private func text(of stream: StreamFacts, _ finding: Finding) -> String {
        let lived = Words.seconds(Double(stream.duration) / 1_000)
        var text = stream.cause.map { "\($0.rawValue) after \(lived)" } ?? "open for \(lived)"
        let silence = finding.side == .upstream ? stream.upstreamSilenceAtEnd : stream.clientSilenceAtEnd
        if finding.isSilentDrop, stream.longestClientSilence != StreamFacts.missing {
            text += ", once silent for \(Words.seconds(Double(stream.longestClientSilence) / 1_000))"
        } else if silence != StreamFacts.missing, stream.cause != nil {
            text += ", silent for \(Words.seconds(Double(silence) / 1_000))"
        }
        let around = facts.surroundings[Int(stream.surroundings)]
        if !around.path.isEmpty { text += ", \(around.path)" }
        if finding.side == .upstream, !around.server.isEmpty { text += ", \(around.server)" }
        return text
    }

    /// When it happened, in one sentence: the first moments, and how many more. A day is named once.
    func moments(of finding: Finding) -> String? {
        guard let first = finding.moments.first else { return nil }
        if finding.kind == .staleToken { return "The first at \(ClockTime.text(first)) UTC." }
        var day = ""
        let texts = finding.moments.map { moment in
            let text = ClockTime.text(moment)
            let isSame = text.prefix(10) == day
            day = String(text.prefix(10))
            return isSame ? String(text.dropFirst(11)) : String(text)
        }
        return "At \(Words.list(texts, most: 5)) (UTC)."
    }
}

/// Moments as people read them.
enum ClockTime {
    /// `2026-07-04 12:34:56`, UTC.
    static func text(_ unixMilliseconds: Int64) -> String {
        let text = timestampText(unixMilliseconds)
        return text.prefix(10) + " " + text.dropFirst(11).prefix(8)
    }
}

// A report for people, and as one object of JSON. Invariant: strangers' words are escaped, so that nothing of them acts on a terminal.

import Diagnosis

extension ProbeReport {
    private var said: [SaidFinding] { findings.map { SaidFinding($0, heartbeat: heartbeatSeconds, hops: hops) } }

    /// The report as lines of text.
    package var text: String {
        var lines: [String] = []
        for fact in facts { lines.append("  \(fact)") }
        let claims = said.filter { $0.finding.confidence >= 0.5 }
        let remarks = said.filter { $0.finding.confidence < 0.5 }
        if let refusal { lines += ["", "Stopped: \(refusal)."] }
        lines.append("")
        if claims.isEmpty {
            lines.append(refusal == nil ? "Nothing found that hurts event streams." : "Nothing was found before that.")
        }
        for (index, one) in claims.enumerated() { lines += describe(one, "\(index + 1). ") }
        if !remarks.isEmpty {
            lines += ["", "Remarks, too weak to count:"]
            for one in remarks { lines += describe(one, "- ") }
        }
        lines += section("Proved:", proved) + section("Could not be told:", untold)
        return lines.map { Printable.text($0) + "\n" }.joined()
    }

    private func describe(_ one: SaidFinding, _ mark: String) -> [String] {
        let finding = one.finding
        let indent = String(repeating: " ", count: mark.count)
        var lines = ["\(mark)\(one.headline) (\(Words.certainty(finding.confidence)))"]
        if let between = finding.between {
            lines.append("\(indent)Limit: between \(Words.seconds(between.lowerBound)) and \(Words.seconds(between.upperBound)).")
        }
        for evidence in finding.evidence { lines.append("\(indent)- \(evidence)") }
        if !one.candidates.isEmpty {
            let names = one.candidates.map { $0.isVerified ? $0.name : "\($0.name) (not verified)" }
            lines.append("\(indent)It may be: \(Words.list(names, most: 6, last: "or")).")
        }
        for advice in one.advice { lines.append("\(indent)> \(advice)") }
        return lines
    }

    private func section(_ title: String, _ lines: [String]) -> [String] { lines.isEmpty ? [] : ["", title] + lines.map { "  \($0)" } }

    /// The report as one object, without a line end. `url` is shown as it is.
    package func json(url: String) -> [UInt8] {
        var out = JSONText()
        out.object {
            $0.text("url", url)
            if let http { $0.text("http", http) }
            if let refusal { $0.text("stopped", refusal) }
            $0.list("findings", said) { one, out in encode(one, &out) }
            $0.list("steps", steps.map(\.step)) { $1.value($0.title) }
            $0.list("proved", proved) { $1.value($0) }
            $0.list("untold", untold) { $1.value($0) }
            $0.list("facts", facts) { $1.value($0) }
            $0.list("hops", hops) { $1.value($0) }
            $0.number("heartbeat_seconds", heartbeatSeconds)
        }
        return out.bytes
    }

    private func encode(_ one: SaidFinding, _ out: inout JSONText) {
        let finding = one.finding
        out.object {
            $0.contract(
                kind: finding.kind.rawValue, side: finding.side.rawValue, seconds: finding.seconds, streams: finding.streams,
                confidence: finding.confidence, isSilentDrop: finding.isSilentDrop, between: finding.between)
            $0.text("summary", one.headline)
            $0.list("evidence", finding.evidence) { $1.value($0) }
            $0.list("candidates", one.candidates) { $1.value($0.name) }
            $0.text("advice", one.advice.joined(separator: " "))
        }
    }
}

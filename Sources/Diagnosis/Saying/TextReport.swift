// The report as text for a terminal: first what was found and what to change, then how it is known.

extension Report {
    /// The text, for a terminal of that many columns.
    package func text(columns: Int, isColoured: Bool) -> String {
        var out = TerminalText(columns: min(columns, 120), isColoured: isColoured)
        for sentence in read { out.add(sentence + ".", .faint) }
        out.blank()
        out.add(verdict, claims.isEmpty ? .good : .strong)
        for (number, said) in claims.enumerated() { say(said, "\(number + 1).", .alarm, &out) }
        if claims.isEmpty, diagnosis.ended > 0 {
            out.blank()
            draw(Histogram(agesOf: facts), &out, indentation: 0)
        }
        if !excluded.isEmpty {
            out.blank()
            out.add("Excluded", .strong)
            for sentence in excluded { out.add(sentence, first: "  - ") }
        }
        if !remarks.isEmpty {
            out.blank()
            out.add("Remarks: too little to claim it", .strong)
            for said in remarks { say(said, "-", .plain, &out, isRemark: true) }
        }
        return out.text
    }

    private func say(_ said: Said, _ mark: String, _ style: TerminalText.Style, _ out: inout TerminalText, isRemark: Bool = false) {
        let (finding, explanation) = (said.finding, said.explanation)
        out.blank()
        let side = finding.side == .client ? "clients' side" : finding.side == .upstream ? "servers' side" : "this proxy"
        let confidence = (finding.confidence * 100).rounded() / 100
        out.add(line: [
            ("\(mark) ", style), (explanation.title.capitalizedFirst, style), (", \(side)", .plain),
            ("  \(explanation.certainty) (\(confidence))", .faint),
        ])
        let indent = String(repeating: " ", count: mark.count + 1)
        out.add(explanation.headline, isRemark ? .plain : .strong, first: indent)
        if let doubt = explanation.doubt { out.add(doubt, first: indent) }
        if let moments = moments(of: finding) { out.add(moments, first: indent) }
        list("What to change", explanation.advice, indent, &out, .accent)
        list("Who it may be", candidateLines(explanation, finding), indent, &out)
        list("How it is known", explanation.evidence, indent, &out)
        list("For example", examples(of: finding).map { "\($0.place)  \($0.text)" }, indent, &out)
        if !isRemark, let histogram = Histogram(facts, finding) { draw(histogram, &out, indentation: indent.count) }
    }

    private func list(
        _ heading: String, _ lines: [String], _ indent: String, _ out: inout TerminalText, _ style: TerminalText.Style = .plain
    ) {
        guard !lines.isEmpty else { return }
        out.add(heading, .faint, first: indent)
        for line in lines { out.add(line, style, first: indent + "  - ") }
    }

    /// The rows' names in one line; those that nobody has verified apart.
    private func candidateLines(_ explanation: Explanation, _ finding: Finding) -> [String] {
        let changed = explanation.candidates.filter { $0.isChanged(for: finding) }
        let usual = explanation.candidates.filter { !$0.isChanged(for: finding) }
        let known = usual.filter(\.isVerified).map(\.name)
        let hearsay = usual.filter { !$0.isVerified }.map(\.name)
        return changed.map { "\($0.name): the requests name it; \(Words.seconds($0.seconds)) unless somebody has set it" }
            + (known.isEmpty ? [] : [known.joined(separator: ", ")])
            + (hearsay.isEmpty ? [] : ["not verified: \(hearsay.joined(separator: ", "))"])
    }

    private func draw(_ histogram: Histogram, _ out: inout TerminalText, indentation: Int) {
        let indent = String(repeating: " ", count: indentation)
        out.add(histogram.title, .faint, first: indent)
        let labels = histogram.rows.indices.map(histogram.label)
        let widest = labels.map(\.count).max() ?? 0
        let room = max(10, min(60, out.width - indentation - widest - 24))
        for (index, row) in histogram.rows.enumerated() {
            let label = String(repeating: " ", count: widest - labels[index].count) + labels[index]
            // Whatever is there is seen.
            let length = row.count == 0 ? 0 : max(1, row.count * room / max(1, histogram.most))
            out.add(line: [
                ("\(indent)  \(label) |", .plain), (String(repeating: "#", count: length), row.isWall ? .alarm : .plain),
                (row.count == 0 ? "" : " \(Words.count(row.count))", .plain), (row.isWall ? "  <- the wall" : "", .alarm),
            ])
        }
    }
}

// The report as one page of HTML that needs nothing else: no script, no font, no picture from elsewhere.
//
// Invariant: every text goes through `escaped`, because paths, servers and file names are strangers' words.

import Telemetry

extension Report {
    /// The page.
    package var page: [UInt8] {
        var out = PageText()
        out.raw(PageText.head)
        out.raw("<header><h1>Why streams end</h1>")
        for sentence in read { out.element("p", sentence + ".", "faint") }
        out.element("p", verdict, claims.isEmpty ? "verdict good" : "verdict")
        out.raw("</header><main>")
        for (number, said) in claims.enumerated() { write(said, "\(number + 1). ", &out) }
        write(EndsPlot(facts, claims.map(\.finding)), &out)
        if claims.isEmpty { write(Histogram(agesOf: facts), &out) }
        if !excluded.isEmpty {
            out.raw("<section><h2>Excluded</h2>")
            out.list(excluded)
            out.raw("</section>")
        }
        if !remarks.isEmpty {
            out.raw("<h2>Remarks: too little to claim it</h2>")
            for said in remarks { write(said, "", &out) }
        }
        out.raw("</main></body></html>\n")
        return Array(out.text.utf8)
    }

    private func write(_ said: Said, _ number: String, _ out: inout PageText) {
        let (finding, explanation) = (said.finding, said.explanation)
        let side = finding.side == .client ? "clients' side" : finding.side == .upstream ? "servers' side" : "this proxy"
        out.raw(finding.isClaim ? "<section class=\"claim\">" : "<section class=\"remark\">")
        out.raw(finding.isClaim ? "<h2>" : "<h3>")
        out.add("\(number)\(explanation.title.capitalizedFirst)")
        out.raw("<span class=\"side\">")
        out.add("\(side) · \(explanation.certainty) (\((finding.confidence * 100).rounded() / 100))")
        out.raw(finding.isClaim ? "</span></h2>" : "</span></h3>")
        out.element("p", explanation.headline, "headline")
        if let doubt = explanation.doubt { out.element("p", doubt) }
        if let moments = moments(of: finding) { out.element("p", moments) }
        part("What to change", explanation.advice, &out, "advice")
        if !explanation.candidates.isEmpty { write(explanation.candidates, &out) }
        if let histogram = Histogram(facts, finding) { write(histogram, &out) }
        part("How it is known", explanation.evidence, &out)
        part("For example", examples(of: finding).map { "\($0.place)  \($0.text)" }, &out, "examples")
        out.raw("</section>")
    }

    private func part(_ heading: String, _ lines: [String], _ out: inout PageText, _ style: String = "") {
        guard !lines.isEmpty else { return }
        out.element("h4", heading)
        out.list(lines, style)
    }

    private func write(_ candidates: [Hop], _ out: inout PageText) {
        out.raw("<h4>Who it may be</h4><div class=\"wide\"><table><tr><th>hop</th><th>limit</th><th>reset by</th><th>known from</th></tr>")
        for hop in candidates {
            out.raw("<tr>")
            out.element("td", hop.name)
            out.element("td", "\(Words.decimal(hop.seconds)) s, \(hop.limit.rawValue)")
            out.element("td", hop.resetBy)
            out.element("td", hop.isVerified ? hop.source : "\(hop.source) (not verified)")
            out.raw("</tr>")
        }
        out.raw("</table></div>")
    }

    // MARK: Plots

    private func write(_ histogram: Histogram, _ out: inout PageText) {
        out.raw("<figure><figcaption>")
        out.add(histogram.title)
        out.raw("</figcaption>")
        for (index, row) in histogram.rows.enumerated() {
            // Whatever is there is seen.
            let share = row.count == 0 ? 0 : max(0.01, Double(row.count * 1_000 / max(1, histogram.most)) / 1_000)
            out.raw("<div class=\"row\"><span>")
            out.add(histogram.label(index))
            out.raw("</span><div><i style=\"--share:\(share)\"\(row.isWall ? " class=\"wall\"" : "")></i>")
            out.raw("\(row.count == 0 ? "" : Words.count(row.count))\(row.isWall ? " ← the wall" : "")</div></div>")
        }
        out.raw("</figure>")
    }

    private func write(_ plot: EndsPlot, _ out: inout PageText) {
        guard !plot.points.isEmpty else { return }
        out.raw("<section><h2>All ends</h2><figure class=\"plot\"><figcaption>")
        out.add(
            "Each dot is a stream that ended: when, and at which age. A limit on the whole life is a line across; a restart is a column.")
        out.raw("</figcaption><svg viewBox=\"0 0 640 260\" role=\"img\">")
        for line in plot.lines {
            out.raw("<line x1=\"60\" x2=\"630\" y1=\"\(line.y)\" y2=\"\(line.y)\"\(line.isLimit ? " class=\"wall\"" : "")/>")
            out.raw("<text x=\"54\" y=\"\(line.y + 4)\" class=\"right\">")
            out.add(line.label)
            out.raw("</text>")
        }
        for point in plot.points { out.raw("<circle cx=\"\(point.x)\" cy=\"\(point.y)\" r=\"1.6\" class=\"\(point.side)\"/>") }
        out.raw("<text x=\"60\" y=\"254\">")
        out.add(plot.first)
        out.raw("</text><text x=\"630\" y=\"254\" class=\"right\">")
        out.add(plot.last)
        out.raw("</text></svg></figure><p class=\"key\"><i class=\"client\"></i> the client's side ended it ")
        out.raw("<i class=\"upstream\"></i> the server's side <i class=\"proxy\"></i> the proxy</p></section>")
    }
}

/// Ends over time and age, as dots.
struct EndsPlot {
    private static let mostPoints = 3_000
    private static let labelHeight = 14
    private static let ages: [(seconds: Double, label: String)] = [
        (1, "1 s"), (10, "10 s"), (60, "1 min"), (300, "5 min"), (3_600, "1 h"), (86_400, "1 day"),
    ]

    private(set) var points: [(x: Int, y: Int, side: String)] = []
    private(set) var lines: [(y: Int, label: String, isLimit: Bool)] = []
    let first: String
    let last: String

    init(_ facts: LogFacts, _ findings: [Finding]) {
        first = ClockTime.text(facts.firstTime)
        last = ClockTime.text(facts.lastTime)
        let (start, span) = (facts.firstTime, max(1, facts.lastTime - facts.firstTime))
        let step = max(1, facts.streams.count / EndsPlot.mostPoints)
        for index in stride(from: 0, to: facts.streams.count, by: step) {
            let stream = facts.streams[index]
            guard let cause = stream.cause else { continue }
            let time = stream.openedAt + Int64(stream.duration) - start
            let x = 60 + Int(Double(max(0, min(time, span))) / Double(span) * 570)
            points.append((x, EndsPlot.height(Double(stream.duration) / 1_000), cause.side.rawValue))
        }
        for finding in findings where finding.kind == .absoluteTimeout || finding.kind == .buffering {
            guard let seconds = finding.seconds else { continue }
            add(EndsPlot.height(seconds), Words.seconds(seconds), isLimit: true)
        }
        for age in EndsPlot.ages { add(EndsPlot.height(age.seconds), age.label, isLimit: false) }
    }

    /// A line without room for its label is left out; of two limits that lie so near only the line of the second one stays.
    private mutating func add(_ y: Int, _ label: String, isLimit: Bool) {
        let hasRoom = lines.allSatisfy { abs($0.y - y) >= EndsPlot.labelHeight }
        if hasRoom || isLimit { lines.append((y, hasRoom ? label : "", isLimit)) }
    }

    /// Ages are shown by their logarithm, to base 2 in steps of a sixteenth: each doubling is as high as the next.
    private static func height(_ seconds: Double) -> Int {
        let bounded = min(max(seconds, 0.5), 172_800)
        let power = bounded.exponent
        let logarithm = Double(power) + bounded.significand - 1
        return 240 - Int((logarithm + 1) / 18.5 * 232)
    }
}

/// HTML that is written and never read.
struct PageText {
    private(set) var text = ""

    /// Markup of our own.
    mutating func raw(_ markup: String) { text += markup }

    /// A text.
    mutating func add(_ words: String) { text += PageText.escaped(words) }

    mutating func element(_ name: String, _ words: String, _ style: String = "") {
        text += style.isEmpty ? "<\(name)>" : "<\(name) class=\"\(style)\">"
        add(words)
        text += "</\(name)>"
    }

    mutating func list(_ lines: [String], _ style: String = "") {
        text += style.isEmpty ? "<ul>" : "<ul class=\"\(style)\">"
        for line in lines { element("li", line) }
        text += "</ul>"
    }

    static func escaped(_ text: String) -> String {
        var escaped = ""
        for scalar in Printable.text(text).unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    static let head = """
        <!DOCTYPE html>
        <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
        <title>Why streams end</title><style>
        :root { color-scheme: light dark; --text: #1d2129; --faint: #5c6573; --back: #fff; --box: #f4f6f9; --line: #d5dae2;
          --bar: #5b83c4; --wall: #c8324a; --good: #1c7c45; --upstream: #b06a12; --proxy: #7d55b5 }
        @media (prefers-color-scheme: dark) { :root { --text: #e4e8ee; --faint: #9aa5b4; --back: #14181e; --box: #1d232c;
          --line: #343d49; --bar: #7aa2e3; --wall: #ff6b81; --good: #5fca8c; --upstream: #e0a04a; --proxy: #b594ea } }
        body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back);
          max-width: 60rem; margin: 0 auto; padding: 1rem }
        h1, h2, h3 { line-height: 1.25 } h4 { margin: 1rem 0 .25rem; color: var(--faint) }
        p { margin: .25rem 0 } ul { margin: .25rem 0; padding-left: 1.25rem } li, td { overflow-wrap: anywhere }
        section { margin: 1.5rem 0; padding: .25rem 1rem 1rem; background: var(--box); border-radius: 8px;
          border-left: 4px solid var(--line) }
        section.claim { border-left-color: var(--wall) }
        .side { display: block; font-size: 1rem; font-weight: normal; color: var(--faint) }
        .faint, .key, figcaption { color: var(--faint) } .headline { font-weight: 600 } .verdict { font-size: 1.25rem; margin-top: 1rem }
        .good { color: var(--good) } .examples { font-family: ui-monospace, monospace; font-size: .875rem }
        .wide { overflow-x: auto } table { border-collapse: collapse; font-size: .875rem } td, th { text-align: left; vertical-align: top;
          padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line) } td { min-width: 5rem } td:first-child { min-width: 14rem }
        @media (max-width: 40rem) { th { display: none } td { display: block; min-width: 0; padding: 0 0 0 .75rem; border: 0 }
          td:first-child { padding: .5rem 0 0; font-weight: 600 }
          td:nth-child(3)::before { content: "reset by: " } td:last-child { color: var(--faint) } }
        figure { margin: 1rem 0 } .row { display: flex; gap: .5rem; font-size: .875rem; line-height: 1.5 }
        .row span { flex: 0 0 8.5rem; text-align: right } .row div { flex: 1; white-space: nowrap }
        .row i { display: inline-block; width: calc(var(--share) * 65%);
          height: .75rem; margin-right: .375rem; vertical-align: -1px; background: var(--bar) }
        @media (max-width: 40rem) { .row span { flex-basis: 7.25rem } .row i { width: calc(var(--share) * 45%) } }
        .row i.wall { background: var(--wall) } .plot { overflow-x: auto }
        svg { width: 100%; min-width: 34rem; max-width: 44rem } svg text { font-size: 13px; fill: var(--text) }
        svg text.right { text-anchor: end }
        line { stroke: var(--line) } line.wall { stroke: var(--wall) } circle { fill: var(--bar); fill-opacity: .55 }
        circle.upstream { fill: var(--upstream) } circle.proxy { fill: var(--proxy) }
        .key i { display: inline-block; width: .6rem; height: .6rem; border-radius: 50%; background: var(--bar) }
        .key .upstream { background: var(--upstream) } .key .proxy { background: var(--proxy) }
        </style></head><body>
        """
}

// The report as one object of JSON. The keys of a finding are a contract (conf/diagnose.md).

import Telemetry

extension Report {
    /// The object, without a line end.
    package var json: [UInt8] {
        var out = JSONText()
        out.object {
            $0.list("findings", claims + remarks) { said, out in encode(said, &out) }
            $0.object("survived") {
                $0.object("client") { encode(diagnosis.client, &$0) }
                $0.object("upstream") { encode(diagnosis.upstream, &$0) }
            }
            $0.list("excluded", excluded) { $1.value($0) }
            $0.number("streams", diagnosis.streams)
            $0.number("ended", diagnosis.ended)
            $0.number("clients", facts.clientCount)
            $0.number("lines", facts.lineCount)
            $0.number("skipped_lines", facts.skippedLineCount)
            $0.number("dropped_lines", facts.droppedLineCount)
            $0.number("wrong_time_lines", facts.wrongTimeLineCount)
            $0.number("kept_one_in", facts.keptOneIn)
            $0.list("files", facts.files) { $1.value($0) }
            $0.list("repeated_files", facts.repeatedFiles) { $1.value($0) }
            if facts.lastTime > 0 {
                $0.text("first_time", timestampText(facts.firstTime))
                $0.text("last_time", timestampText(facts.lastTime))
            }
            if let heartbeatInForce { $0.number("heartbeat_seconds", heartbeatInForce) }
        }
        return out.bytes
    }

    private func encode(_ survived: Diagnosis.Survived, _ out: inout JSONText) {
        out.number("silence_seconds", survived.silence)
        out.number("silence_streams", survived.silenceStreams)
        out.number("age_seconds", survived.age)
        out.number("age_streams", survived.ageStreams)
    }

    private func encode(_ said: Said, _ out: inout JSONText) {
        let (finding, explanation) = (said.finding, said.explanation)
        out.object {
            $0.contract(
                kind: finding.kind.rawValue, side: finding.side.rawValue, seconds: finding.seconds, streams: finding.streams,
                confidence: finding.confidence, isSilentDrop: finding.isSilentDrop, between: finding.between)
            if let lethality = finding.lethality { $0.number("lethality", (lethality * 1_000).rounded() / 1_000) }
            if let returned = finding.returned { $0.number("returned", (returned * 1_000).rounded() / 1_000) }
            $0.number("people", finding.people)
            $0.number("addresses", finding.addresses)
            $0.list("routes", finding.routes) { $1.value($0) }
            if finding.servers.count == 1 { $0.text("server", finding.servers[0]) }
            $0.list("servers", finding.servers) { $1.value($0) }
            $0.list("hops", finding.hops) { $1.value($0) }
            $0.list("agents", finding.agents.keys.filter { !$0.isEmpty }.sorted()) { $1.value($0) }
            if let alternative = finding.alternative { $0.text("alternative", alternative.rawValue) }
            $0.list("candidates", explanation.candidates) { $1.value($0.name) }
            $0.list("table_rows", explanation.candidates) { hop, out in encode(hop, &out) }
            $0.text("title", explanation.title)
            $0.text("summary", explanation.summary)
            $0.text("certainty", explanation.certainty)
            $0.text("advice", explanation.advice.joined(separator: " "))
            if let heartbeat = explanation.heartbeat { $0.number("heartbeat_seconds", heartbeat) }
            if let doubt = explanation.doubt { $0.text("doubt", doubt) }
            $0.list("evidence", explanation.evidence) { $1.value($0) }
            $0.list("moments", finding.moments) { $1.value(timestampText($0)) }
            $0.list("examples", finding.examples.filter(facts.streams.indices.contains).map { facts.streams[$0] }) { stream, out in
                out.object {
                    $0.text("file", facts.files.indices.contains(Int(stream.place.file)) ? facts.files[Int(stream.place.file)] : "-")
                    $0.number("line", Int(stream.place.line))
                }
            }
        }
    }

    private func encode(_ hop: Hop, _ out: inout JSONText) {
        out.object {
            $0.text("hop", hop.name)
            $0.text("kind", hop.limit.rawValue)
            $0.number("seconds", hop.seconds)
            $0.text("reset_by", hop.resetBy)
            $0.text("source", hop.source)
            $0.flag("verified", hop.isVerified)
        }
    }
}

/// JSON that is written and never read: objects in lists in objects.
package struct JSONText {
    /// What was written so far.
    package private(set) var bytes: [UInt8] = []
    private var isFirst = true

    /// Nothing yet.
    package init() {}

    private mutating func next(_ key: String?) {
        if !isFirst { bytes.append(UInt8(ascii: ",")) }
        isFirst = false
        guard let key else { return }
        quote(key)
        bytes.append(UInt8(ascii: ":"))
    }

    private mutating func quote(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        appendEscaped(text, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func between(_ open: UInt8, _ close: UInt8, _ body: (inout JSONText) -> Void) {
        bytes.append(open)
        isFirst = true
        body(&self)
        isFirst = false
        bytes.append(close)
    }

    /// An object, as an element of a list or as the whole.
    package mutating func object(_ body: (inout JSONText) -> Void) {
        next(nil)
        between(UInt8(ascii: "{"), UInt8(ascii: "}"), body)
    }

    /// An object as a member.
    package mutating func object(_ key: String, _ body: (inout JSONText) -> Void) {
        next(key)
        between(UInt8(ascii: "{"), UInt8(ascii: "}"), body)
    }

    /// A list as a member.
    package mutating func list<Element>(_ key: String, _ elements: [Element], _ body: (Element, inout JSONText) -> Void) {
        next(key)
        between(UInt8(ascii: "["), UInt8(ascii: "]")) { out in for element in elements { body(element, &out) } }
    }

    /// A text as an element.
    package mutating func value(_ text: String) {
        next(nil)
        quote(text)
    }

    /// A text as a member.
    package mutating func text(_ key: String, _ text: String) {
        next(key)
        quote(text)
    }

    /// A whole number as a member.
    package mutating func number(_ key: String, _ number: Int) {
        next(key)
        bytes.append(contentsOf: String(number).utf8)
    }

    /// A number as a member; null for nil and for what is no number.
    package mutating func number(_ key: String, _ number: Double?) {
        next(key)
        bytes.append(contentsOf: (number.flatMap { $0.isFinite ? "\($0)" : nil } ?? "null").utf8)
    }

    /// True or false as a member.
    package mutating func flag(_ key: String, _ flag: Bool) {
        next(key)
        bytes.append(contentsOf: (flag ? "true" : "false").utf8)
    }
}

extension JSONText {
    /// The keys with which every finding begins, of `diagnose` and of a probe. Seconds are in seconds, the confidence is from 0 to 1.
    package mutating func contract(
        kind: String, side: String, seconds: Double?, streams: Int, confidence: Double, isSilentDrop: Bool, between: ClosedRange<Double>?
    ) {
        text("kind", kind)
        text("side", side)
        number("seconds", seconds)
        number("streams", streams)
        number("confidence", (confidence * 100).rounded() / 100)
        if isSilentDrop { flag("silent_drop", true) }
        if let between {
            number("survived_seconds", between.lowerBound)
            number("fatal_seconds", between.upperBound)
        }
    }
}

// The method: what the logs say becomes what was found. A pure function: no clock, no file, no chance. The order matters: what a step
// explains is taken out before the next one looks, because one bad hour hides every limit.

import Telemetry

extension Diagnosis {
    /// What the method finds in these facts, the surest first.
    package init(of facts: LogFacts) {
        self.init()
        var book = Casebook(facts)
        let moments = Replacements(book)
        book.explain(moments.explained)
        let badServer = BadServer.find(in: book)
        book.explain(badServer.explained)
        let forgetting = ForgettingHop.clearest(in: book)
        book.explain(forgetting?.explained ?? [])
        let clients = Timeouts(on: .client, in: book)
        let servers = Timeouts(on: .upstream, in: book)
        let limits = clients.findings(in: book) + servers.findings(in: book) + (forgetting.map { [$0.finding] } ?? [])
        book.explain(clients.explained)
        book.explain(servers.explained)
        let tokens = StaleTokens.find(in: facts)

        findings = moments.findings + badServer.findings + limits
        findings += tokens.finding.map { [$0] } ?? []
        findings += Others.find(in: book, staleRefusals: tokens.refusals)
        findings += UpstreamBuffering.find(in: facts).map { [$0] } ?? []
        findings += Storms.find(in: book, after: moments.times)
        findings += ConnectionLimit.find(in: book, explained: book.isExplained).map { [$0] } ?? []
        findings.sort { ($0.confidence, $0.streams) > ($1.confidence, $1.streams) }
        client = Survived(of: .client, in: book, limits: limits)
        upstream = Survived(of: .upstream, in: book, limits: limits)
        streams = facts.streams.count
        ended = facts.streams.count { $0.cause != nil }
    }
}

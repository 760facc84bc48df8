// The differences between two configurations, in words: a reload reports them.
//
// Invariant: a secret is never shown, and the report stays one readable line, however much has changed.

import Credentials

extension Configuration {
    /// What has changed since `old`, each change in a few words: `route /b added`, `limits connections 500 (was 100)`.
    package func changes(since old: Configuration) -> [String] {
        let listens = Configuration.changes("listen", old.listeners, listeners, name: \.description) { $0 == $1 }
        let groups = Configuration.changes("upstream", old.upstreams, upstreams, name: \.name) { $0 == $1 }
        let signers = Configuration.changes("issuer", old.issuers, issuers, name: \.rules.label) { $0 == $1 }
        let services = Configuration.changes("forward_auth", old.forwardAuths, forwardAuths, name: \.name) { $0 == $1 }
        let passes = Configuration.changes("ticket", old.tickets, tickets, name: \.name) { $0 == $1 }
        let tokens = Configuration.changes("token", old.tokens, self.tokens, name: \.name) { $0 == $1 }
        let rules = Configuration.changes("route", old.routes, routes, name: \.name) { before, after in
            // An upstream's new position in the list is no change: its name is compared.
            var moved = before
            moved.upstreamIndex = after.upstreamIndex
            return moved == after && old.upstreamName(of: before) == upstreamName(of: after)
        }
        let all = listens + groups + signers + services + passes + tokens + rules
        return all + numberChanges(since: old) + otherChanges(since: old)
    }

    private func upstreamName(of route: Route) -> String? {
        upstreams.indices.contains(route.upstreamIndex) ? upstreams[route.upstreamIndex].name : nil
    }

    private func numberChanges(since old: Configuration) -> [String] {
        // The reload itself reports a new `workerCount`, because that takes a restart.
        let top = Configuration.numberChanges(FileDraft(configuration: old), FileDraft(configuration: self)) { $0 != "workers" }
        return top + Configuration.numberChanges(old.limits, limits) + Configuration.numberChanges(old.timeouts, timeouts)
    }

    private static func numberChanges<Model: DirectiveModel>(
        _ old: Model, _ new: Model, where isReported: (String) -> Bool = { _ in true }
    ) -> [String] {
        Model.rows.compactMap { row in
            guard let path = row.number, let quantity = row.directive.quantity, isReported(row.directive.name) else { return nil }
            let before = old[keyPath: path]
            let after = new[keyPath: path]
            guard before != after else { return nil }
            let scope = Model.scope == .top ? "" : "\(Model.scope.rawValue) "
            return "\(scope)\(row.directive.name) \(quantity.text(after)) (was \(quantity.text(before)))"
        }
    }

    private func otherChanges(since old: Configuration) -> [String] {
        var found: [String] = []
        if streamLog != old.streamLog { found.append("stream_log \(streamLog.words)") }
        if accessLog != old.accessLog { found.append("access_log \(accessLog.words)") }
        if eventLog != old.eventLog { found.append("event_log \(eventLog.words)") }
        if fingerprintKey != old.fingerprintKey { found.append("fingerprint_key changed") }
        if historyKey != old.historyKey { found.append("history_key changed") }
        if logsSubjects != old.logsSubjects { found.append("log_subject changed") }
        if trustedProxies != old.trustedProxies { found.append("trusted_proxies changed") }
        switch (old.console, console) {
        case (nil, nil): break
        case (nil, _): found.append("console added")
        case (_, nil): found.append("console removed")
        case (let before?, let after?): if before != after { found.append("console changed") }
        }
        if probeEndpoint != old.probeEndpoint { found.append("probe_endpoint \(probeEndpoint.map { printable($0.path) } ?? "off")") }
        return found
    }

    private static let namesShown = 5

    /// The additions, removals and changes among named items of one kind.
    private static func changes<Item>(
        _ kind: String, _ old: [Item], _ new: [Item], name: (Item) -> String, isSame: (Item, Item) -> Bool
    ) -> [String] {
        var before: [String: Item] = [:]
        for item in old { before[name(item)] = item }
        var after: Set<String> = []
        var added: [String] = []
        var changed: [String] = []
        for item in new {
            after.insert(name(item))
            guard let known = before[name(item)] else {
                added.append(name(item))
                continue
            }
            if !isSame(known, item) { changed.append(name(item)) }
        }
        let removed = old.map(name).filter { !after.contains($0) }
        return [(added, "added"), (removed, "removed"), (changed, "changed")].compactMap { names, what in
            if names.isEmpty { return nil }
            let shown = names.prefix(namesShown).map(printable).joined(separator: ", ")
            return "\(kind) \(shown)\(names.count > namesShown ? " and \(names.count - namesShown) more" : "") \(what)"
        }
    }
}

extension LogDestination {
    /// The destination as a configuration says it.
    var words: String {
        switch self {
        case .off: "off"
        case .standardOutput: "stdout"
        case .standardError: "stderr"
        case .file(let path): printable(path)
        }
    }
}

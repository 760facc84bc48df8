// What must hold where a route names the pages that may read: those read everything, refusals and the proxy's own streams included; others
// read nothing, whatever servers allow; and no answer can be given to the wrong page by a cache.

import TestSupport

extension Scenario {
    func checkCrossOrigin(_ log: LogView) {
        guard let rules = plan.crossOrigin else { return }
        for client in clients where !isTurnedAwayUnheard(client.crowding) {
            for (truth, response) in zip(client.truths, client.reader.responses) { checkReaders(truth, response, rules) }
        }
        for attempt in eventSources.flatMap(\.attempts) where !isTurnedAwayUnheard(attempt.crowding) {
            if let response = attempt.response { checkReaders(attempt.truth, response, rules) }
        }
        for truth in truths.values where truth.crossOrigin?.isPreflight == true {
            expect(truth.arrivals.isEmpty, "\(truth.path): a preflight came to a server")
        }
        for truth in truths.values where truth.path.hasPrefix(CrossOriginPlan.path + "options/") {
            expect(truth.arrivals.allSatisfy { $0.method == "OPTIONS" }, "\(truth.path): OPTIONS came to a server as something else")
        }
    }

    private func checkReaders(_ truth: Truth, _ response: Response, _ rules: CrossOriginPlan) {
        guard let ask = truth.crossOrigin else { return }
        let (path, status) = (truth.path, response.status)
        let allowed = response.fields.filter { $0.name.hasPrefix("access-control-") }
        world.count(ask.isPermitted ? "answer for a page that may read it" : "answer for somebody who is no named page")
        let varies = response.fields.contains { $0.name == "vary" && $0.value.lowercased().contains("origin") }
        expect(varies, "\(path): \(status) without Vary: Origin")
        guard ask.isPermitted else {
            return expect(allowed.isEmpty, "\(path): \(status) to '\(ask.origin)' with \(allowed)")
        }
        let mayRead = !ask.hasCredentials || rules.allowsCredentials
        expect(
            ask.isReadable(response) == mayRead, "\(path): \(status) to '\(ask.origin)', readable: \(!mayRead), with \(allowed)")
        if ask.isPreflight {
            // Above a limit of clients the proxy answers before it looks at what is asked.
            if plan.troubles.limits, status == 503 { return }
            expect(status == 204 && truth.arrivals.isEmpty, "\(path): \(status) to a preflight")
            let method = response["access-control-allow-methods"] == nil ? "" : "GET"
            return expect(
                ask.isApproved(response, method: method) == mayRead, "\(path): a preflight for \(ask.fields) is answered with \(allowed)")
        }
        let exposed = (response["access-control-expose-headers"] ?? "").lowercased()
        expect(
            exposed.contains("www-authenticate") && exposed.contains("retry-after"), "\(path): \(status) exposes '\(exposed)' only")
    }
}

// What has been seen so far, step by step and round by round.

import ProbeScripts

/// The observations of all steps.
package struct ProbeResults: Sendable {
    private var rounds: [ProbeStep: [[Observation]]] = [:]

    /// Nothing has been seen.
    package init() {}

    /// The rounds of a step.
    package func rounds(of step: ProbeStep) -> [[Observation]] { rounds[step] ?? [] }

    /// All observations of a step, in order.
    package func all(of step: ProbeStep) -> [Observation] { rounds(of: step).flatMap { $0 } }

    /// The observations of a step with such a label.
    package func labelled(_ label: String, of step: ProbeStep) -> [Observation] { all(of: step).filter { $0.plan.label == label } }

    /// Takes over a round of observations.
    package mutating func add(_ round: [Observation], to step: ProbeStep) { rounds[step, default: []].append(round) }

    /// All observations.
    package var all: [Observation] { rounds.values.flatMap { $0 }.flatMap { $0 } }

    /// Whether the first contact was made over HTTP/2.
    package var speaksHTTP2: Bool { all(of: .meeting).contains { $0.http == "2" && $0.headAt != nil } }

    /// How the proxy saw a play: the last answer about its nonce. Outer nil: nobody answered. Inner nil: the proxy knows no such play.
    package func sighting(of observation: Observation) -> Sighting? {
        guard let nonce = observation.plan.script?.nonce else { return nil }
        let answers = all.filter { if case .seen(nonce, _) = $0.plan.request { true } else { false } }.sorted { $0.sentAt < $1.sentAt }
        return answers.last.flatMap { Sighting($0, nonce: nonce) }
    }

    /// The way of an event through all hops and of its request, in milliseconds: what the quickest item took.
    package var quickestWay: Int64 { all.flatMap { $0.items.map { $0.at - $0.item.madeAt } }.min() ?? 0 }
}

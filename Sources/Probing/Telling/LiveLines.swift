// What is shown while a probe runs: on a terminal one line for each step that runs, drawn again each second; elsewhere a line when a step
// begins and one when it is over.

import Diagnosis

/// Makes the text to write for each thing that happens.
package struct LiveLines {
    private let isTerminal: Bool
    private let columns: Int
    private let limitMilliseconds: Int64
    private var running: [RunningStep] = []
    /// How many lines of the steps that run are on the screen.
    private var shown = 0

    /// For a terminal of that width, or for a file. `limitMilliseconds` is for how long limits are searched.
    package init(isTerminal: Bool, columns: Int, limitMilliseconds: Int64) {
        self.isTerminal = isTerminal
        self.columns = max(20, columns)
        self.limitMilliseconds = limitMilliseconds
    }

    /// The text for what happened; empty for nothing.
    package mutating func text(for progress: ProbeProgress) -> String {
        switch progress {
        case .began(let step):
            running.append(RunningStep(step: step, ageMilliseconds: 0, connections: 0, silenceMilliseconds: 0))
            return isTerminal ? erase() + draw() : line("\(step.title): begins")
        case .ended(let step, let verdict):
            running.removeAll { $0.step == step }
            return erase() + line("\(step.title): \(LiveLines.outcome(verdict))") + draw()
        case .ticked(let steps):
            running = steps
            return isTerminal ? erase() + draw() : ""
        }
    }

    /// Takes the lines of running steps off the screen.
    package mutating func finish() -> String {
        running = []
        return erase()
    }

    private static func outcome(_ verdict: Verdict) -> String {
        if let worst = verdict.findings.max(by: { $0.confidence < $1.confidence }) { return worst.summary }
        return verdict.proved.first ?? verdict.untold.first ?? verdict.facts.first ?? "over"
    }

    private mutating func erase() -> String {
        defer { shown = 0 }
        return shown == 0 ? "" : "\u{1B}[\(shown)A\u{1B}[J"
    }

    private mutating func draw() -> String {
        guard isTerminal else { return "" }
        shown = running.count
        return running.map { step in
            let span = step.ageMilliseconds / 1_000
            let isSearching = step.step == .limits || step.step == .watching
            let total = isSearching ? " of \(limitMilliseconds / 1_000) s" : " s"
            let silence = step.connections > 0 ? ", silent for \(step.silenceMilliseconds / 1_000) s" : ""
            return line("  \(step.step.title): \(span)\(total), \(step.connections) open\(silence)")
        }.joined()
    }

    /// One line that fits, since a wrapped one would be erased wrongly.
    private func line(_ text: String) -> String {
        let shown = Printable.text(text)
        return (isTerminal ? String(shown.prefix(columns - 1)) : shown) + "\n"
    }
}

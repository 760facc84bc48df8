// How many streams ended where: the picture beside a finding. A limit is a wall in it.

import Telemetry

/// Counts of ends by age or by silence.
struct Histogram {
    struct Row {
        /// From here on, in seconds; up to the next row's beginning.
        let from: Double
        var count = 0
        let isWall: Bool
    }

    let title: String
    private(set) var rows: [Row]
    var most: Int { rows.map(\.count).max() ?? 0 }
    var total: Int { rows.reduce(0) { $0 + $1.count } }

    /// Around a limit: six rows below it, the wall, and what comes behind. Nil where the finding has no limit, or nothing is known.
    init?(_ facts: LogFacts, _ finding: Finding) {
        guard let limit = finding.seconds, limit > 0, [.idleTimeout, .absoluteTimeout, .buffering].contains(finding.kind) else {
            return nil
        }
        let isAge = finding.kind != .idleTimeout
        let whose = finding.side == .upstream ? "the server" : "the client"
        let ended = "of streams that \(whose)'s side ended"
        title =
            isAge
            ? "Age at the end, \(ended)"
            : finding.isSilentDrop
                ? "Longest silence to the client, \(ended)"
                : "Silence at the end \(finding.side == .upstream ? "from the server" : "to the client"), \(ended)"
        rows = (0..<9).map { Row(from: limit * Double($0) / 6, isWall: $0 == 6) }
        let (isUpstream, isSilentDrop) = (finding.side == .upstream, finding.isSilentDrop)
        for stream in facts.streams where stream.cause?.side.rawValue == finding.side.rawValue {
            let value =
                isAge
                ? stream.duration
                : isUpstream
                    ? stream.upstreamSilenceAtEnd
                    : isSilentDrop ? stream.longestClientSilence : stream.clientSilenceAtEnd
            guard value != StreamFacts.missing else { continue }
            // A limit was taken down to a round number, never up by more than this.
            let seconds = Double(value) / 1_000 + min(0.05, limit / 200)
            rows[min(rows.count - 1, Int(seconds * 6 / limit))].count += 1
        }
        guard total > 0 else { return nil }
    }

    /// The ages of all streams that ended, for logs in which no limit was found.
    init(agesOf facts: LogFacts) {
        title = "Age at the end, of all streams that ended"
        let edges: [Double] = [0, 1, 5, 15, 30, 60, 120, 300, 900, 3_600, 14_400]
        rows = edges.map { Row(from: $0, isWall: false) }
        for stream in facts.streams where stream.cause != nil {
            let seconds = Double(stream.duration) / 1_000
            rows[(edges.lastIndex { $0 <= seconds }) ?? 0].count += 1
        }
    }

    /// What a row is called: `40 to 50 s`.
    func label(_ index: Int) -> String {
        let from = Words.decimal(rows[index].from)
        return index + 1 < rows.count ? "\(from) to \(Words.decimal(rows[index + 1].from)) s" : "\(from) s and more"
    }
}

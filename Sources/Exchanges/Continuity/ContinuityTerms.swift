// What a route's directives mean for its kept streams.

import Configuration
import EventStream

extension CompiledContinuity {
    /// The rules of a stream's log.
    var rules: BlockLog.Rules {
        let history = policy.history
        return BlockLog.Rules(
            identifiers: identifiers, gaps: gaps, blockLimit: history.events, byteLimit: history.bytes,
            ageLimitMilliseconds: Int64(history.ageMilliseconds))
    }

    private var identifiers: IdentifierPolicy {
        switch policy.history.ids {
        case .keep: .keep
        case .suffix: .suffix
        case .own: .own
        }
    }

    private var gaps: GapManner {
        switch policy.gap {
        case .event(let name): .event(type: Array(name.utf8))
        case .reconnect: .reconnect
        case .off: .off
        }
    }

    /// For how long a server is read while nobody reads its stream.
    var awayMilliseconds: Int64 { Int64(policy.history.awayMilliseconds) }

    /// For how long a log without a reader is kept.
    var ageMilliseconds: Int64 { Int64(policy.history.ageMilliseconds) }

    /// Whether a server that drops is asked again behind the client's back.
    var masks: Bool { policy.maskMilliseconds != nil }

    /// Whether a stream has the events of all servers.
    var merges: Bool { policy.merge != nil }

    /// What is known of events that several servers say alike; nil where all pass.
    var duplicates: DuplicateFilter? {
        guard let dropped = policy.merge?.dropped else { return nil }
        return DuplicateFilter(dropped.mark == .id ? .identifier : .data, withinMilliseconds: Int64(dropped.withinMilliseconds))
    }

    /// For how long; 0 where it is not.
    var maskMilliseconds: Int64 { Int64(policy.maskMilliseconds ?? 0) }

    /// The types of the events that a server sends at the start of every response.
    var greetings: [[UInt8]] { policy.greetings.map { Array($0.utf8) } }

    /// Whether all who read a stream have the same token.
    var hasOneToken: Bool {
        guard policy.share != nil else { return true }
        if case .values(let values) = policy.identity { return values.contains(.token) || values.contains(.credentials) }
        return false
    }

    /// Whether a gap is told by an event.
    var tellsByEvent: Bool { if case .event = policy.gap { true } else { false } }
}

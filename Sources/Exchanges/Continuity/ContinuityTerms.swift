// What a route's directives mean for its kept streams.

import Configuration
import EventStream

extension BlockLog.Rules {
    /// The rules of the logs of a route's streams.
    convenience init(_ policy: Continuity) {
        let history = policy.history
        self.init(
            identifiers: IdentifierPolicy(history.ids), gaps: GapManner(policy.gap), blockLimit: history.events, byteLimit: history.bytes,
            ageLimitMilliseconds: Int64(history.ageMilliseconds))
    }
}

extension IdentifierPolicy {
    fileprivate init(_ ids: HistoryPolicy.IDs) {
        switch ids {
        case .keep: self = .keep
        case .suffix: self = .suffix
        case .own: self = .own
        }
    }
}

extension GapManner {
    fileprivate init(_ gap: GapNotice) {
        switch gap {
        case .event(let name): self = .event(type: Array(name.utf8))
        case .reconnect: self = .reconnect
        case .off: self = .off
        }
    }
}

extension CompiledContinuity {
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

    /// Whether all clients that read a stream, and all that come back to it, have the same token.
    var hasOneToken: Bool {
        if case .values(let values) = policy.identity { return values.contains(.token) || values.contains(.credentials) }
        return false
    }

    /// Whether a gap is told by an event.
    var tellsByEvent: Bool { if case .event = policy.gap { true } else { false } }
}

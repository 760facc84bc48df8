// How a route continues streams, with everything that its exchanges need, made in advance.

import Configuration
import Credentials
import EventStream

/// What a route with `history` does for clients that come back.
final class CompiledContinuity: Sendable {
    let policy: Continuity
    /// The rules of a stream's log.
    let rules: BlockLog.Rules
    /// The name of the route.
    let routeName: String
    /// The name of the upstream.
    let upstream: [UInt8]
    /// What is taken out of the URL of a request for a stream: last event ids, and parameters that tell no streams apart.
    let parameters: EventIDParameter

    init(_ policy: Continuity, of route: Route, upstream: String) {
        self.policy = policy
        rules = BlockLog.Rules(policy)
        routeName = route.name
        self.upstream = Array(upstream.utf8)
        parameters = EventIDParameter(
            names: [Continuity.eventIDParameter] + [route.eventIDParameter].compactMap(\.self), ignoring: policy.ignoredParameters,
            filter: policy.filterParameter)
    }

    /// Stands for `ids` and `merge` in keys.
    var idsMark: UInt8 {
        switch policy.history.ids {
        case .keep: 0
        case .suffix: 1
        case .own: merges ? 3 : 2
        }
    }
    /// Stands for `gap` in keys: the log of a stream tells of gaps as its route said when it was opened.
    var gapMark: [UInt8] {
        switch policy.gap {
        case .event(let type): [0] + Array(type.utf8)
        case .reconnect: [1]
        case .off: [2]
        }
    }
}

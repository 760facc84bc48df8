// Which requests may have their streams kept, or continue one that is kept.

import Configuration
import HTTP

extension RequestHead {
    /// Whether it asks for an event stream that could be continued later: GET without a body, for the whole of the stream.
    var asksForWholeStream: Bool {
        method == .get && acceptsEventStream && framing == .none && upgradeProtocol == nil && !contains(.range)
            && !fields.contains { isConditionOrSubprotocol($0) }
    }
}

extension RequestForwarding {
    /// Whether its stream may be kept, and whether the request may continue one.
    var isManaged: Bool { route.continuity != nil && head.asksForWholeStream }

    /// Whether no credentials of the client go to the server.
    var isWithoutCredentials: Bool { route.continuity?.policy.identity == .everybody && head.asksForWholeStream }
}

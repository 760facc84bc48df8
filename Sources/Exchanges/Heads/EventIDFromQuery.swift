// The last event id that a page puts into the URL of a new EventSource. It becomes the field that a browser sends when it reconnects, so
// nothing else has to know where the id came from. Parameters that tell no streams apart are taken out with it. It makes bytes and sends
// none.

import Credentials
import Downstreams
import HTTP

extension Exchange {
    /// The request with its parameter as a field, and the parameter; nil on routes without one, or where it has none.
    func takeEventID(from head: RequestHead, isTrusted: Bool) -> (head: RequestHead, parameter: TakenParameter?)? {
        guard let taken = route?.takingParameters(from: head) else { return nil }
        replaceRequest(by: taken.head, isTrusted: isTrusted)
        return taken
    }
}

extension CompiledRoute {
    /// The parameters that are taken out of a request's URL. Other requests than those for streams may use `lastEventId` for something
    /// else.
    private func parameters(of head: RequestHead) -> EventIDParameter? {
        if let continuity, head.asksForWholeStream { return continuity.parameters }
        return eventIDParameter
    }

    /// The head without these parameters, and the one with the id; nil if it has none of them.
    func takingParameters(from head: RequestHead) -> (head: RequestHead, parameter: TakenParameter?)? {
        guard let parameters = parameters(of: head), head.hasQueryOrFragment(head.target),
            let taken = parameters.taken(from: head.bytes.span, target: head.target),
            let changed = head.changed(target: taken.target, content: taken.content)
        else { return nil }
        return (changed, taken.parameter)
    }
}

extension RequestHead {
    /// The head with another target, and with an id where the client sent none. Nil if that is no valid head.
    fileprivate func changed(target: [UInt8], content: EventIDParameter.Content) -> RequestHead? {
        // A browser sends the field when it reconnects by itself, which is later than the URL was made.
        guard !contains(.lastEventID) else { return try? changed(target: target, adding: nil) }
        switch content {
        case .nothing: return try? changed(target: target, adding: nil)
        case .id(let id): return try? changed(target: target, adding: ("Last-Event-ID", id))
        // Such a field has no value, and is not passed on (`hasUnfitLastEventID`).
        case .unfit: return try? changed(target: target, adding: ("Last-Event-ID", [0x01]))
        }
    }
}

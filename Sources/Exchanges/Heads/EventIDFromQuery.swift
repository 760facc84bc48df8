// The last event id that a page puts into the URL of a new EventSource. It becomes the field that a browser sends when it reconnects, so
// nothing else has to know where the id came from. Parameters that tell no streams apart are taken out with it. It makes bytes and sends
// none.

import Configuration
import Credentials
import Downstreams
import EventStream
import HTTP

/// What was taken out of a request's URL.
struct TakenParameters {
    /// The parameter out of which the last event id was taken; nil for none.
    var eventID: TakenParameter?
    /// The types of events that the client wants, divided by commas; nil for all.
    var filter: [UInt8]?
}

extension Exchange {
    /// The request with its parameter as a field, and what was taken out; nil on routes without parameters, or where it has none.
    func takeEventID(from head: RequestHead, isTrusted: Bool) -> (head: RequestHead, taken: TakenParameters)? {
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

    private func taken(from head: RequestHead) -> EventIDParameter.Taken? {
        if let parameters = parameters(of: head) { return parameters.taken(from: head.bytes.span, target: head.target) }
        // An id of the proxy's never goes to a server, also where the route has lost its history.
        guard head.asksForWholeStream, let taken = Self.usualParameter.taken(from: head.bytes.span, target: head.target),
            case .id(let id) = taken.content, ClientIdentifier(id).server != id
        else { return nil }
        return taken
    }

    /// The parameter of routes with a history.
    private static let usualParameter = EventIDParameter(names: [Continuity.eventIDParameter])

    /// The head without these parameters, and the one with the id; nil if it has none of them.
    func takingParameters(from head: RequestHead) -> (head: RequestHead, taken: TakenParameters)? {
        guard head.hasQueryOrFragment(head.target), let taken = taken(from: head),
            let changed = head.changed(target: taken.target, content: taken.content)
        else { return nil }
        return (changed, TakenParameters(eventID: taken.parameter, filter: taken.filter))
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

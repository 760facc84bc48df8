// The last event id that a page puts into the URL of a new EventSource. It becomes the field that a browser sends when it reconnects, so
// nothing else has to know where the id came from. It makes bytes and sends none.

import Credentials
import Downstreams
import HTTP

extension Exchange {
    /// The request with its parameter as a field; the request itself on routes without one, or where it has none.
    func takeEventID(from head: RequestHead, isTrusted: Bool) -> RequestHead {
        guard let parameter = route?.eventIDParameter, head.hasQueryOrFragment(head.target),
            let found = parameter.taken(from: head.bytes.span, target: head.target),
            let changed = head.changed(target: found.target, content: found.content)
        else { return head }
        replaceRequest(by: changed, isTrusted: isTrusted)
        return changed
    }
}

extension RequestHead {
    /// The head with another target, and with an id where the client sent none. Nil if that is no valid head.
    fileprivate func changed(target: [UInt8], content: EventIDParameter.Content) -> RequestHead? {
        var head = Array(bytes[..<self.target.lowerBound]) + target + bytes[self.target.upperBound...]
        // A browser sends the field when it reconnects by itself, which is later than the URL was made.
        if content != .nothing, !contains(.lastEventID) {
            head.removeLast(2)
            head += Array("Last-Event-ID: ".utf8)
            switch content {
            case .nothing: break
            case .id(let id): head += id
            // Such a field has no value, and is not passed on (`hasUnfitLastEventID`).
            case .unfit: head.append(0x01)
            }
            head += Array("\r\n\r\n".utf8)
        }
        // The head that came was within the limits of its client's connection.
        let limits = HeadLimits(headBytes: head.count, fieldCount: fields.count + 1, targetBytes: head.count)
        return try? RequestHead.parse(head.span, limits: limits)
    }
}

// Removes a bridged token from the rest of the request: tools repeat a page's or a request's URL in many fields (`Referer`,
// `X-Original-URI`, `HX-Current-URL`, `Ping-From`), and servers write such fields into their logs. Invariant: each field is read once,
// at a cost proportional to its length.

import Credentials
import HTTP

extension RequestForwarding {
    /// Fields that may contain the same bytes: the request's own credentials, cookies with names that their server chose, an id that
    /// the server gave to an event, and fields without which the request would mean something else.
    private static let kept: FieldNameSet = [.authorization, .cookie, .lastEventID, .contentType, .range]

    /// The replacements for fields that hold a token parameter or the bridged token. The parameter is cut out of URLs. A field whose
    /// longer text holds the token in another way is left out.
    func leftoverEdits(_ bridged: BridgedRequest?, except replaced: FieldNameSet) -> FieldEdits {
        var edits = FieldEdits()
        guard let bridge = route.bridge else { return edits }
        // A token that stays where the client put it was never in a URL.
        var traces = bridged?.origin == .authorization ? nil : bridged?.presented.flatMap(TokenTraces.init(of:))
        if traces == nil, !bridge.knowsParameters { return edits }
        let bytes = head.bytes.span
        let spared = replaced.union(Self.kept)
        for (index, field) in head.fields.enumerated() where field.isForwardable && !spared.contains(field.known) {
            // Of the fields that the proxy knows, only a referrer is a URL.
            guard traces != nil || field.known == .other || field.known == .referer else { continue }
            if field.known == .other, head.isConditionOrSubprotocol(field) { continue }
            var cleaned: [UInt8]?
            if bridge.canHoldParameter(field.value.count), head.hasQueryOrFragment(field.value) {
                cleaned = bridge.redact(url: bytes.extracting(field.value))
            }
            var isLeft = false
            if traces != nil {
                isLeft =
                    if let cleaned { traces!.isRepeated(in: cleaned.span) } else { traces!.isRepeated(in: bytes.extracting(field.value)) }
            }
            if isLeft {
                edits.leaveOut(fieldIndex: index)
            } else if let cleaned {
                edits.replace(fieldIndex: index, by: cleaned)
            }
        }
        return edits
    }

    /// The target for the server, without the token's parameter and others that repeat the token; nil if it is the client's own.
    func target(_ bridged: BridgedRequest?) -> [UInt8]? {
        guard let bridged, bridged.origin != .authorization, let token = bridged.presented, var traces = TokenTraces(of: token) else {
            return bridged?.target
        }
        let target = bridged.target ?? Array(head.bytes[head.target])
        let cleaned = route.bridge?.redact(url: target.span)
        return traces.removed(fromQueryOf: cleaned ?? target) ?? cleaned ?? bridged.target
    }
}

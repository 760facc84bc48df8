// A token that was taken out of the URL or a cookie, in what else came with the request: tools repeat a page's or a request's URL in
// many fields (`Referer`, `X-Original-URI`, `HX-Current-URL`, `Ping-From`), and servers write such fields into their logs.
// Invariant: a field is looked at once, at a cost in proportion to its length.

import Credentials
import HTTP

extension RequestForwarding {
    /// Fields in which the same bytes have a right to be: the request's own credentials, cookies that their server has named itself, an
    /// id that it gave to an event, and what the request means nothing, or something else, without.
    private static let kept: FieldNameSet = [.authorization, .cookie, .lastEventID, .contentType, .range]

    /// What is written in the place of fields that hold a parameter for tokens, or the token that is bridged: the parameter is cut out
    /// of URLs, and where the token stands within a longer text otherwise the field is left out.
    func leftoverEdits(_ bridged: BridgedRequest?, except replaced: FieldNameSet) -> FieldEdits {
        var edits = FieldEdits()
        guard let bridge = route.bridge else { return edits }
        var traces = bridged?.token.flatMap(TokenTraces.init(of:))
        let bytes = head.bytes.span
        let spared = replaced.union(Self.kept)
        for (index, field) in head.fields.enumerated() where field.isForwardable && !spared.contains(field.known) {
            // Of what the proxy knows, only a referrer is a URL.
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

    /// The target for the server, nil for the client's own: without the token's parameter, and without others that repeat the token.
    func target(_ bridged: BridgedRequest?) -> [UInt8]? {
        guard let bridged, let token = bridged.token, var traces = TokenTraces(of: token) else { return bridged?.target }
        let target = bridged.target ?? Array(head.bytes[head.target])
        let cleaned = route.bridge?.redact(url: target.span)
        return traces.removed(fromQueryOf: cleaned ?? target) ?? cleaned ?? bridged.target
    }
}

// Which parts of a response's head go to the client, and what is replaced: the framing for this hop, and for event streams the fields
// that keep the next hop from buffering or storing them. It makes bytes and sends none.

import Bytes
import Downstreams
import HTTP

/// A response's head for the client.
struct ResponseForwarding {
    let head: ResponseHead
    /// How the upstream frames the body.
    let framing: BodyFraming
    /// Whether heartbeats will be added, so that the upstream's length is wrong.
    let isWoven: Bool
    let isStream: Bool
    /// Whether the answer to GET would be a stream with heartbeats: HEAD gets the same fields (RFC 9110 section 9.3.2).
    let wouldBeWoven: Bool
    let isBridged: Bool
    /// Whether the request's URL held a token, which no other page may learn.
    let urlHeldToken: Bool
    /// Who decides which pages of other origins may read the response.
    var readers = Readers.chosenByServer
    /// Whether the proxy adds itself to `Via`.
    var writesVia = true
    /// The value of `Strict-Transport-Security` in place of the server's own; nil keeps the server's.
    let strictTransportSecuritySeconds: Int?
    /// The date for a response without one.
    let date: [UInt8]
    /// Replacements for fields that name URLs.
    var edits = FieldEdits()
    /// Cookies besides the server's: one of the proxy's own, and those of a service.
    var cookies: [[UInt8]] = []
    /// Whether the head was sent before, to a client that comes back: what was meant for that moment only is left out.
    var isResumed = false
    /// Whether the stream is kept, so that its blocks come with other ids and without comments.
    var isKept = false

    /// Fields that are meant for the moment of one response.
    static let onceOnly: FieldNameSet = [.setCookie, .date, .etag]

    /// Whether the body has, or would have, other bytes than the server's.
    private var hasOtherBytes: Bool { wouldBeWoven || isKept }

    /// The response for a request of that method.
    func response(to method: Method) -> OutgoingResponse {
        var response = OutgoingResponse(statusOf: head)
        write(to: &response.fields)
        response.body = body(method: method)
        return response
    }

    private func write(to writer: inout HeadWriter) {
        var replaced = FieldNameSet()
        var outdated: ReplacedFields = []
        if wouldBeWoven { replaced.insert(.cacheControl) }
        if hasOtherBytes {
            replaced.insert(.etag)
            outdated.insert(.ofOldBytes)
        }
        let tellsBuffers = isStream || wouldBeWoven
        if tellsBuffers { replaced.insert(.xAccelBuffering) }
        if isBridged {
            replaced.insert(.cacheControl)
            outdated.insert(.forSharedCaches)
        }
        if isResumed { replaced.formUnion(Self.onceOnly) }
        let keepsURLSecret = urlHeldToken && !head.keepsURLSecret
        if keepsURLSecret { replaced.insert(.referrerPolicy) }
        if strictTransportSecuritySeconds != nil { replaced.insert(.strictTransportSecurity) }
        if case .chosenByRoute(let origin) = readers {
            replaced.formUnion([.accessControlAllowOrigin, .vary])
            outdated.insert(origin == nil ? .ofOtherOrigins : .ofReaders)
        }
        writer.copyForwardableFields(of: head, except: replaced, replaced: outdated, edits: edits)
        if case .chosenByRoute(let origin) = readers { writeReaders(origin, &writer) }
        if hasOtherBytes, !isResumed { writeWeakEntityTag(&writer) }
        writeCacheControl(&writer)
        if tellsBuffers { writer.field("X-Accel-Buffering", "no") }
        if keepsURLSecret { writer.keepURLSecret() }
        for cookie in cookies { writer.setCookie(cookie) }
        // RFC 9110 section 6.6.1: a recipient that forwards a response without a date adds one.
        if isResumed || !head.contains(.date) { writer.date(date) }
        if let seconds = strictTransportSecuritySeconds { writer.strictTransportSecurity(seconds) }
        if writesVia { writer.field("Via", head.minorVersion == 0 ? "1.0 heartwire" : "1.1 heartwire") }
    }

    private func body(method: Method) -> OutgoingResponse.Body {
        switch framing {
        case .length(let count) where !isWoven: return .length(count)
        case .length, .chunked, .untilClose: return .untilEnd
        case .none:
            // The answer to GET would have heartbeats, so its length is unknown. 204 may have none (RFC 9110 section 8.6).
            if method == .head ? wouldBeWoven : head.status != 304 { return .none(announcedLength: nil) }
            return .none(announcedLength: head.status == 204 ? nil : head.contentLength)
        }
    }

    /// Two streams of the same events get different heartbeats, so only a weak validator is true (RFC 9110 section 8.8.1).
    private func writeWeakEntityTag(_ writer: inout HeadWriter) {
        for field in head.fields where field.known == .etag && field.isForwardable {
            let value = head.bytes[field.value]
            // A parsed value holds no byte that a field may not hold.
            try? writer.field("ETag", value.first == UInt8(ascii: "\"") ? Array("W/".utf8) + value : Array(value))
        }
    }

    /// Directives that a response for one client alone must not have (RFC 9111 section 5.2.2): two contradict `private`, and `private`
    /// with field names is weaker than the bare one.
    private static let contradictingPrivate: [StaticString] = ["public", "s-maxage", "private"]

    /// The upstream's own directives stay; missing ones are added. Without heartbeats and without a bridged token, the field is the
    /// upstream's own.
    private func writeCacheControl(_ writer: inout HeadWriter) {
        guard wouldBeWoven || isBridged else { return }
        // With `must-understand` a cache that knows the status may ignore `no-store` (RFC 9111 section 5.2.2.3).
        let forbidsStoring = head.listHas(.cacheControl, "no-store") && !head.listHas(.cacheControl, "must-understand")
        let isPrivate = isBridged && (!forbidsStoring || head.listHas(.cacheControl, "private"))
        let more: (StaticString?, StaticString?, StaticString?) = (
            wouldBeWoven && !head.listHas(.cacheControl, "no-cache") ? "no-cache" : nil,
            wouldBeWoven && !head.listHas(.cacheControl, "no-transform") ? "no-transform" : nil,
            isPrivate ? "private" : nil
        )
        writer.list("Cache-Control", .cacheControl, of: head, without: isBridged ? Self.contradictingPrivate : [], and: more)
    }

    /// The head of a requested 101 (RFC 9110 section 7.8).
    static func switchingProtocols(_ head: ResponseHead, cookies: [[UInt8]], writesVia: Bool) -> OutgoingResponse {
        var response = OutgoingResponse(statusOf: head)
        response.fields.copyForwardableFields(of: head)
        for cookie in cookies { response.fields.setCookie(cookie) }
        if writesVia { response.fields.field("Via", "1.1 heartwire") }
        response.fields.field("Connection", "upgrade")
        if let upgrade = head.firstValue(of: .upgrade) { response.fields.field("Upgrade", upgrade, of: head) }
        return response
    }
}

extension ResponseHead {
    /// Whether the server's own policy keeps the path and query of its URL from other origins: the last valid policy counts (Referrer
    /// Policy section 8.1). What pages of its own origin get comes back through the proxy, which takes the token out.
    fileprivate var keepsURLSecret: Bool {
        guard contains(.referrerPolicy) else { return false }
        let secret: [StaticString] = [
            "no-referrer", "origin", "strict-origin", "same-origin", "origin-when-cross-origin", "strict-origin-when-cross-origin",
        ]
        let open: [StaticString] = ["no-referrer-when-downgrade", "unsafe-url"]
        let bytes = bytes.span
        var isSecret = false
        for field in fields where field.known == .referrerPolicy {
            var elements = ListElements(field.value)
            while let element = elements.next(in: bytes) {
                if secret.contains(where: { equalsIgnoringCase(bytes, element, $0) }) { isSecret = true }
                if open.contains(where: { equalsIgnoringCase(bytes, element, $0) }) { isSecret = false }
            }
        }
        return isSecret
    }
}

extension HeadWriter {
    /// Keeps the page's URL, which held a token, out of `Referer`. `no-referrer` would do more: forms of the page would be sent with
    /// `Origin: null` (Fetch, "append a request Origin header"), which servers take for forged.
    mutating func keepURLSecret() { field("Referrer-Policy", "strict-origin") }

    /// Sets a cookie of the proxy's own, or of a service.
    mutating func setCookie(_ cookie: [UInt8]) {
        // A field may hold the name of a cookie, base64url and attributes, and what came in a field. So this cannot throw.
        try? field("Set-Cookie", cookie)
    }

    /// When the message was made.
    mutating func date(_ text: [UInt8]) {
        // A field may hold letters and digits, so this cannot throw.
        try? field("Date", text)
    }

    /// Tells browsers to use HTTPS only (RFC 6797 section 6.1).
    mutating func strictTransportSecurity(_ seconds: Int) {
        // A field may hold digits, so this cannot throw.
        try? field("Strict-Transport-Security", text: "max-age=\(seconds)")
    }
}

// Recognises a client that comes back, without keeping its address or what it says of itself. Invariant: a mark is a keyed hash, of which
// the key is made at the start of the process and never leaves it.

import HTTP
import Reactor

/// A hash of 48 bits of a client's address and User-Agent. Three small numbers: so they need no room of their own in an exchange.
struct ClientMark {
    private let parts: (UInt16, UInt16, UInt16)

    /// The mark of a request's client. Requests that accept no event stream have none, because it costs a few hundred instructions.
    init(_ head: RequestHead?, from peer: SocketAddress, isTrusted: Bool) {
        guard let head, head.acceptsEventStream else {
            parts = (0, 0, 0)
            return
        }
        var hasher = Hasher()
        let forwarded = ClientMark.firstForwarded(head)
        // Behind a proxy that is not trusted all clients have its address. What they forge separates them only more.
        if forwarded == nil || !isTrusted { hasher.combine(peer.withoutPort) }
        for part in [forwarded, head.firstValue(of: .userAgent)] {
            head.bytes[part ?? 0..<0].withUnsafeBytes { hasher.combine(bytes: $0) }
            hasher.combine(part == nil)
        }
        let bits = UInt64(bitPattern: Int64(hasher.finalize()))
        parts = (UInt16(truncatingIfNeeded: bits), UInt16(truncatingIfNeeded: bits >> 16), UInt16(truncatingIfNeeded: bits >> 32 | 1))
    }

    /// The first address in `X-Forwarded-For`: the client, if nobody forges it. The last one may be another node of a network each time.
    private static func firstForwarded(_ head: RequestHead) -> Range<Int>? {
        guard let value = head.firstValue(of: .xForwardedFor) else { return nil }
        var elements = ListElements(value)
        return elements.next(in: head.bytes.span)
    }

    /// The mark as a number; nil for none.
    var value: UInt64? {
        parts.2 == 0 ? nil : UInt64(parts.0) | UInt64(parts.1) << 16 | UInt64(parts.2) << 32
    }
}

extension Exchange {
    /// A keyed hash of the client and what it asks for: the client's token, or else its address and User-Agent, and the host and path. Nil
    /// if nothing is known of the client.
    var clientKey: UInt64? {
        var hasher = Hasher()
        if let fingerprint = account.token?.fingerprint {
            hasher.combine(fingerprint)
        } else {
            guard let mark = clientMark.value else { return nil }
            hasher.combine(~mark)
        }
        for part in [summary.host, summary.path] {
            (part ?? []).withUnsafeBytes { hasher.combine(bytes: $0) }
            hasher.combine(0 as UInt8)
        }
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }
}

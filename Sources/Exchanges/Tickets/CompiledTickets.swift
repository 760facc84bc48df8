// The tickets of one block, with everything that requests for them and with them need, made in advance. It makes values and sends none.

import Bytes
import Configuration
import Credentials
import Downstreams
import HTTP
import Reactor

/// The tickets of one block.
final class CompiledTickets: Sendable {
    /// Browsers keep no larger cookies (RFC 6265 section 6.1): name, value and attributes together, in bytes.
    static let mostCookieBytes = 4_096
    /// For how long after its end a ticket's cookie stays, in seconds: while it does, an EventSource is told that the ticket is over.
    static let cookieRestSeconds = ExpiredToken.toldSeconds

    let block: TicketBlock
    let seal: TicketSeal
    let path: [UInt8]
    /// The routes that these tickets open.
    let routes: [CompiledRoute]
    /// Finds the tickets in requests to the endpoint.
    let bridge: TokenBridge
    /// The longest token of these routes, in bytes.
    let mostTokenBytes: Int
    let characters: TokenCharacters
    /// The number of its metrics' series.
    let series: Int32

    init(_ block: TicketBlock, routes: [CompiledRoute], _ series: Int32) {
        guard let seal = TicketSeal(keys: block.keys, name: block.name) else { preconditionFailure("there is no memory left at the start") }
        self.block = block
        self.seal = seal
        self.routes = routes
        self.series = series
        path = Array(block.path.utf8)
        let policies = routes.compactMap(\.route.bearer)
        bridge = TokenBridge(
            policy: BearerPolicy(sources: [.ticket(name: block.name)], realm: policies.first?.realm ?? "heartwire"), tickets: [block.places]
        )
        mostTokenBytes = min(policies.map(\.maximumTokenBytes).max() ?? 0, TicketContents.mostTokenBytes)
        characters = policies.contains { $0.characters == .visible } ? .visible : .b64token
    }

    /// What logs call the endpoint.
    var routeName: String { "ticket \(block.name)" }
    var lifetimeSeconds: Int64 { Int64(block.lifetimeMilliseconds / 1_000) }
    var limitSeconds: Int64 { Int64(block.limitMilliseconds / 1_000) }

    /// Until when a ticket that is made now opens streams.
    func expiresSeconds(limit: Int64, now: Int64) -> Int64 { min(now + lifetimeSeconds, limit) }

    /// Until when a ticket that is taken back, and each one of the same id, could open something, in seconds since 1970. Nothing renews it
    /// from now on, and one that was renewed a moment ago ends no later than `lifetime` from now.
    func revocationEnd(of contents: TicketContents, now: Int64) -> Int64 {
        let end = contents.isRenewable ? max(contents.expiresSeconds, now + lifetimeSeconds) : contents.expiresSeconds
        return end > now ? end + CompiledTickets.cookieRestSeconds : now
    }

    /// The value of `Set-Cookie` for a ticket; without one, for a cookie that is removed. Nil where these tickets come in no cookie.
    /// - Parameter isOfOtherSite: whether the browser asked from a page of another site, where it keeps only partitioned cookies.
    func cookie(_ ticket: [UInt8]?, maximumAgeSeconds: Int64, isOfOtherSite: Bool) -> [UInt8]? {
        guard let name = block.places.cookie else { return nil }
        let age = ticket == nil ? 0 : maximumAgeSeconds
        let site = isOfOtherSite ? "SameSite=None; Partitioned" : "SameSite=Strict"
        return Array("\(name)=".utf8) + (ticket ?? []) + Array("; Max-Age=\(age); Path=/; Secure; HttpOnly; \(site)".utf8)
    }
}

extension Settings {
    /// The tickets for which the request's path asks; nil for a request to a route.
    func tickets(at head: RequestHead) -> CompiledTickets? {
        let path = head.bytes[head.target].prefix { $0 != UInt8(ascii: "?") }
        return tickets.first { path.elementsEqual($0.path) }
    }
}

/// A ticket that a request brought, and that is ours, of this request and not over.
final class OpenedTicket {
    let tickets: CompiledTickets
    let contents: TicketContents
    /// Whether it came in a cookie of a page of another site; nil where it came in no cookie.
    let isOfOtherSite: Bool?
    /// What the log may know of it.
    let used: UsedTicket

    init(_ tickets: CompiledTickets, _ contents: TicketContents, isOfOtherSite: Bool?, used: UsedTicket) {
        self.tickets = tickets
        self.contents = contents
        self.isOfOtherSite = isOfOtherSite
        self.used = used
    }

    /// The value of `Set-Cookie` that renews the ticket; nil where it is not renewed, or would end no later.
    func renewed(now: Int64, salt: () -> [UInt8]) -> [UInt8]? {
        guard tickets.block.renews, let isOfOtherSite else { return nil }
        var contents = contents
        contents.expiresSeconds = tickets.expiresSeconds(limit: contents.limitSeconds, now: now)
        guard contents.expiresSeconds > self.contents.expiresSeconds, let sealed = try? tickets.seal.seal(contents, salt: salt()) else {
            return nil
        }
        return tickets.cookie(
            sealed, maximumAgeSeconds: contents.expiresSeconds - now + CompiledTickets.cookieRestSeconds, isOfOtherSite: isOfOtherSite)
    }
}

/// The client to which a ticket is bound: it asks for the ticket, or brings it.
struct TicketHolder: ClientRequest {
    let head: RequestHead
    let client: ClientFacts
    let peer: SocketAddress
    /// The SHA-256 of the client's certificate; nil without one.
    let certificateDigest: [UInt8]?

    /// The bond of a ticket that this client asks for; nil if the client cannot show what the ticket would be bound to.
    func bond(_ kind: TicketBlock.Bond) -> TicketBond? {
        switch kind {
        case .off: .some(.none)
        case .origin: isOfOtherPage ? singleOrigin.map { .origin(head.bytes[$0].map(lowercased)) } : .ownOrigin
        case .address: .address(address)
        case .certificate: certificateDigest.map { .certificate($0) }
        }
    }

    /// Whether a ticket with this bond opens something for this client.
    func fits(_ bond: TicketBond) -> Bool {
        switch bond {
        case .none: true
        case .ownOrigin: !isOfOtherPage
        case .origin: self.bond(.origin) == bond
        case .address: self.bond(.address) == bond
        case .certificate: self.bond(.certificate) == bond
        }
    }

    /// The client's address without its port: behind a trusted proxy the one that this proxy has seen.
    private var address: [UInt8] {
        if client.isTrusted, let forwarded = RequestForwarding.lastForwardedClient(head) { return forwarded }
        var text: [UInt8] = []
        peer.appendHost(to: &text)
        return text
    }
}

extension Exchange {
    /// The client, as far as tickets are bound to it.
    func ticketHolder(_ head: RequestHead) -> TicketHolder {
        guard let sink else { preconditionFailure("a request has a client") }
        return TicketHolder(head: head, client: sink.client, peer: sink.peer, certificateDigest: sink.certificateDigest)
    }

    /// Seconds since 1970.
    var unixSeconds: Int64 { proxy.worker.kernel.unixMilliseconds() / 1_000 }

    /// Random bytes for a seal.
    func ticketSalt() -> [UInt8] {
        var salt = [UInt8](repeating: 0, count: TicketSeal.saltBytes)
        salt.withUnsafeMutableBytes { proxy.worker.kernel.fillRandom($0) }
        return salt
    }
}

// A page's request for a ticket, or to take one back: what is read of it, and what is wrong with it. It makes values and sends none.

import Bytes
import Configuration
import Credentials
import HTTP
import Services
import Telemetry

/// A request to the endpoint of tickets while its body comes.
final class TicketCall {
    /// The longest body, in bytes.
    static let mostBodyBytes = 4_096
    /// More cookies of one name are not looked at.
    private static let mostTickets = 8
    private static let bodyLimits = JSONLimits(depth: 1, members: 8)

    let tickets: CompiledTickets
    let holder: TicketHolder
    var body: [UInt8] = []
    /// What issuers have said about the token, by their numbers.
    var verdicts: [Int: ForwardAuthVerdict] = [:]
    /// Its place among those that wait for keys.
    var place: WaitingPlace?

    init(_ tickets: CompiledTickets, _ holder: TicketHolder) {
        self.tickets = tickets
        self.holder = holder
    }

    var head: RequestHead { holder.head }

    /// The page's origin, if it is another one than the proxy's own, and allowed.
    var allowedOrigin: AllowedOrigin? {
        guard let origin = holder.singleOrigin,
            tickets.block.allowedOrigins.contains(where: { $0.matches(head.bytes.span.extracting(origin)) })
        else { return nil }
        return AllowedOrigin(bytes: Array(head.bytes[origin]), mayUseCredentials: true)
    }

    /// Whether the page may ask: one of the proxy's own or of an allowed origin, or no page at all.
    var mayAsk: Bool { allowedOrigin != nil || !holder.isOfOtherPage }

    /// Whether it is a browser's question whether a page may ask (Fetch section 4.8).
    var isPreflight: Bool { head.method == .options && holder.asksForMethod }

    // MARK: What it says

    /// What a page wants.
    struct Wish {
        /// The only path that the ticket opens; nil for all.
        var path: [UInt8]?
        var asCookie: Bool
    }

    /// What the body asks for.
    func wish() throws(TicketRefusal) -> Wish {
        let places = tickets.block.places
        var wish = Wish(asCookie: places.cookie != nil)
        for (name, value) in try members() {
            switch name {
            case "path":
                guard (1...TicketContents.mostPathBytes).contains(value.count), value[0] == UInt8(ascii: "/"),
                    value.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") })
                else { throw .malformed("'path' is no path as it stands in a URL") }
                wish.path = value
            case "as":
                switch String(decoding: value, as: UTF8.self) {
                case "cookie": wish.asCookie = true
                case "query": wish.asCookie = false
                default: throw .malformed("'as' is 'cookie' or 'query'")
                }
            default: throw .malformed("the body has an unknown member; known are 'path' and 'as'")
            }
        }
        guard wish.asCookie ? places.cookie != nil : places.query != nil else {
            throw .malformed(wish.asCookie ? "these tickets come in no cookie" : "these tickets come in no URL")
        }
        return wish
    }

    /// The tickets to be taken back: the one in the body, or those in cookies.
    func ticketsToRevoke() throws(TicketRefusal) -> [TicketContents] {
        var texts: [[UInt8]] = []
        for (name, value) in try members() {
            guard name == "ticket" else { throw .malformed("the body has an unknown member; known is 'ticket'") }
            texts.append(value)
        }
        if texts.isEmpty { texts = cookies.map { Array(head.bytes[$0]) } }
        return texts.prefix(TicketCall.mostTickets).compactMap { text in try? tickets.seal.open(text.span) }
    }

    /// The ticket that the browser has already, whose id a new one takes over; nil for none.
    func present() -> TicketContents? {
        cookies.prefix(TicketCall.mostTickets).lazy.compactMap { [head, tickets] in try? tickets.seal.open(head.bytes.span.extracting($0)) }
            .first { $0.isRenewable }
    }

    private var cookies: [Range<Int>] {
        tickets.bridge.cookieValues(of: head.bytes.span, head.fields.filter { $0.known == .cookie }.map(\.value))
    }

    /// The body's members, all of them strings.
    private func members() throws(TicketRefusal) -> [(name: String, value: [UInt8])] {
        guard !body.allSatisfy({ isBlank($0) || $0 == 0x0A || $0 == 0x0D }) else { return [] }
        guard let members = JSONObject.strings(in: body, limits: TicketCall.bodyLimits) else {
            throw .malformed("the body is no JSON object of strings")
        }
        return members.map { (String(decoding: $0.name, as: UTF8.self), $0.value) }
    }

    /// The token for which a ticket is asked. Only `Authorization` may hold it: browsers add that to no request by themselves.
    func token() throws(TicketRefusal) -> Token {
        let values = head.fields.filter { $0.known == .authorization && !$0.value.isEmpty }.map(\.value)
        guard values.count <= 1 else { throw .credentials(.severalAuthorizationFields) }
        guard let value = values.first else { throw .credentials(.missing) }
        let result = Token.bearer(
            in: head.bytes.span.extracting(value), maximumBytes: tickets.mostTokenBytes, characters: tickets.characters)
        do { return try result.get() } catch { throw .credentials(error) }
    }
}

/// Why a page gets no ticket.
enum TicketRefusal: Error {
    /// Neither POST nor DELETE.
    case method
    /// A page of another origin.
    case foreignPage
    case tooLarge
    case malformed(StaticString)
    case credentials(BridgeError)
    /// The token is not good.
    case token(TokenFault)
    /// Nothing to which the ticket could be bound.
    case noCertificate
    /// The cookie would have so many bytes.
    case cookieTooLarge(Int)
    /// Nobody can say now whether the token is good.
    case unavailable
    /// No more tickets can be taken back.
    case full
    /// libcrypto has failed.
    case exhausted

    /// The answer.
    func refusal(of tickets: CompiledTickets) -> Refusal {
        switch self {
        case .method:
            var refusal = Refusal(
                status: 405, cause: .clientProtocolError, evidence: "a ticket is asked for with POST and taken back with DELETE",
                closes: false)
            refusal.allowedMethods = "POST, DELETE, OPTIONS"
            return refusal
        case .foreignPage:
            return TicketRefusal.credentials(403, .foreignPage, "pages of this origin get no tickets")
        case .tooLarge:
            return Refusal(
                status: 413, cause: .clientProtocolError, evidence: "the body is larger than \(TicketCall.mostBodyBytes) bytes")
        case .malformed(let what): return Refusal(status: 400, cause: .clientProtocolError, evidence: "\(what)", closes: false)
        case .credentials(let error):
            var refusal = TicketRefusal.credentials(error.status, CredentialsFault(error), error.reason)
            refusal.challenge = tickets.bridge.challenge(for: error)
            return refusal
        case .token(let fault):
            var refusal = TicketRefusal.credentials(fault.isForbidden ? 403 : 401, CredentialsFault(fault), fault.reason)
            refusal.challenge = tickets.bridge.challenge(for: fault, scopes: [])
            return refusal
        case .noCertificate:
            return TicketRefusal.credentials(403, .ticketPlace, "the ticket is bound to a certificate, and the client has none")
        case .cookieTooLarge(let count):
            var refusal = TicketRefusal.credentials(413, .tokenTooLong, "")
            refusal.evidence =
                "the token is too long for a cookie: browsers keep \(CompiledTickets.mostCookieBytes) bytes, this one has \(count)"
            return refusal
        case .unavailable:
            var refusal = Refusal(
                status: 503, cause: .authorizationUnavailable, evidence: "nobody can say now whether the token is good", closes: false)
            refusal.credentialsFault = .unavailable
            return refusal
        case .full:
            return Refusal(
                status: 503, cause: .refusedByLimit,
                evidence: "too many tickets, or too many of this token, were taken back and would be good still", closes: false)
        case .exhausted: return Refusal(status: 503, cause: .proxyError, evidence: "no memory is left for a ticket", closes: false)
        }
    }

    private static func credentials(_ status: Int, _ fault: CredentialsFault, _ reason: StaticString) -> Refusal {
        var refusal = Refusal(status: status, cause: .credentialsRefused, evidence: "\(reason)", closes: false)
        refusal.credentialsFault = fault
        return refusal
    }
}

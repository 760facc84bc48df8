// Fetches the tokens for servers on one worker, and wakes the exchanges that wait for them. Of all workers one fetches: the one that gets
// the lease (Credentials/OAuth/FetchedToken.swift). Tokens are fetched when a request needs one, so an idle route fetches none.
// Invariant: an exchange that waits is called when the fetch ends, or when its time is over.

import Configuration
import Credentials
import HTTP
import Reactor
import Services
import Telemetry

/// What an exchange hears that needs a token.
enum TokenSearch {
    case found(IssuedToken)
    /// The token is being fetched.
    case waits(WaitingPlace)
    /// It cannot be fetched now.
    case unavailable(WaitingPlace)
}

/// The fetches of one worker.
final class TokenFetcher: Endpoint {
    private unowned let proxy: ExchangeWorker
    private let waiting = WaitingExchanges()
    private var tokens: [FetchedToken] = []
    /// The numbers of their metrics' series.
    private var series: [Int32] = []

    init(_ proxy: ExchangeWorker) {
        self.proxy = proxy
        super.init(worker: proxy.worker)
    }

    /// Takes the tokens of the newest generation.
    func adopt(_ generation: Generation) {
        (tokens, series) = (generation.settings.tokens, generation.settings.tokenSeries)
        let (number, mailbox) = (worker.number, worker.mailbox)
        for token in tokens {
            token.notify(number) {
                mailbox.post { worker in (worker.resident as? any ExchangeHost)?.exchanges.tokenFetcher.waiting.callAll() }
            }
        }
        if tokens.isEmpty { close() } else if !isOpen { openTimer() }
        // Who waits for a token that is no longer fetched must not wait without end.
        waiting.callAll()
    }

    /// Ends all looking.
    func close() {
        if isOpen { closeTimer() }
    }

    override func deadlineReached() {
        for (token, series) in zip(tokens, series) {
            let (endsStuck, next) = token.look(now: worker.now, chance: proxy.chance(below: .max))
            if endsStuck { proxy.counters.add(.tokenFetches, TokenFetchResult.stuck, of: series) }
            if next > worker.now { wake(atMilliseconds: next) }
        }
    }

    /// Looks for a token of an exchange's generation. `refused` is one that a server has refused.
    func search(_ index: Int, _ refused: IssuedToken?, for exchange: Exchange) -> TokenSearch {
        let token = exchange.settings.tokens[index]
        let found = token.inForce(except: refused, now: worker.now)
        switch token.outlook(without: found == nil ? refused : nil, now: worker.now) {
        case .fetchable: fetch(index, token, refused, of: exchange.generation)
        case .fetching: break
        case .failing, .settled:
            return found.map(TokenSearch.found) ?? .unavailable(waiting.place(for: exchange))
        }
        return found.map(TokenSearch.found) ?? .waits(waiting.place(for: exchange))
    }

    /// A server has refused a token. Returns whether another one can be had.
    func refused(_ refused: IssuedToken, _ index: Int, by exchange: Exchange) -> Bool {
        let token = exchange.settings.tokens[index]
        if token.inForce(except: refused, now: worker.now) != nil { return true }
        switch token.outlook(without: refused, now: worker.now) {
        case .fetchable: fetch(index, token, refused, of: exchange.generation)
        case .fetching: break
        case .failing, .settled: return false
        }
        return true
    }

    /// Fetches a token, unless another worker has begun to do so.
    private func fetch(_ index: Int, _ token: FetchedToken, _ refused: IssuedToken?, of generation: Generation) {
        let lease = token.begin(without: refused, now: worker.now)
        if isOpen { wake(atMilliseconds: token.look(now: worker.now, chance: 0).nextAt) }
        guard let lease else { return }
        let configured = generation.settings.configuration.tokens[index]
        let limits = ServiceLimits(
            timeoutMilliseconds: configured.service.timeoutMilliseconds, bodyBytes: FetchedToken.mostBytes, needsWholeBody: true)
        ServiceCall.ask(configured.request, of: generation.group(of: configured.service), on: worker, limits) { [proxy] answer in
            let (now, chance) = (proxy.worker.now, proxy.chance(below: .max))
            let end =
                switch answer {
                case .answered(let head, let body) where head.status == 200: token.publish(body, lease, now: now, chance: chance)
                case .answered(let head, let body): token.refuse(status: head.status, body, lease, now: now, chance: chance)
                case .failed(.unusable, let evidence): token.fail(.unusable, evidence, lease, now: now, chance: chance)
                case .failed(_, let evidence): token.fail(.unreachable, evidence, lease, now: now, chance: chance)
                }
            proxy.counters.add(.tokenFetches, TokenFetchResult(end.failure), of: generation.settings.tokenSeries[index])
            for line in end.lines { proxy.worker.warn(line) }
        }
    }
}

extension TokenFetchResult {
    fileprivate init(_ failure: KeyFetchFailure?) {
        switch failure {
        case nil: self = .token
        case .unreachable: self = .unreachable
        case .status: self = .status
        case .unusable: self = .unusable
        }
    }
}

extension ServiceToken {
    /// RFC 6749 sections 2.3.1 and 4.4.2.
    fileprivate var request: ServiceRequest {
        var body = Array("grant_type=client_credentials".utf8)
        if !scopes.isEmpty { body += Array("&scope=".utf8) + BasicCredentials.formEncoded(scopes.joined(separator: " ")) }
        return ServiceRequest(
            .post, of: service,
            fields: [
                (name: "Authorization", value: BasicCredentials.authorizationValue(client: clientID, secret: clientSecret)),
                (name: "Content-Type", value: Array("application/x-www-form-urlencoded".utf8)),
                (name: "Accept", value: Array("application/json".utf8)), ServiceRequest.uncompressed,
            ], body: body)
    }
}

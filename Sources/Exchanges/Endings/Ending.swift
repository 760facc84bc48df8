// How an exchange ends in other ways than by its response's end: failures of either side, and the proxy's own answers. StreamEnd.swift has
// the streams that the proxy itself ends. Invariant: as in Exchange.swift; every way leads to `finish`.

import Configuration
import Downstreams
import EventStream
import HTTP
import Telemetry
import Upstreams

/// Why an exchange is over, for the log.
struct Ending {
    var cause: Cause
    /// What the proxy saw, in its own words.
    var evidence: String
    /// The system's error, by name.
    var errnoName: String?
    /// The limit of the configuration that was reached, by name.
    var limit: String?
    /// After how many milliseconds the proxy itself told the client to come back; nil if it did not.
    var retryMilliseconds: UInt64?
    /// What was wrong with the request's credentials.
    var credentialsFault: CredentialsFault?
}

extension Exchange {
    // MARK: Failures

    /// The server failed. A response that has begun is truncated; before that the client may get another answer.
    func serverFailed(_ seen: SeenFailure) {
        switch phase {
        case .awaitingHead:
            if !repeats(after: seen.failure) { refuse(Refusal(seen)) }
        case .relaying, .streaming, .tunnelling: cut(Ending(Refusal(seen)))
        case .deciding, .ticketing, .publishing, .authorizing, .connecting, .waiting, .finished:
            preconditionFailure("no server fails that was not asked")
        }
    }

    /// Sends the proxy's own answer; an answer that has begun already is truncated.
    func refuse(_ refusal: Refusal) {
        if spare(refusal) { return }
        guard let sink, !hasBegunResponse else { return cut(Ending(refusal)) }
        account.status = UInt16(clamping: refusal.status)
        var refusal = refusal
        refusal.vary = route?.refusalVary ?? refusal.vary
        if refusal.allowedOrigin == nil { refusal.allowedOrigin = request?.allowedOrigin }
        var response = refusal.response(
            isHead: method == .head, urlHeldToken: flags.contains(.urlHeldToken),
            strictTransportSecuritySeconds: sink.strictTransportSecuritySeconds, date: date)
        for cookie in request?.serviceCookies ?? [] { response.fields.setCookie(cookie) }
        finish(Ending(refusal), .complete, answer: response)
    }

    /// Truncates a response that has begun, so that the client sees that it is incomplete.
    func cut(_ ending: Ending) { finish(ending, .truncated) }
}

// Fetches the keys of issuers for one worker, and wakes the exchanges that wait for them. Of all workers one fetches: the one that gets
// the lease (Credentials/Keys/FetchedKeys.swift). Invariant: while there are issuers with a URL, a deadline stands at which the
// schedules are looked at.

import Configuration
import Credentials
import HTTP
import Reactor
import Services
import Telemetry
import Upstreams

/// What the owner of a worker shows of it to jobs from other threads.
package protocol ExchangeHost: AnyObject {
    /// The exchanges of the worker.
    var exchanges: ExchangeWorker { get }
}

/// What an exchange hears that lacks a key.
enum KeySearch {
    /// The keys are being fetched.
    case waits(WaitingPlace)
    /// They cannot be fetched now.
    case unavailable(WaitingPlace)
    /// There are no others.
    case settled
    /// They are fetched no more: a reload has changed the issuer.
    case retired
}

/// The fetches of one worker.
final class KeyFetcher: Endpoint {
    private struct Issuer {
        let keys: FetchedKeys
        let service: ServiceEndpoint
        let group: ServerGroup
        let series: Int32
    }

    private unowned let proxy: ExchangeWorker
    private var issuers: [Issuer] = []
    private let waiting = WaitingExchanges()

    init(_ proxy: ExchangeWorker) {
        self.proxy = proxy
        super.init(worker: proxy.worker)
    }

    /// Takes the issuers of the newest generation.
    func adopt(_ generation: Generation) {
        let settings = generation.settings
        issuers = settings.issuers.enumerated().compactMap { index, issuer in
            guard case .fetched(let keys) = issuer.keys, let service = settings.configuration.issuers[index].keysURL?.service else {
                return nil
            }
            return Issuer(keys: keys, service: service, group: generation.group(of: service), series: settings.issuerSeries[index])
        }
        let (number, mailbox) = (worker.number, worker.mailbox)
        for issuer in issuers {
            issuer.keys.notify(number) {
                mailbox.post { worker in (worker.resident as? any ExchangeHost)?.exchanges.keyFetcher.fetchEnded() }
            }
        }
        if issuers.isEmpty {
            if isOpen { closeTimer() }
        } else if !isOpen {
            openTimer()
        }
        look()
        // Who waits for keys that are no longer fetched must not wait without end.
        waiting.callAll()
    }

    /// Ends all looking.
    func close() {
        issuers = []
        if isOpen { closeTimer() }
    }

    /// Sets the ages of the keys, on one worker for all.
    func setAges() {
        guard worker.number == 0 else { return }
        for issuer in issuers {
            proxy.counters.set(.keysAge, of: issuer.series, to: Int(issuer.keys.ageMilliseconds(now: worker.now) / 1_000))
        }
    }

    /// Looks for a key for an exchange.
    func search(for missing: MissingKey, of keys: FetchedKeys, _ exchange: Exchange) -> KeySearch {
        guard let issuer = issuers.first(where: { $0.keys === keys }) else { return .retired }
        switch keys.outlook(for: missing, now: worker.now) {
        case .fetchable:
            begin(issuer, for: missing)
            return .waits(waiting.place(for: exchange))
        case .fetching: return .waits(waiting.place(for: exchange))
        case .failing: return .unavailable(waiting.place(for: exchange))
        case .settled: return .settled
        }
    }

    // MARK: Fetching

    override func deadlineReached() { look() }

    /// A fetch has ended, on whatever worker.
    fileprivate func fetchEnded() {
        look()
        waiting.callAll()
    }

    private func look() {
        for issuer in issuers {
            let (endsStuck, nextAt) = issuer.keys.look(now: worker.now, chance: proxy.chance(below: .max))
            if endsStuck { proxy.counters.add(.keyFetches, KeyFetchResult.stuck, of: issuer.series) }
            if nextAt <= worker.now { begin(issuer, for: nil) } else { wake(atMilliseconds: nextAt) }
        }
    }

    /// Fetches the keys, unless another worker has begun to do so.
    private func begin(_ issuer: Issuer, for missing: MissingKey?) {
        let lease = issuer.keys.begin(for: missing, now: worker.now)
        wake(atMilliseconds: issuer.keys.look(now: worker.now, chance: 0).nextAt)
        guard let lease else { return }
        let fields = [
            (name: "Accept", value: Array("application/jwk-set+json, application/json".utf8)), ServiceRequest.uncompressed,
        ]
        let limits = ServiceLimits(
            timeoutMilliseconds: issuer.service.timeoutMilliseconds, bodyBytes: KeySet.mostBytes, needsWholeBody: true)
        let request = ServiceRequest(.get, of: issuer.service, fields: fields)
        ServiceCall.ask(request, of: issuer.group, on: worker, limits) { [proxy] answer in
            let (keys, now, chance) = (issuer.keys, proxy.worker.now, proxy.chance(below: .max))
            let end =
                switch answer {
                case .answered(let head, let body) where head.status == 200: keys.publish(body, lease, now: now, chance: chance)
                case .answered(let head, _):
                    keys.fail(.status, "their server answered \(head.status)", lease, now: now, chance: chance)
                case .failed(.unusable, let evidence): keys.fail(.unusable, evidence, lease, now: now, chance: chance)
                case .failed(_, let evidence): keys.fail(.unreachable, evidence, lease, now: now, chance: chance)
                }
            proxy.counters.add(.keyFetches, KeyFetchResult(end.failure), of: issuer.series)
            for line in end.lines { proxy.worker.warn(line) }
        }
    }
}

extension KeyFetchResult {
    fileprivate init(_ failure: KeyFetchFailure?) {
        switch failure {
        case nil: self = .keys
        case .unreachable: self = .unreachable
        case .status: self = .status
        case .unusable: self = .unusable
        }
    }
}

// One generation of the configuration on one worker: the settings with this worker's groups of servers. A reload makes another one. A
// running exchange keeps its own, which is freed when the last such exchange has ended. Invariant: a group belongs to every generation
// that describes it in the same words, and is retired when the newest one does not.

import Configuration
import Credentials
import Reactor
import Services
import Upstreams

/// The current settings of one worker, or earlier ones.
package final class Generation {
    let settings: Settings
    /// The servers of each upstream, and behind them those of each service that the proxy asks.
    package let groups: [ServerGroup]
    /// Checks the tokens of routes with a check, and remembers those that were verified.
    let checker: TokenChecker
    /// The services that say whether requests may pass, in the order of the configuration.
    private(set) var forwardAuths: [ForwardAuthService] = []
    /// The issuers that are asked about their tokens, by their numbers.
    private(set) var introspections: [Int: ForwardAuthService] = [:]

    /// Groups that the previous generation describes in the same words are taken over, with their connections and their servers'
    /// health; its other groups are retired.
    init(
        _ settings: Settings, addresses: [[[SocketAddress]]], workerNumber: Int, fingerprinter: Fingerprinter,
        succeeding previous: Generation? = nil
    ) {
        self.settings = settings
        checker = TokenChecker(settings.issuers, fingerprinter)
        let known = previous?.groups ?? []
        let groups = zip(settings.allUpstreams, settings.upstreamSecurity).enumerated().map { index, described in
            let (upstream, security) = described
            guard let group = known.first(where: { $0.upstream == upstream }) else {
                return ServerGroup(upstream, security: security, addresses: addresses[index], workerNumber: workerNumber)
            }
            group.secure(by: security)
            return group
        }
        for group in known where !groups.contains(where: { $0 === group }) { group.retire() }
        self.groups = groups
    }

    /// Opens the services that say whether requests may pass. What the previous generation describes in the same words is taken over, with
    /// its answers.
    func openServices(of proxy: ExchangeWorker, succeeding previous: Generation?) {
        forwardAuths = zip(settings.configuration.forwardAuths, settings.forwardAuthSeries).map { service, series in
            previous?.forwardAuths.first { $0.settings == service }
                ?? ForwardAuthService(
                    service, group(of: service.service), proxy.rechecks, of: proxy.authorizedStreams, proxy.counters, series)
        }
        for (number, issuer) in settings.configuration.issuers.enumerated() {
            guard let introspection = issuer.introspection else { continue }
            let before = previous?.settings.configuration.issuers.firstIndex { $0.introspection == introspection }
            introspections[number] =
                before.flatMap { previous?.introspections[$0] }
                ?? ForwardAuthService(
                    introspection, group(of: introspection.asked.service), proxy.rechecks, of: proxy.authorizedStreams, proxy.counters,
                    settings.introspectionSeries[number])
        }
    }

    /// The servers of a service of this configuration.
    func group(of service: ServiceEndpoint) -> ServerGroup {
        guard let index = settings.allUpstreams.firstIndex(where: { $0.name == service.name }) else {
            preconditionFailure("a service of the configuration has an upstream")
        }
        return groups[index]
    }

    /// Takes the current addresses of the upstreams' names.
    package func update(addresses: [[[SocketAddress]]]) {
        for (group, addresses) in zip(groups, addresses) { group.update(addresses: addresses) }
    }
}

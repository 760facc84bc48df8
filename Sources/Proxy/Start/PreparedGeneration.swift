// A configuration on its way into force, at the start as at a reload. Everything that can fail is done here: certificates, log files,
// names, sockets, copies of them for the workers, threads of logs. What is in force is not touched.
// Invariant: a generation that cannot be prepared leaves nothing open and no thread. Only look-ups of names go on; each ends by itself.

import Configuration
import Credentials
import Downstreams
import Exchanges
import Reactor
import Upstreams

/// A generation that is ready to be put in force, after the one that is in force now, or as the first.
struct PreparedGeneration {
    let generation: ProxyGeneration
    /// What is in force until then; nil at the start.
    let predecessor: ProxyGeneration?
    /// Its new sockets for each worker, as descriptors of the worker's own.
    let workerSockets: [[SocketAddress: [Int32]]]
    private let unansweredNames: Set<String>
    private let lookupMilliseconds: Int

    /// How long a start waits for names of servers; none of them has an address before.
    static let firstLookupMilliseconds = 10_000
    /// How long a reload waits for new names. No signal is handled during that time.
    static let lookupMilliseconds = 5_000

    /// Prepares a configuration. Inherited sockets are used where a listener has their address.
    init(
        _ wanted: Configuration, after current: ProxyGeneration?, inheriting inherited: [InheritedSocket] = [], by means: StartMeans
    ) throws(StartError) {
        predecessor = current
        let security: Security
        do { security = try Security(wanted, succeeding: current?.security) } catch { throw .security(error) }
        var logs = try Logs(wanted, keeping: current?.logs, by: means)
        let oldSockets = current?.sockets ?? ListeningSockets()
        let lookups = means.lookups
        lookups.forget(except: current?.names.names ?? [])
        let names = NameResolver(wanted.upstreams)
        let unknown = names.names.filter { lookups.addresses(of: $0, port: 0).isEmpty }
        lookupMilliseconds = current == nil ? PreparedGeneration.firstLookupMilliseconds : PreparedGeneration.lookupMilliseconds
        unansweredNames = lookups.lookUp(
            unknown.union(oldSockets.namesToLookUp(for: wanted.listeners)), atMostMilliseconds: lookupMilliseconds)
        let addresses = names.addresses(from: lookups)
        let sockets = try ListeningSockets(
            wanted.listeners, after: oldSockets, inheriting: inherited, workerCount: means.workerCount, kernel: means.kernel,
            lookups: lookups, warn: means.warn)
        let newSockets = sockets.missing(in: oldSockets)
        workerSockets = try PreparedGeneration.copies(of: newSockets, by: means)
        do { try logs.start(by: means) } catch {
            PreparedGeneration.undo(logs, after: current, newSockets, workerSockets, by: means)
            throw error
        }
        let shared = SharedState(
            connectionLimit: means.connectionLimit(wanted.limits), connectionsPerClientLimit: wanted.limits.connectionsPerClient,
            streamLog: logs.stream, accessLog: logs.access, eventLog: logs.event,
            fingerprinter: Fingerprinter(key: wanted.fingerprintKey ?? means.randomKey), succeeding: current?.shared)
        generation = ProxyGeneration(
            settings: Settings(wanted, security, workerCount: means.workerCount), security: security, shared: shared, logs: logs,
            sockets: sockets,
            names: names, addresses: addresses)
    }

    /// Leaves nothing of it, because it does not come into force.
    func undo(by means: StartMeans) {
        let newSockets = generation.sockets.missing(in: predecessor?.sockets ?? ListeningSockets())
        PreparedGeneration.undo(generation.logs, after: predecessor, newSockets, workerSockets, by: means)
    }

    private static func undo(
        _ logs: Logs, after current: ProxyGeneration?, _ new: [ListenerSockets], _ copies: [[SocketAddress: [Int32]]], by means: StartMeans
    ) {
        logs.end(except: current?.logs, by: means)
        close(new, copies, means.kernel)
    }

    /// The process's own sockets that nobody needs when this generation is in force.
    var unneededSockets: [ListenerSockets] { predecessor?.sockets.missing(in: generation.sockets) ?? [] }

    /// One line for each thing that the operator should know of it: what stays as it was, what is not as it should be.
    func warnings(by means: StartMeans) -> [String] {
        let ofNames = generation.names.warnings(
            about: generation.addresses, unanswered: unansweredNames, withinMilliseconds: lookupMilliseconds)
        // At the start, `warn` has been told of inherited sockets, and `heartwire check` is there for certificates.
        guard predecessor != nil else { return ofNames }
        let security = generation.security
        var warnings = security.readingWarnings + security.expiryWarnings(nowUnixMilliseconds: means.kernel.unixMilliseconds()) + ofNames
        warnings += generation.sockets.refused.map { "\($0.address) is the service manager's too; clients that connect to it are refused" }
        let workerCount = StartMeans.workerCount(generation.configuration)
        if workerCount != means.workerCount {
            warnings.append(
                "workers stays \(means.workerCount) until the process is succeeded (SIGUSR2) or restarted; the file asks for \(workerCount)"
            )
        }
        return warnings
    }

    /// New sockets for each worker, as descriptors of its own. Closes all of them where one cannot be had.
    private static func copies(of new: [ListenerSockets], by means: StartMeans) throws(StartError) -> [[SocketAddress: [Int32]]] {
        var copies: [[SocketAddress: [Int32]]] = []
        do {
            for number in 0..<means.workerCount {
                copies.append([:])
                for sockets in new {
                    for descriptor in sockets.descriptors(forWorker: number, of: means.workerCount) {
                        copies[number][sockets.address, default: []].append(try means.kernel.duplicate(descriptor))
                    }
                }
            }
        } catch {
            close(new, copies, means.kernel)
            throw .system(error)
        }
        return copies
    }

    private static func close(_ new: [ListenerSockets], _ copies: [[SocketAddress: [Int32]]], _ kernel: Kernel) {
        for descriptor in copies.flatMap({ $0.values.joined() }) + new.flatMap(\.descriptors) {
            kernel.close(descriptor, abortively: false)
        }
    }
}

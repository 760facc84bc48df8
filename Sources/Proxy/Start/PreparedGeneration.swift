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
    /// The console's new sockets: by the process's descriptor, one of the console's own.
    let consoleCopies: [Int32: Int32]
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
        let names = NameResolver(wanted.allUpstreams)
        let unknown = names.names.filter { lookups.addresses(of: $0, port: 0).isEmpty }
        lookupMilliseconds = current == nil ? PreparedGeneration.firstLookupMilliseconds : PreparedGeneration.lookupMilliseconds
        unansweredNames = lookups.lookUp(
            unknown.union(oldSockets.namesToLookUp(for: wanted.listeners)), atMostMilliseconds: lookupMilliseconds)
        let addresses = names.addresses(from: lookups)
        let (ofConsole, ofClients) = PreparedGeneration.divided(inherited, wanted.console)
        let sockets = try ListeningSockets(
            wanted.listeners, after: oldSockets, inheriting: ofClients, workerCount: means.workerCount, kernel: means.kernel,
            lookups: lookups, warn: means.warn)
        let newSockets = sockets.missing(in: oldSockets)
        workerSockets = try PreparedGeneration.copies(of: newSockets, by: means)
        let consoleSockets: ListeningSockets
        do throws(StartError) {
            (consoleSockets, consoleCopies) = try PreparedGeneration.console(wanted.console, after: current, inheriting: ofConsole, means)
        } catch {
            PreparedGeneration.undo(logs, after: current, newSockets, workerSockets, by: means)
            throw error
        }
        do { try logs.start(by: means) } catch {
            PreparedGeneration.undo(logs, after: current, newSockets, workerSockets, by: means)
            PreparedGeneration.undo(consoleSockets, consoleCopies, after: current, by: means)
            throw error
        }
        let shared = SharedState(
            connectionLimit: means.connectionLimit(wanted.limits), connectionsPerClientLimit: wanted.limits.connectionsPerClient,
            streamLog: logs.stream, accessLog: logs.access, eventLog: logs.event, recordings: logs.recordings,
            hasConsole: wanted.console != nil,
            fingerprinter: Fingerprinter(key: wanted.fingerprintKey ?? means.randomKey, showsSubjects: wanted.logsSubjects),
            historyKey: Fingerprinter(key: wanted.historyKey ?? means.randomHistoryKey), succeeding: current?.shared)
        generation = ProxyGeneration(
            settings: Settings(wanted, security, workerCount: means.workerCount, succeeding: current?.settings), security: security,
            shared: shared, logs: logs, sockets: sockets, consoleSockets: consoleSockets,
            names: names, addresses: addresses)
    }

    /// Leaves nothing of it, because it does not come into force.
    func undo(by means: StartMeans) {
        let newSockets = generation.sockets.missing(in: predecessor?.sockets ?? ListeningSockets())
        PreparedGeneration.undo(generation.logs, after: predecessor, newSockets, workerSockets, by: means)
        PreparedGeneration.undo(generation.consoleSockets, consoleCopies, after: predecessor, by: means)
    }

    private static func undo(
        _ logs: Logs, after current: ProxyGeneration?, _ new: [ListenerSockets], _ copies: [[SocketAddress: [Int32]]], by means: StartMeans
    ) {
        logs.end(except: current?.logs, by: means)
        close(new, copies, means.kernel)
    }

    /// The process's own sockets that nobody needs when this generation is in force.
    var unneededSockets: [ListenerSockets] { predecessor?.sockets.missing(in: generation.sockets) ?? [] }

    /// The same of the console.
    var unneededConsoleSockets: [ListenerSockets] { predecessor?.consoleSockets.missing(in: generation.consoleSockets) ?? [] }

    /// One line for each thing that the operator should know of it: what stays as it was, what is not as it should be.
    func warnings(by means: StartMeans) -> [String] {
        let ofNames = generation.names.warnings(
            about: generation.addresses, unanswered: unansweredNames, withinMilliseconds: lookupMilliseconds)
        let security = generation.security
        // At the start, `warn` has been told of inherited sockets, and `heartwire check` is there for certificates.
        guard predecessor != nil else { return security.readingWarnings + ofNames }
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

// MARK: - The console

extension PreparedGeneration {
    /// Inherited sockets that the console has an address for, and the others. Clients are accepted over TCP only.
    private static func divided(
        _ inherited: [InheritedSocket], _ console: ConsoleSettings?
    ) -> (ofConsole: [InheritedSocket], ofClients: [InheritedSocket]) {
        let wanted = Set((console?.listeners ?? []).compactMap { SocketAddress(literal: $0.host, port: $0.port) })
        var (ofConsole, ofClients): ([InheritedSocket], [InheritedSocket]) = ([], [])
        for socket in inherited {
            if let address = socket.address, wanted.contains(address) {
                ofConsole.append(socket)
            } else if socket.address?.isUnix == true {
                ofClients.append(
                    InheritedSocket(
                        descriptor: socket.descriptor, name: socket.name, address: nil, isHeldElsewhere: socket.isHeldElsewhere))
            } else {
                ofClients.append(socket)
            }
        }
        return (ofConsole, ofClients)
    }

    /// The console's sockets, and its own descriptors of the new ones.
    private static func console(
        _ settings: ConsoleSettings?, after current: ProxyGeneration?, inheriting inherited: [InheritedSocket], _ means: StartMeans
    ) throws(StartError) -> (ListeningSockets, copies: [Int32: Int32]) {
        let old = current?.consoleSockets ?? ListeningSockets()
        let sockets = try ListeningSockets(
            settings?.listeners ?? [], after: old, inheriting: inherited, workerCount: 1, kernel: means.kernel, lookups: means.lookups,
            warn: means.warn)
        var copies: [Int32: Int32] = [:]
        do throws(SystemError) {
            for descriptor in sockets.missing(in: old).flatMap(\.descriptors) {
                copies[descriptor] = try means.kernel.duplicate(descriptor)
            }
        } catch {
            undo(sockets, copies, after: current, by: means)
            throw .system(error)
        }
        return (sockets, copies)
    }

    private static func undo(
        _ sockets: ListeningSockets, _ copies: [Int32: Int32], after current: ProxyGeneration?, by means: StartMeans
    ) {
        let new = sockets.missing(in: current?.consoleSockets ?? ListeningSockets())
        for descriptor in copies.values + new.flatMap(\.descriptors) { means.kernel.close(descriptor, abortively: false) }
        for sockets in new where !sockets.isHeldElsewhere { sockets.address.removeUnixFile() }
    }
}

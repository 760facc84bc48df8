// Another configuration for a running proxy. Everything that can fail is done first (certificates, log files, sockets, copies of
// them for the workers, threads); only then is anything changed, and that cannot fail. So a configuration is in force wholly or not at all.
// Invariant: a connection that the kernel has taken is served, whichever listener goes.

import Configuration
import Credentials
import Downstreams
import Exchanges
import Reactor
import Telemetry
import Upstreams

/// How a reload came out.
package struct Reload: Sendable {
    /// What has changed, each in a few words.
    package let changes: [String]
    /// One line for each thing that stays as it was, or soon needs the operator.
    package let complaints: [String]
    /// Whether there are certificates, which were read anew.
    package let hasCertificates: Bool
}

extension ProxyServer {
    private static let patienceMilliseconds = 10_000
    /// How long a reload waits for names that were not known before. No signal is heard meanwhile.
    private static let lookupMilliseconds = 5_000

    /// Puts another configuration in force; the same one reads the certificates anew. What runs goes on under the one that it began
    /// with. When it throws nothing has changed.
    package func reload(_ wanted: Configuration) throws(StartError) -> Reload {
        let old = inForce
        let workerCount = mailboxes.count
        let security: Security
        do { security = try Security(wanted, succeeding: old.security) } catch { throw .security(error) }
        var logs = try Logs(wanted, keeping: old.logs, clock: clock)
        let (names, unanswered) = lookUpNew(wanted, old)
        let addresses = names.addresses(from: lookups)
        let sockets = try old.sockets.replaced(for: wanted.listeners, workerCount: workerCount, kernel: kernel, lookups: lookups)
        let newSockets = try copies(of: sockets.missing(in: old.sockets), workerCount: workerCount)
        do { try logs.start() } catch {
            logs.end(except: old.logs)
            close(sockets.missing(in: old.sockets), newSockets)
            throw error
        }
        // From here on nothing fails.
        let shared = SharedState(
            connectionLimit: connectionLimit(wanted.limits), connectionsPerClientLimit: wanted.limits.connectionsPerClient,
            streamLog: logs.stream, accessLog: logs.access, eventLog: logs.event,
            fingerprinter: Fingerprinter(key: wanted.fingerprintKey ?? randomKey), succeeding: old.shared)
        let next = InForce(
            configuration: wanted, settings: Settings(wanted, security, workerCount: workerCount), security: security, shared: shared,
            logs: logs, sockets: sockets, names: names, addresses: addresses)
        let pulse = Pulse(expected: mailboxes.count)
        put(inForce: next) {
            // The workers' copies keep these sockets open until what waits in them is taken. Closed before the workers hear of it, because
            // whoever closes last resets what has come since he looked.
            for gone in old.sockets.missing(in: sockets) {
                for descriptor in gone.descriptors { kernel.close(descriptor, abortively: false) }
            }
            tellWorkers(next, newSockets, pulse)
        }
        var complaints = security.complaints + security.warnings(nowUnixMilliseconds: kernel.unixMilliseconds())
        complaints += names.complaints(of: addresses, unanswered: unanswered, withinMilliseconds: ProxyServer.lookupMilliseconds)
        complaints += sockets.unwanted.map { "\($0.address) is the service manager's too; whoever connects to it is refused" }
        if let complaint = complaintOfWorkers(wanted, workerCount) { complaints.append(complaint) }
        if pulse.wait(atMostMilliseconds: ProxyServer.patienceMilliseconds) {
            old.logs.end(except: logs)
        } else {
            complaints.append("not every worker has taken the new configuration yet; they are busy")
        }
        if let error = startResolver() { complaints.append("names of servers are not looked up again: \(error.message)") }
        return Reload(changes: wanted.changes(since: old.configuration), complaints: complaints, hasCertificates: !security.isEmpty)
    }

    /// Looks up the names that have no address; the others are looked up at their time. Returns also those that have not been answered.
    private func lookUpNew(_ wanted: Configuration, _ old: InForce) -> (NameResolver, Set<String>) {
        lookups.forget(except: old.names.names)
        let names = NameResolver(wanted.upstreams)
        let unknown = names.names.filter { lookups.addresses(of: $0, port: 0).isEmpty }
        let unanswered = lookups.lookUp(
            unknown.union(old.sockets.newNames(in: wanted.listeners)), atMostMilliseconds: ProxyServer.lookupMilliseconds)
        return (names, unanswered)
    }

    /// The new sockets for each worker, as descriptors of its own.
    private func copies(of new: [AddressSockets], workerCount: Int) throws(StartError) -> [[NewSocket]] {
        var copies: [[NewSocket]] = []
        do {
            for number in 0..<workerCount {
                copies.append([])
                for sockets in new {
                    for descriptor in sockets.descriptors(forWorker: number, of: workerCount) {
                        copies[number].append(NewSocket(address: sockets.address, descriptor: try kernel.duplicate(descriptor)))
                    }
                }
            }
        } catch {
            close(new, copies)
            throw .system(error)
        }
        return copies
    }

    /// Closes sockets that come to nothing.
    private func close(_ new: [AddressSockets], _ copies: [[NewSocket]]) {
        for descriptor in copies.joined().map(\.descriptor) + new.flatMap(\.descriptors) {
            kernel.close(descriptor, abortively: false)
        }
    }

    /// Hands the configuration to all workers, each of which says when it has taken it.
    private func tellWorkers(_ next: InForce, _ newSockets: [[NewSocket]], _ pulse: Pulse) {
        var listeners: [SocketAddress: ListenerSecurity] = [:]
        for entry in next.sockets.entries { listeners[entry.address] = next.security.listeners[entry.listenerIndex] }
        let unwanted = Set(next.sockets.unwanted.map(\.address))
        for (mailbox, sockets) in zip(mailboxes, newSockets) {
            mailbox.post { [listeners] worker in
                ProxyWorker.on(worker)?.adopt(
                    next.settings, shared: next.shared, addresses: next.addresses, listeners: listeners, unwanted: unwanted,
                    newSockets: sockets)
                pulse.answer()
            }
        }
    }

    private func complaintOfWorkers(_ wanted: Configuration, _ present: Int) -> String? {
        let count = ProxyServer.workerCount(wanted)
        return count == present
            ? nil : "workers stays \(present) until the process is succeeded (SIGUSR2) or restarted; the file asks for \(count)"
    }
}

// A probe in the world: makes the connections that the conductor orders, and tells how it goes. Used on its worker's thread.

import Credentials
import Reactor

/// What happens during a probe, for people who watch it.
package enum ProbeProgress: Sendable {
    /// A step begins.
    case began(ProbeStep)
    /// A step is over.
    case ended(ProbeStep, Verdict)
    /// A second has passed: the steps that run.
    case ticked([RunningStep])
}

/// A step that runs.
package struct RunningStep: Sendable, Equatable {
    /// The step.
    package var step: ProbeStep
    /// For how long it has been running.
    package var ageMilliseconds: Int64
    /// How many connections it has open.
    package var connections: Int
    /// For how long none of them has had a byte.
    package var silenceMilliseconds: Int64
}

/// One probe of one target.
package final class ProbeRun {
    private let worker: Worker
    private let target: ProbeTarget
    private let addresses: [SocketAddress]
    private let terms: ProbeTerms
    private let context: TLSClientContext?
    /// For requests that want HTTP/1.
    private let olderContext: TLSClientContext?
    private let tell: (ProbeProgress) -> Void
    private let whenOver: (ProbeReport) -> Void

    private var conductor: Conductor
    private var flights: [Int: (flight: Flight, connection: ProbeConnection)] = [:]
    /// The connections that carry several flights of their steps.
    private var shared: [ProbeStep: ProbeConnection] = [:]
    private var alarms: [Int: Alarm] = [:]
    private var tick: Alarm?
    private var running: [(step: ProbeStep, since: Int64)] = []
    private var stepOfFlight: [Int: ProbeStep] = [:]
    private var addressIndex = 0
    private var isOver = false

    /// A probe that has not begun. `addresses` are those of `target.destination`, at least one; `authorityFile` replaces the system's
    /// authorities.
    ///
    /// - Throws: what is wrong with the file of the authorities.
    package init(
        worker: Worker, target: ProbeTarget, addresses: [SocketAddress], terms: ProbeTerms, authorityFile: String?,
        tell: @escaping (ProbeProgress) -> Void, whenOver: @escaping (ProbeReport) -> Void
    ) throws(TLSError) {
        precondition(!addresses.isEmpty, "somewhere to connect to")
        self.worker = worker
        self.target = target
        self.addresses = addresses
        self.terms = terms
        self.tell = tell
        self.whenOver = whenOver
        var settings = TLSClientSettings()
        settings.authorityFile = authorityFile
        settings.applicationProtocols =
            switch target.forcedVersion {
            case nil: ["h2", "http/1.1"]
            case .http11: ["http/1.1"]
            case .http2: ["h2"]
            }
        context = target.isSecure ? try TLSClientContext(settings) : nil
        settings.applicationProtocols = ["http/1.1"]
        olderContext = target.isSecure ? try TLSClientContext(settings) : nil
        let kernel = worker.kernel
        conductor = Conductor(
            terms,
            ScriptMaker(
                nonce: {
                    var bytes = [UInt8](repeating: 0, count: 16)
                    bytes.withUnsafeMutableBytes { kernel.fillRandom($0) }
                    return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
                },
                unixSeconds: { kernel.unixMilliseconds() / 1_000 }))
    }

    /// Begins.
    package func begin() {
        startTicking()
        obey(conductor.begin())
    }

    /// Ends before its time, with what has been seen so far.
    package func stop(_ reason: String) {
        guard !isOver else { return }
        let unfinished = flights.mapValues { flight, connection in
            connection.abandon(flight)
            return flight.observation
        }
        flights = [:]
        obey(conductor.stop(reason, unfinished: unfinished))
    }

    private func startTicking() {
        tick = Alarm(worker: worker, afterMilliseconds: 1_000) { [self] in
            guard !isOver else { return }
            tell(.ticked(running.map { state(of: $0.step, since: $0.since) }))
            startTicking()
        }
    }

    private func state(of step: ProbeStep, since: Int64) -> RunningStep {
        let open = flights.filter { stepOfFlight[$0.key] == step }.values.map(\.flight)
        let silences = open.compactMap { flight in
            flight.requestMoment.map { worker.now - $0 - (flight.observation.lastByteAt ?? flight.observation.headAt ?? 0) }
        }
        return RunningStep(
            step: step, ageMilliseconds: worker.now - since, connections: open.count, silenceMilliseconds: silences.min() ?? 0)
    }

    private func obey(_ orders: [Conductor.Order]) {
        for order in orders {
            switch order {
            case .began(let step):
                running.append((step, worker.now))
                tell(.began(step))
            case .fly(let number, let plan, let step):
                stepOfFlight[number] = step
                launch(number, plan)
            case .ended(let step):
                running.removeAll { $0.step == step }
                shared.removeValue(forKey: step)?.close()
                tell(.ended(step, ProbeReport.verdict(of: step, conductor.results)))
            case .stop:
                for (flight, connection) in flights.values { connection.abandon(flight) }
                for (_, alarm) in alarms { alarm.cancel() }
                for (_, connection) in shared { connection.close() }
                flights = [:]
                shared = [:]
                alarms = [:]
            case .finished:
                isOver = true
                tick?.cancel()
                whenOver(ProbeReport(conductor.results, steps: terms.steps, refusal: conductor.refusal))
            }
        }
    }

    private func launch(_ number: Int, _ plan: FlightPlan) {
        alarms[number] = Alarm(worker: worker, afterMilliseconds: plan.delayMilliseconds) { [self] in
            alarms[number] = nil
            connect(number, plan)
        }
    }

    private func connect(_ number: Int, _ plan: FlightPlan) {
        let place = addressIndex
        let flight = Flight(plan) { [self] flight in
            flights[number] = nil
            // The next address of the name may work.
            if case .notConnected? = flight.observation.ending, place + 1 < addresses.count {
                addressIndex = max(addressIndex, place + 1)
                return connect(number, plan)
            }
            obey(conductor.ended(number, flight.observation))
        }
        let step = plan.sharesConnection ? stepOfFlight[number] : nil
        if let step, let connection = shared[step], connection.takesMore {
            flights[number] = (flight, connection)
            return connection.carry(flight)
        }
        let connection = ProbeConnection(worker: worker, target: target, first: flight, isKept: plan.sharesConnection)
        do {
            try connection.begin(to: addresses[place], securedBy: plan.version == .usual ? context : olderContext)
            flights[number] = (flight, connection)
            if let step { shared[step] = connection }
        } catch {
            var observation = Observation(plan)
            observation.ending = .notConnected(error.message)
            obey(conductor.ended(number, observation))
        }
    }
}

// A probe in the world: makes the connections that the conductor orders, and tells how it goes. Used on its worker's thread.

import Credentials
import HTTP
import Reactor

/// What happens during a probe, for people who watch it.
package enum ProbeProgress: Sendable {
    /// Something to know before the steps.
    case note(String)
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
    private let offering: TLSClientContext?
    private let context: TLSClientContext?
    private let tell: (ProbeProgress) -> Void
    private let whenOver: (ProbeReport) -> Void

    private var conductor: Conductor
    private var flights: [Int: Flight] = [:]
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
        settings.applicationProtocols = ["h2", "http/1.1"]
        offering = target.isSecure ? try TLSClientContext(settings) : nil
        settings.applicationProtocols = ["http/1.1"]
        context = target.isSecure ? try TLSClientContext(settings) : nil
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
        guard let offering else { return beginSteps() }
        let trial = ProtocolTrial(worker: worker) { [self] chosen in
            if chosen == "h2" { tell(.note("the server would choose h2 (HTTP/2); probing over HTTP/1.1")) }
            beginSteps()
        }
        do {
            try trial.begin(to: addresses[0], securedBy: offering, serverName: target.host)
        } catch {
            beginSteps()
        }
    }

    /// Ends before its time, with what has been seen so far.
    package func stop(_ reason: String) {
        guard !isOver else { return }
        let unfinished = flights.mapValues { $0.abandon() }
        flights = [:]
        obey(conductor.stop(reason, unfinished: unfinished))
    }

    private func beginSteps() {
        guard !isOver else { return }
        startTicking()
        obey(conductor.begin())
    }

    private func startTicking() {
        tick = Alarm(worker: worker, afterMilliseconds: 1_000) { [self] in
            guard !isOver else { return }
            tell(.ticked(running.map { state(of: $0.step, since: $0.since) }))
            startTicking()
        }
    }

    private func state(of step: ProbeStep, since: Int64) -> RunningStep {
        let open = flights.filter { stepOfFlight[$0.key] == step }.values
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
                tell(.ended(step, ProbeReport.verdict(of: step, conductor.results)))
            case .stop:
                for (_, flight) in flights { _ = flight.abandon() }
                for (_, alarm) in alarms { alarm.cancel() }
                flights = [:]
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
        let flight = Flight(worker: worker, plan: plan, request: target.request(plan)) { [self] flight in
            flights[number] = nil
            // The next address of the name may work.
            if case .notConnected? = flight.observation.ending, place + 1 < addresses.count {
                addressIndex = max(addressIndex, place + 1)
                return connect(number, plan)
            }
            obey(conductor.ended(number, flight.observation))
        }
        do {
            try flight.begin(to: addresses[place], securedBy: context, serverName: target.host)
            flights[number] = flight
        } catch {
            var observation = Observation(plan)
            observation.ending = .notConnected(error.message)
            obey(conductor.ended(number, observation))
        }
    }
}

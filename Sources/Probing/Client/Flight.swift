// One request of a probe and what is seen of its response, whichever connection carries it.

/// One request of a probe.
final class Flight {
    /// What is asked for, and when the probe ends it.
    let plan: FlightPlan
    /// Follows the response.
    var tap: ResponseTap
    /// When the request was sent, by the worker's clock; nil before that.
    private(set) var requestMoment: Int64?
    private let whenOver: (Flight) -> Void

    /// A request that has not been sent. `whenOver` is called once, when it is over; never from within a call that begins it.
    init(_ plan: FlightPlan, whenOver: @escaping (Flight) -> Void) {
        self.plan = plan
        self.whenOver = whenOver
        tap = ResponseTap(plan)
    }

    /// What has been seen so far.
    var observation: Observation { tap.observation }

    /// When the probe ends it, by the worker's clock; nil before the request was sent.
    var deadline: Int64? { requestMoment.map { $0 + plan.limitMilliseconds } }

    /// Whether it has what it wanted.
    var isSatisfied: Bool { plan.itemLimit.map { tap.observation.items.count >= $0 } ?? false }

    /// The request is sent now.
    func send(at now: Int64) {
        requestMoment = now
        tap.observation.sentAt = now
    }

    /// The time since the request, or since `connection` was begun if no request was sent.
    func elapsed(at now: Int64, connectionBeganAt: Int64) -> Int64 { now - (requestMoment ?? connectionBeganAt) }

    /// It is over.
    func report() { whenOver(self) }
}

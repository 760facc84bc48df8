// Runs the steps beside each other within the number of connections that a probe may make, and stops all of them where a server asks for
// it. A state machine without sockets: what happened goes in, what is to be done comes out. Invariant: never more connections than
// `ProbeTerms.connectionLimit`; each step's rounds follow one another.

/// Decides which connections are made when.
package struct Conductor {
    /// What is to be done.
    package enum Order: Sendable {
        /// Make this connection, for that step.
        case fly(Int, FlightPlan, ProbeStep)
        /// A step begins.
        case began(ProbeStep)
        /// A step is over.
        case ended(ProbeStep)
        /// Close all connections; nothing more follows.
        case stop
        /// All steps are over.
        case finished
    }

    private struct Course {
        let step: ProbeStep
        var hasBegun = false
        var isOver = false
        /// The next round, which waits for free connections.
        var waiting: [FlightPlan] = []
        var plans: [Int] = []
        var observations: [Int: Observation] = [:]
        var activeCount: Int { plans.count - observations.count }
    }

    private let planner: StepPlanner
    private var courses: [Course]
    private var lastNumber = 0
    private var isOver = false
    /// What has been seen so far.
    package private(set) var results = ProbeResults()
    /// Why the probe ended before its steps did; nil if it did not.
    package private(set) var refusal: String?

    /// A probe that has not begun.
    package init(_ terms: ProbeTerms, _ maker: ScriptMaker) {
        planner = StepPlanner(terms: terms, maker: maker)
        courses = terms.steps.map { Course(step: $0) }
    }

    /// The first orders.
    package mutating func begin() -> [Order] { advance() }

    /// A connection is over.
    package mutating func ended(_ number: Int, _ observation: Observation) -> [Order] {
        guard !isOver, let index = courses.firstIndex(where: { $0.plans.contains(number) && $0.observations[number] == nil }) else {
            return []
        }
        courses[index].observations[number] = observation
        if let refusal = Refusals.reason(observation, in: courses[index].step) { return stop(refusal) }
        guard courses[index].activeCount == 0 else { return [] }
        closeRound(of: index)
        return advance()
    }

    /// Ends before its time; what has been seen counts, that of connections that were still open too.
    package mutating func stop(_ reason: String, unfinished: [Int: Observation] = [:]) -> [Order] {
        guard !isOver else { return [] }
        for index in courses.indices {
            for number in courses[index].plans where courses[index].observations[number] == nil {
                courses[index].observations[number] = unfinished[number]
            }
        }
        refusal = reason
        isOver = true
        for index in courses.indices { closeRound(of: index) }
        return [.stop, .finished]
    }

    private mutating func closeRound(of index: Int) {
        let course = courses[index]
        let round = course.plans.compactMap { course.observations[$0] }
        if !round.isEmpty { results.add(round, to: course.step) }
        courses[index].plans = []
        courses[index].observations = [:]
    }

    private var activeCount: Int { courses.reduce(0) { $0 + $1.activeCount } }

    private func isReady(_ course: Course) -> Bool {
        course.step.prerequisites.allSatisfy { step in courses.first { $0.step == step }?.isOver ?? true }
    }

    private mutating func advance() -> [Order] {
        var orders: [Order] = []
        var hasChanged = true
        while hasChanged {
            hasChanged = false
            for index in courses.indices where !courses[index].isOver && courses[index].activeCount == 0 && isReady(courses[index]) {
                if courses[index].waiting.isEmpty {
                    courses[index].waiting = planner.nextRound(of: courses[index].step, after: results)
                    if courses[index].waiting.isEmpty {
                        courses[index].isOver = true
                        if courses[index].hasBegun { orders.append(.ended(courses[index].step)) }
                        hasChanged = true
                        continue
                    }
                }
                guard activeCount + courses[index].waiting.count <= ProbeTerms.connectionLimit else { continue }
                orders += launch(index)
            }
        }
        if courses.allSatisfy(\.isOver) {
            isOver = true
            orders.append(.finished)
        }
        return orders
    }

    private mutating func launch(_ index: Int) -> [Order] {
        var orders: [Order] = courses[index].hasBegun ? [] : [.began(courses[index].step)]
        courses[index].hasBegun = true
        for plan in courses[index].waiting {
            lastNumber += 1
            courses[index].plans.append(lastNumber)
            orders.append(.fly(lastNumber, plan, courses[index].step))
        }
        courses[index].waiting = []
        return orders
    }
}

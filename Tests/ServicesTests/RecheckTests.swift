// When a service is asked again about living streams, and what its answers mean for them.

import Testing

@testable import Services

@Suite("A recheck")
struct RecheckTests {
    private func schedule(_ chance: UInt64 = 0, grace: Int = 600_000) -> RecheckSchedule {
        RecheckSchedule(pauseMilliseconds: 60_000, graceMilliseconds: grace, now: 0) { min(chance, $0 - 1) }
    }

    @Test("comes at most one pause after the last answer, at a moment of its own")
    func moments() {
        #expect(schedule(0).nextAt == 60_000 && schedule(1).nextAt == 59_999 && schedule(.max).nextAt == 45_001)
        var schedule = schedule()
        schedule.answered(now: 70_000) { _ in 0 }
        #expect(schedule.nextAt == 130_000 && !schedule.isOver(now: .max))
    }

    @Test("is repeated sooner when there is no answer, and over after the grace")
    func silence() {
        var schedule = schedule()
        var now: Int64 = 60_000
        var pauses: [Int64] = []
        while !schedule.isOver(now: now) {
            schedule.failed(now: now) { $0 - 1 }
            pauses.append(schedule.nextAt - now)
            #expect(schedule.nextAt <= 660_000 && pauses.last! > 0)
            now = schedule.nextAt
        }
        #expect(now == 660_000)
        #expect(pauses.prefix(7) == [999, 1_999, 3_999, 7_999, 15_999, 31_999, 59_999])
        // An answer in between makes good for all silence before it.
        var other = self.schedule()
        other.failed(now: 60_000) { _ in 0 }
        other.answered(now: 600_000) { _ in 0 }
        other.failed(now: 660_000) { _ in 0 }
        #expect(other.silentSince == 660_000 && !other.isOver(now: 1_259_999) && other.isOver(now: 1_260_000))
    }

    @Test("without grace is over at the first silence")
    func noGrace() {
        var schedule = schedule(grace: 0)
        schedule.failed(now: 60_000) { _ in 0 }
        #expect(schedule.isOver(now: 60_000))
    }

    private let verdicts: [ForwardAuthVerdict] = [
        .denied(ForwardAuthDenial(status: 403, challenges: [], contentType: nil, body: [])),
        .redirected(ForwardAuthRedirection(status: 302, location: [], cookies: [])),
    ]

    @Test("asks once for all streams of a question, and a refusal ends them and no others")
    func watched() {
        for (verdict, status) in zip(verdicts, [403, 302]) {
            var watched = WatchedQuestions()
            let (mine, other, dead) = (question(("Cookie", "a")), question(("Cookie", "b")), question(("Cookie", "c")))
            for _ in 0..<3 { watched.add(mine, schedule(), isAlive: { _ in true }) }
            watched.add(other, schedule(1_000), isAlive: { _ in true })
            watched.add(dead, schedule(2_000), isAlive: { _ in true })
            #expect(watched.count == 3 && watched.nextAt == 58_000)
            #expect(watched.takeDue(now: 57_999) { _ in true }.isEmpty)
            // No stream depends on the third question any more: it is forgotten, and nobody is asked.
            #expect(watched.takeDue(now: 60_000) { $0 != dead.digest }.count == 2)
            #expect(watched.takeDue(now: 60_000) { _ in true }.isEmpty && watched.nextAt == nil && watched.count == 2)
            #expect(watched.answered(other.digest, .allowed([]), now: 60_100, chance: { _ in 0 }) == nil)
            #expect(watched.nextAt == 120_100)
            #expect(watched.answered(mine.digest, verdict, now: 60_100, chance: { _ in 0 }) == .refused(status: status))
            #expect(watched.count == 1 && watched.answered(mine.digest, verdict, now: 60_200, chance: { _ in 0 }) == nil)
        }
    }

    @Test("asks first what has been due for the longest time")
    func order() {
        for count in 2...30 {
            var watched = WatchedQuestions()
            let questions = (0..<count).map { question(("Cookie", "\($0)")) }
            // The later ones are due earlier; every other one is due with the one before.
            for (index, asked) in questions.enumerated() {
                watched.add(asked, schedule(UInt64(1_000 * (index / 2))), isAlive: { _ in true })
            }
            let due = watched.takeDue(now: 60_000) { _ in true }.map(\.digest)
            let expected = questions.indices.sorted { ($1 / 2, $0) < ($0 / 2, $1) }.map { questions[$0].digest }
            #expect(due == expected)
        }
    }

    @Test("without an answer lets streams live for the grace, and then ends them for that reason")
    func unanswered() {
        var watched = WatchedQuestions()
        let mine = question(("Cookie", "a"))
        watched.add(mine, schedule(grace: 5_000), isAlive: { _ in true })
        var now: Int64 = 60_000
        while now < 65_000 {
            #expect(watched.takeDue(now: now) { _ in true }.count == 1)
            #expect(watched.answered(mine.digest, .unusable("x"), now: now, chance: { _ in 0 }) == nil)
            now = watched.nextAt ?? 65_000
        }
        #expect(now == 65_000 && watched.takeDue(now: now) { _ in true }.count == 1)
        #expect(watched.answered(mine.digest, .unusable("x"), now: now, chance: { _ in 0 }) == .silent && watched.count == 0)
    }

    @Test("looks at no other question when one is added or answered")
    func crowd() {
        var watched = WatchedQuestions()
        let questions = (0..<20_000).map { question(("Cookie", "\($0)")) }
        let duration = ContinuousClock().measure {
            for question in questions {
                watched.add(question, schedule(), isAlive: { _ in true })
                #expect(watched.nextAt == 60_000)
            }
            for question in questions {
                _ = watched.answered(question.digest, .allowed([]), now: 1_000, chance: { _ in 0 })
                #expect(watched.nextAt == 60_000)
            }
        }
        // A debug build needs some 200 ms; a look at all questions each time took minutes.
        #expect(duration < .seconds(20), "\(duration)")
        // The moment may be too early. A look corrects it, and forgets none.
        #expect(watched.takeDue(now: 60_000) { _ in true }.isEmpty && watched.nextAt == 61_000)
        #expect(watched.takeDue(now: 61_000) { _ in true }.count == 20_000 && watched.nextAt == nil)
    }

    @Test("forgets questions of streams that have ended, also long before they would be asked again")
    func bounded() {
        var watched = WatchedQuestions()
        for number in 0..<10_000 {
            watched.add(question(("Cookie", "\(number)")), schedule(), isAlive: { _ in false })
            #expect(watched.count <= 1_024)
        }
    }
}

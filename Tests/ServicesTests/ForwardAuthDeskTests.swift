// Questions to a service: asked once for all who ask the same, kept, and bounded.

import Testing

@testable import Services

private let allowed = ForwardAuthVerdict.allowed([("X-User", Array("ann".utf8))])
private let denied = ForwardAuthVerdict.denied(ForwardAuthDenial(status: 403, challenges: [], contentType: nil, body: []))

private func login(_ cookie: String? = nil) -> ForwardAuthVerdict {
    .redirected(
        ForwardAuthRedirection(status: 302, location: Array("/login".utf8), cookies: cookie.map { [Array($0.utf8)] } ?? []))
}

@Suite("A service's desk")
struct ForwardAuthDeskTests {
    private let first = question(("Cookie", "a=1"), ("X-Forwarded-Uri", "/a"))

    @Test("asks once for a thousand who ask the same, and tells each of them")
    func singleFlight() {
        let world = DeskWorld()
        for number in 0..<1_000 { #expect(world.ask("\(number)", first)) }
        #expect(world.asked == 1 && world.told.isEmpty)
        world.answer(allowed)
        #expect(world.takeTold() == (0..<1_000).map { "\($0): allowed X-User=ann" })
        #expect(world.desk.callCount == 0 && world.open.isEmpty)
    }

    private static let times: [(ForwardAuthVerdict, Int64)] = [(allowed, 10_000), (denied, 2_000), (login(), 2_000)]

    @Test("keeps an answer for its time and for its own question only", arguments: times)
    func kept(verdict: ForwardAuthVerdict, milliseconds: Int64) {
        let world = DeskWorld()
        world.ask("a", first)
        #expect(world.desk.keptVerdict(on: first, needsRefusalOnly: true) == nil)
        world.answer(verdict)
        for other in [
            question(("Cookie", "a=2"), ("X-Forwarded-Uri", "/a")), question(("Cookie", "a=1"), ("X-Forwarded-Uri", "/b")),
            question(("X-Forwarded-Uri", "/a")), question(("Cookie", "a=1")),
        ] { #expect(world.desk.keptVerdict(on: other, needsRefusalOnly: true) == nil) }
        world.now += milliseconds - 1
        #expect(world.desk.keptVerdict(on: first, needsRefusalOnly: false)?.line == verdict.line)
        world.now += 1
        #expect(world.desk.keptVerdict(on: first, needsRefusalOnly: true) == nil)
    }

    @Test("keeps no answer that says nothing")
    func unusable() {
        let world = DeskWorld()
        world.ask("a", first)
        world.answer(.unusable("the service answered 500"))
        #expect(world.takeTold() == ["a: unusable the service answered 500"])
        #expect(world.desk.keptVerdict(on: first, needsRefusalOnly: true) == nil)
        world.ask("b", first)
        #expect(world.asked == 2)
    }

    @Test("tells nobody who has left, and goes on for the others")
    func gone() {
        let world = DeskWorld()
        for name in ["a", "b", "c"] { world.ask(name, first) }
        for name in ["a", "b"] { world.leaves(name) }
        world.answer(allowed)
        #expect(world.takeTold() == ["c: allowed X-User=ann"])
    }

    @Test("gives a cookie to the client for which it asked, and asks for each other that can take one")
    func personal() {
        let world = DeskWorld()
        world.ask("page", first, needsRefusalOnly: false)
        world.ask("stream", first)
        world.ask("other page", first, needsRefusalOnly: false)
        world.answer(login("state=1"))
        #expect(world.takeTold() == ["page: redirected 302 /login", "stream: redirected 302 /login"])
        #expect(world.asked == 2)
        // While it is known that answers are personal, each page has its own question, and streams need none.
        world.ask("third page", first, needsRefusalOnly: false)
        #expect(world.asked == 3)
        #expect(world.desk.keptVerdict(on: first, needsRefusalOnly: false) == nil)
        #expect(world.desk.keptVerdict(on: first, needsRefusalOnly: true)?.line == "redirected 302 /login")
        world.answer(login("state=2"))
        world.answer(login("state=3"))
        #expect(world.takeTold() == ["other page: redirected 302 /login", "third page: redirected 302 /login"])
    }

    @Test("gives a cookie to nobody when the client for which it asked has left")
    func personalOfNobody() {
        let world = DeskWorld()
        world.ask("page", first, needsRefusalOnly: false)
        world.ask("other page", first, needsRefusalOnly: false)
        world.leaves("page")
        world.answer(login("state=1"))
        #expect(world.takeTold().isEmpty && world.asked == 2)
        world.answer(login("state=2"))
        #expect(world.takeTold() == ["other page: redirected 302 /login"])
    }

    @Test("keeps no permission with a cookie, and asks for each other client, streams too: the server could be told another user each time")
    func personalPermission() {
        func allowed(_ user: String) -> ForwardAuthVerdict {
            .allowed([("X-User", Array(user.utf8))], cookies: [Array("sid=\(user)".utf8)])
        }
        let world = DeskWorld()
        world.ask("stream", first)
        world.ask("other stream", first)
        world.answer(allowed("one"))
        #expect(world.takeTold() == ["stream: allowed X-User=one cookie sid=one"])
        #expect(world.desk.keptVerdict(on: first, needsRefusalOnly: true) == nil)
        world.answer(allowed("two"))
        #expect(world.takeTold() == ["other stream: allowed X-User=two cookie sid=two"])
        // What is kept of before is not true any more.
        world.ask("denied", first)
        world.answer(denied)
        world.ask("allowed", first)
        world.answer(allowed("three"))
        #expect(world.desk.keptVerdict(on: first, needsRefusalOnly: true) == nil)
        #expect(world.asked == 4 && world.desk.callCount == 0)
    }

    private func different(_ number: Int) -> ForwardAuthQuestion { question(("Cookie", "a=\(number)")) }

    @Test("asks 32 questions at a time, lets 1,024 wait in their order, and takes no more")
    func bounded() {
        let world = DeskWorld()
        let most = ForwardAuthDesk.mostCalls + ForwardAuthDesk.mostQueued
        for number in 0..<most { #expect(world.ask("\(number)", different(number))) }
        #expect(!world.ask("one more", different(most)))
        #expect(world.asked == 32 && world.desk.queuedCount == 1_024)
        // Who asks what is asked already takes no room.
        #expect(world.ask("same", different(most - 1)))
        for number in 0..<most {
            world.answer(allowed)
            #expect(world.takeTold().first == "\(number): allowed X-User=ann")
        }
        #expect(world.asked == most && world.desk.queuedCount == 0 && world.desk.callCount == 0)
        #expect(world.desk.keptVerdict(on: different(most), needsRefusalOnly: true) == nil)
    }

    @Test("asks about living streams at every second turn, however many openings wait")
    func rechecks() {
        let world = DeskWorld()
        let most = ForwardAuthDesk.mostCalls + ForwardAuthDesk.mostQueued
        for number in 0..<most { world.ask("\(number)", different(number)) }
        #expect(!world.ask("one more", different(most)))
        for number in 0..<3 { #expect(world.ask("again \(number)", different(2_000 + number), isRecheck: true)) }
        for _ in 0..<6 { world.answer(allowed) }
        let asked = world.open.suffix(6).map(\.question.digest)
        #expect(asked == [2_000, 32, 2_001, 33, 2_002, 34].map { different($0).digest })
        // Those about streams are bounded too.
        for number in 0..<ForwardAuthDesk.mostQueued { #expect(world.ask("\(number)", different(3_000 + number), isRecheck: true)) }
        #expect(!world.ask("one more", different(5_000), isRecheck: true))
    }

    @Test("lets nobody wait longer than the service may take")
    func late() {
        let world = DeskWorld()
        for number in 0..<32 { world.ask("\(number)", different(number)) }
        world.now += 1_500
        world.ask("queued", different(32))
        world.ask("left", different(33))
        world.ask("late", different(34))
        world.leaves("left")
        world.answer(.unusable("x"))
        // The time in the queue counts.
        #expect(world.open.last?.timeout == 2_000)
        world.now += 2_000
        world.answer(.unusable("y"))
        #expect(world.takeTold() == ["0: unusable x", "1: unusable y", "late: unusable the service has too many questions to answer"])
        #expect(world.asked == 33)
    }
}

@Suite("Kept answers")
struct KeptAnswersTests {
    private func kept(_ most: Int = 3, bytes: Int = 100) -> KeptAnswers<Int> { KeptAnswers(mostAnswers: most, mostBytes: bytes) }
    private func key(_ number: Int) -> ForwardAuthQuestion { question(("n", "\(number)")) }

    @Test("are as many as allowed, and the oldest goes first")
    func count() {
        var answers = kept()
        for number in 0..<5 { answers.keep(number, to: key(number).digest, bytes: 1, until: 10, now: 0) }
        #expect((0..<5).map { answers.answer(to: key($0).digest, now: 0) } == [nil, nil, 2, 3, 4])
        // An answer that is replaced is new.
        answers.keep(20, to: key(2).digest, bytes: 1, until: 10, now: 0)
        answers.keep(5, to: key(5).digest, bytes: 1, until: 10, now: 0)
        #expect((0..<6).map { answers.answer(to: key($0).digest, now: 0) } == [nil, nil, 20, nil, 4, 5])
    }

    @Test("have as many bytes as allowed, and one that is larger than all of them is not kept")
    func bytes() {
        var answers = kept(10, bytes: 100)
        for number in 0..<3 { answers.keep(number, to: key(number).digest, bytes: 40, until: 10, now: 0) }
        #expect(answers.count == 2 && answers.bytes == 80 && answers.answer(to: key(0).digest, now: 0) == nil)
        answers.keep(7, to: key(7).digest, bytes: 101, until: 10, now: 0)
        #expect(answers.answer(to: key(7).digest, now: 0) == nil && answers.bytes == 80)
        answers.keep(8, to: key(2).digest, bytes: 101, until: 10, now: 0)
        #expect(answers.answer(to: key(2).digest, now: 0) == nil && answers.bytes == 40)
    }

    @Test("make room when their time is over, and one question that is answered again and again takes none from the others")
    func time() {
        var answers = kept(4)
        answers.keep(1, to: key(1).digest, bytes: 1, until: 10_000, now: 0)
        for now in Int64(0)..<10_000 { answers.keep(2, to: key(2).digest, bytes: 1, until: now + 1, now: now) }
        #expect(answers.answer(to: key(1).digest, now: 9_999) == 1 && answers.count == 2 && answers.bytes == 2)
        answers.keep(3, to: key(3).digest, bytes: 1, until: 20_000, now: 10_001)
        #expect(answers.count == 1 && answers.answer(to: key(3).digest, now: 10_001) == 3)
        answers.keep(4, to: key(4).digest, bytes: 1, until: 10_001, now: 10_001)
        #expect(answers.answer(to: key(4).digest, now: 10_001) == nil)
    }
}

// The schedule of the backend's events.

import Testing

@testable import Demo

@Suite struct BurstScheduleTests {
    @Test("a burst, a silence, a burst: at their moments, numbered from one")
    func moments() {
        var schedule = BurstSchedule(timing: DemoTiming(), beginningAt: 100)
        var moments: [Int64] = []
        for number in UInt64(1)...13 {
            #expect(schedule.takeDue(now: schedule.nextMoment - 1) == nil)
            moments.append(schedule.nextMoment - 100)
            #expect(schedule.takeDue(now: schedule.nextMoment) == number)
        }
        #expect(moments == [0, 800, 1600, 2400, 7200, 8000, 8800, 9600, 14400, 15200, 16000, 16800, 21600])
    }

    @Test("after a pause of the whole process no number is missing, and missed events are not made up for")
    func late() {
        var schedule = BurstSchedule(timing: DemoTiming(), beginningAt: 0)
        #expect(schedule.takeDue(now: 1_000_000) == 1)
        #expect(schedule.takeDue(now: 1_000_000) == nil)
        #expect(schedule.nextNumber == 2)
        #expect(schedule.nextMoment == 1_000_400)
    }

    @Test("the demo's pace tells its story: silence beats the hop, heartbeats beat silence, the browser is back too late")
    func story() {
        let timing = DemoTiming()
        let backAt = timing.hopIdleLimitMilliseconds + Int64(timing.reconnectMilliseconds)
        #expect(timing.silenceMilliseconds > timing.hopIdleLimitMilliseconds)
        #expect(timing.heartbeatMilliseconds * 2 < timing.hopIdleLimitMilliseconds)
        #expect(timing.eventIntervalMilliseconds < timing.heartbeatMilliseconds)
        #expect(backAt > timing.silenceMilliseconds)
        #expect(backAt < timing.silenceMilliseconds + Int64(timing.eventsPerBurst - 1) * timing.eventIntervalMilliseconds)
    }
}

@Suite struct RhythmicStreamTests {
    @Test("each of the eight streams has a rhythm of its own, and its numbers have no gap")
    func moments() throws {
        for (index, kind) in RhythmicStream.kinds.enumerated() {
            var stream = try #require(RhythmicStream(path: "/eight/\(index + 1)", now: 100))
            for number in UInt64(1)...4 {
                #expect(stream.nextMoment == 100 + kind.intervalMilliseconds / 2 + Int64(number - 1) * kind.intervalMilliseconds)
                #expect(stream.takeDue(now: stream.nextMoment - 1) == nil)
                #expect(stream.takeDue(now: stream.nextMoment) == number)
            }
            #expect(stream.takeDue(now: 1_000_000) == 5)
            #expect(stream.takeDue(now: 1_000_000) == nil)
        }
        #expect(Set(RhythmicStream.kinds.map(\.intervalMilliseconds)).count == 8)
    }

    @Test("one of them is silent for longer than the load balancer allows, so heartbeats keep it alive")
    func silence() { #expect(RhythmicStream.kinds.contains { $0.intervalMilliseconds > DemoTiming().hopIdleLimitMilliseconds }) }

    @Test(
        "there are eight of them and no other",
        arguments: ["/eight/0", "/eight/9", "/eight/", "/eight/12", "/eight/-1", "/eight/+1", "/x/1"])
    func others(path: String) { #expect(RhythmicStream(path: path, now: 0) == nil) }
}

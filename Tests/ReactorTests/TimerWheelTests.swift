import Reactor
import TestSupport
import Testing

@Suite struct TimerWheelTests {
    /// Turns the wheel to a moment and returns the slots that fired.
    private func due(_ wheel: inout TimerWheel, at now: Int64) -> [Int] {
        var slots: [Int] = []
        while let slot = wheel.nextDue(nowMilliseconds: now) { slots.append(slot) }
        return slots
    }

    @Test("a slot fires not before its deadline and not later than one tick after it, whatever the moment and the distance")
    func precision() {
        for start in [Int64(0), 1, 7, 8, 12_345, 32_767, 32_768, 1_000_003] {
            for distance in [Int64(0), 1, 8, 100, 4_096, 15_000, 30_000] {
                var wheel = TimerWheel(nowMilliseconds: start)
                wheel.reserve(slot: 0)
                wheel.arm(slot: 0, deadlineMilliseconds: start + distance)
                var fired: Int64?
                var now = start
                while fired == nil, now < start + distance + 100 {
                    if due(&wheel, at: now) == [0] { fired = now }
                    now += 1
                }
                let late = (fired ?? .max) - (start + distance)
                #expect(late >= 0 && late <= TimerWheel.tickMilliseconds, "start \(start), distance \(distance)")
            }
        }
    }

    @Test("the furthest possible deadline fires at the end of the wheel's turn, to be armed again")
    func furthest() {
        var wheel = TimerWheel(nowMilliseconds: 1000)
        wheel.reserve(slot: 0)
        wheel.arm(slot: 0, deadlineMilliseconds: .max)
        #expect(due(&wheel, at: 1000 + 30_000) == [])
        #expect(due(&wheel, at: 1000 + 33_000) == [0])
    }

    @Test("a postponed deadline leaves the earlier wake-up, and an earlier deadline replaces it")
    func laziness() {
        var wheel = TimerWheel(nowMilliseconds: 0)
        wheel.reserve(slot: 3)
        wheel.arm(slot: 3, deadlineMilliseconds: 1000)
        wheel.arm(slot: 3, deadlineMilliseconds: 5000)
        #expect(wheel.armedCount == 1)
        #expect(due(&wheel, at: 1008) == [3])
        wheel.arm(slot: 3, deadlineMilliseconds: 5000)
        wheel.arm(slot: 3, deadlineMilliseconds: 2000)
        #expect(due(&wheel, at: 1992) == [])
        #expect(due(&wheel, at: 2008) == [3])
        #expect(wheel.armedCount == 0)
    }

    @Test("a slot that is disarmed never fires")
    func disarming() {
        var wheel = TimerWheel(nowMilliseconds: 0)
        wheel.reserve(slot: 2)
        for slot in 0...2 { wheel.arm(slot: slot, deadlineMilliseconds: 100) }
        wheel.disarm(slot: 1)
        wheel.disarm(slot: 1)
        #expect(due(&wheel, at: 200).sorted() == [0, 2])
    }

    @Test("a deadline beyond one turn fires early, so that its owner can arm it again")
    func beyondOneTurn() {
        var wheel = TimerWheel(nowMilliseconds: 0)
        wheel.reserve(slot: 0)
        wheel.arm(slot: 0, deadlineMilliseconds: 3_600_000)
        var wakes = 0
        var now: Int64 = 0
        while now < 3_600_000 {
            now += wheel.millisecondsUntilNext(nowMilliseconds: now) ?? 0
            if due(&wheel, at: now) == [0] {
                wakes += 1
                if now < 3_600_000 { wheel.arm(slot: 0, deadlineMilliseconds: 3_600_000) }
            }
        }
        #expect(now - 3_600_000 <= TimerWheel.tickMilliseconds)
        #expect(wakes > 100 && wakes < 120)
    }

    @Test("the wait until the next slot is never too long and never ends in vain, for ten thousand slots at random deadlines")
    func waits() {
        var generator = SeededGenerator("timer wheel")
        var wheel = TimerWheel(nowMilliseconds: 50)
        wheel.reserve(slot: 9_999)
        var deadlines: [Int: Int64] = [:]
        for slot in 0..<10_000 {
            deadlines[slot] = 50 + Int64(generator.next() % 30_000)
            wheel.arm(slot: slot, deadlineMilliseconds: deadlines[slot]!)
        }
        var now: Int64 = 50
        while let wait = wheel.millisecondsUntilNext(nowMilliseconds: now) {
            now += wait
            let slots = due(&wheel, at: now)
            #expect(!slots.isEmpty)
            for slot in slots {
                let deadline = deadlines.removeValue(forKey: slot) ?? .max
                #expect(now >= deadline && now - deadline <= TimerWheel.tickMilliseconds + 1)
            }
            if slots.isEmpty { break }
        }
        #expect(deadlines.isEmpty)
    }
}

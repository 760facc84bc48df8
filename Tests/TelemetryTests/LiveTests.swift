// What a worker keeps for its console: the latest lines, and the causes of the last hour.

import Testing

@testable import Telemetry

@Suite("The tail of a stream log")
struct StreamTailTests {
    private func line(_ number: Int) -> [UInt8] { Array("line \(number)\n".utf8) }

    @Test("gives each reader what came after the number that it knows, in pieces")
    func reading() {
        var tail = StreamTail()
        #expect(tail.lines(after: 0) == TailPart())
        for number in 1...450 { tail.note(line(number)) }
        var part = tail.lines(after: 0)
        #expect(part.lines.first == line(1) && part.lines.count == StreamTail.answerLines && !part.isLatest && part.missed == 0)
        part = tail.lines(after: part.last)
        part = tail.lines(after: part.last)
        #expect(part.lines.last == line(450) && part.lines.count == 50 && part.isLatest)
        #expect(tail.lines(after: part.last).lines.isEmpty)
        tail.note(line(451))
        #expect(tail.lines(after: part.last).lines == [line(451)])
    }

    @Test("keeps so many lines, and says how many a slow reader has missed")
    func bound() {
        var tail = StreamTail()
        for number in 1...StreamTail.capacity + 10 { tail.note(line(number)) }
        #expect(tail.lines(after: 0).lines.first == line(11) && tail.lines(after: 0).missed == 0)
        let part = tail.lines(after: 4)
        #expect(part.lines.first == line(11) && part.missed == 6)
        #expect(tail.lines(after: UInt64.max).lines.isEmpty)
    }
}

@Suite("The causes of the last hour")
struct CauseHourTests {
    private let minute: Int64 = 60_000

    @Test("count an ending in its minute, for sixty minutes")
    func minutes() {
        var hour = CauseHour()
        hour.add(.clientClosed, atMilliseconds: 100 * minute)
        hour.add(.clientClosed, atMilliseconds: 100 * minute + 59_999)
        hour.add(.upstreamReset, atMilliseconds: 101 * minute)
        #expect(hour.endings(for: .clientClosed).suffix(2) == [2, 0] && hour.endings(for: .upstreamReset).suffix(2) == [0, 1])
        hour.advance(toMilliseconds: 159 * minute)
        #expect(hour.endings(for: .clientClosed).first == 2 && hour.endings(for: .clientClosed).count == CauseHour.minutes)
        hour.advance(toMilliseconds: 160 * minute)
        #expect(hour.endings(for: .clientClosed).allSatisfy { $0 == 0 } && hour.endings(for: .upstreamReset).first == 1)
    }

    @Test("add up over workers whose clocks stand in different minutes")
    func sums() {
        var (one, other, old) = (CauseHour(), CauseHour(), CauseHour())
        one.add(.drained, atMilliseconds: 200 * minute)
        other.add(.drained, atMilliseconds: 199 * minute)
        other.add(.drained, atMilliseconds: 201 * minute)
        old.add(.drained, atMilliseconds: 100 * minute)
        one.add(other)
        one.add(old)
        one.add(CauseHour())
        #expect(one.endings(for: .drained).suffix(3) == [1, 1, 1] && one.endings(for: .drained).reduce(0, +) == 3)
        var empty = CauseHour()
        empty.add(one)
        #expect(empty == one)
    }

    @Test("forget an ending that is older than the hour, as after a clock was set")
    func setClock() {
        var hour = CauseHour()
        hour.add(.drained, atMilliseconds: 500 * minute)
        hour.add(.drained, atMilliseconds: 400 * minute)
        #expect(hour.endings(for: .drained).reduce(0, +) == 1)
    }
}

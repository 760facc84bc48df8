// Which time the logs span, although a clock may have been wrong for some lines: a machine that boots in 1970, a virtual machine that was
// restored, a step of NTP. One line of the year 2099 would make every stream without an end decades old.
//
// A rest of some minutes is usual, and files may come in any order, so a leap alone says nothing. Two things do: lines that leap away from
// their neighbours in the file and back again, and a few lines more than a year away from all the others.
// Invariant: its memory is bounded, and all lines are in what the logs span unless they are counted as wrong.

struct ClockCheck {
    /// Lines that follow each other without a leap.
    private struct Spell {
        var first: Int64
        var last: Int64
        var lines = 1

        mutating func join(_ other: Spell) {
            first = min(first, other.first)
            last = max(last, other.last)
            lines += other.lines
        }
    }

    /// Workers write their lines a little out of order, in milliseconds.
    private static let disorder: Int64 = 5_000
    private static let forwardLeap: Int64 = 60_000
    /// A shorter step back is one of NTP: what follows is right, and what was before is hardly wrong.
    private static let backwardLeap: Int64 = 3_600_000
    /// Behind lines with a wrong clock the right time goes on within this.
    private static let rest: Int64 = 3_600_000
    /// More lines than this have a time of their own.
    private static let mostOddLines = 1_000
    /// Rotated files of one proxy do not lie so far apart, in milliseconds: 400 days.
    private static let far: Int64 = 400 * 86_400_000
    private static let near: Int64 = 30 * 86_400_000
    private static let mostSpells = 64

    /// The lines since the last leap.
    private var current: Spell?
    /// The lines before that leap, to which the next ones may come back.
    private var before: Spell?
    private var last: Int64 = 0
    private var lastBefore: Int64 = 0
    /// What lies far apart.
    private var spells: [Spell] = []
    /// How many lines have a time that cannot be.
    private(set) var wrongLineCount = 0
    /// The first such time.
    private(set) var wrongTime: Int64?

    /// A line of that time.
    @inline(__always)
    mutating func add(_ time: Int64) {
        guard current != nil, time &- last <= ClockCheck.forwardLeap, time &- last >= -ClockCheck.disorder else { return leap(to: time) }
        current!.lines &+= 1
        if time > current!.last { current!.last = time }
        if time < current!.first { current!.first = time }
        last = time
    }

    @inline(never)
    private mutating func leap(to time: Int64) {
        defer { last = time }
        guard let left = current else {
            current = Spell(first: time, last: time)
            return
        }
        if let base = before, isReturn(to: time, from: left) {
            countWrong(left)
            current = base
            before = nil
            current!.join(Spell(first: time, last: time))
            return
        }
        settle()
        if time > last || last - time > ClockCheck.backwardLeap {
            before = current
            lastBefore = last
            current = Spell(first: time, last: time)
        } else {
            current!.join(Spell(first: time, last: time))
        }
    }

    /// Whether the lines before this one were a leap away and back.
    private func isReturn(to time: Int64, from odd: Spell) -> Bool {
        guard odd.lines <= ClockCheck.mostOddLines, time >= lastBefore - ClockCheck.disorder, time <= lastBefore + ClockCheck.rest else {
            return false
        }
        if odd.first > lastBefore { return time < odd.first }
        // After a step back the right time comes to the old place by itself. It does not leap there.
        return odd.last < lastBefore && (time - last) * 2 >= lastBefore - odd.first
    }

    private mutating func countWrong(_ spell: Spell) {
        wrongLineCount += spell.lines
        if wrongTime == nil { wrongTime = spell.first }
    }

    /// Nobody came back: both sides of the last leap are right.
    private mutating func settle() {
        guard let base = before, var spell = current else { return }
        before = nil
        if spell.first - base.last <= ClockCheck.near, base.first - spell.last <= ClockCheck.near {
            spell.join(base)
            current = spell
        } else {
            keep(base)
        }
    }

    private mutating func keep(_ spell: Spell) {
        func distance(_ other: Spell) -> Int64 { max(other.first - spell.last, spell.first - other.last) }
        let nearest = spells.indices.min { distance(spells[$0]) < distance(spells[$1]) }
        if let nearest, distance(spells[nearest]) <= ClockCheck.near || spells.count == ClockCheck.mostSpells {
            spells[nearest].join(spell)
        } else {
            spells.append(spell)
        }
    }

    /// The lines that follow are of another file.
    mutating func endFile() {
        settle()
        if let current { keep(current) }
        current = nil
    }

    /// The first and the last time of what the logs span; nil without any line.
    mutating func span() -> (first: Int64, last: Int64)? {
        endFile()
        guard let bulk = spells.max(by: { $0.lines < $1.lines }) else { return nil }
        var whole = bulk
        for spell in spells {
            let distance = max(spell.first - bulk.last, bulk.first - spell.last)
            if distance > ClockCheck.far, spell.lines * 10 < bulk.lines { countWrong(spell) } else { whole.join(spell) }
        }
        return (whole.first, whole.last)
    }
}

// Troubles of the whole machine: its clock is set, its time leaps, and its descriptors run out.

import TestSupport

extension Scenario {
    func planClock() {
        guard plan.troubles.clock else { return }
        for _ in 0..<world.chance.number(1...3) {
            let moment = Int64(world.chance.number(0...39_000))
            if world.chance.permille(500) {
                let by = Int64(world.chance.number(-90_000_000...90_000_000))
                world.after(moment) { [self] in kernel.setClock(by: by) }
            } else {
                let milliseconds = Int64(world.chance.pick([900, 8_000, 70_000, 36_000_000]))
                world.after(moment) { [self] in world.leap(milliseconds) }
            }
        }
    }

    func planScarcity() {
        guard plan.troubles.limits, !plan.troubles.crowdedOutage, world.chance.permille(300) else { return }
        let limit = 4 * plan.workerCount + world.chance.number(2...20)
        world.after(Int64(world.chance.number(1_000...20_000))) { [self] in kernel.descriptorLimit = limit }
    }
}

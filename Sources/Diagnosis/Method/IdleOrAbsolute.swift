// Which of two readings a limit has: it counts the time since the last byte (idle), or since the beginning (absolute). Streams that say
// nothing from their beginning to their end cannot tell; those that lived on, or stayed silent for longer, can.

/// One limit, as the two clusters of a side tell it.
struct Reading {
    let isIdle: Bool
    /// Something decided; else the other reading is as good.
    let isSure: Bool
    let cluster: Cluster
    /// T in seconds.
    let seconds: Double
    /// Why this reading, in one clause.
    let reason: String

    /// The reading of the strongest cluster of each measure; nil if there is none.
    init?(age: Axis, silence: Axis) {
        let ages = Cluster.strongest(on: age)
        let silences = Cluster.strongest(on: silence)
        switch (ages, silences) {
        case (nil, nil): return nil
        case (let ages?, nil): self.init(ages, isIdle: false, "their ages gather there, their silences do not")
        case (nil, let silences?): self.init(silences, isIdle: true, "their silences gather there, their ages do not")
        case (let ages?, let silences?):
            if Self.areDifferent(ages, silences) {
                // Two causes: the clearer one first, the other one in the next round.
                let isIdle = silences.chance < ages.chance
                self.init(isIdle ? silences : ages, isIdle: isIdle, "\(isIdle ? "their silences" : "their ages") gather there")
            } else {
                self = Self.decided(ages, silences, age, silence)
            }
        }
    }

    private init(_ cluster: Cluster, isIdle: Bool, isSure: Bool = true, _ reason: String) {
        self.isIdle = isIdle
        self.isSure = isSure
        self.cluster = cluster
        self.seconds = Limit.seconds(of: cluster.ends)
        self.reason = reason
    }

    /// Less than half of the smaller cluster's streams are in the other one too.
    private static func areDifferent(_ one: Cluster, _ other: Cluster) -> Bool {
        let (small, large) = one.ends.count < other.ends.count ? (one, other) : (other, one)
        let streams = Set(large.streams)
        return small.ends.count { streams.contains($0.stream) } * 2 < small.ends.count
    }

    private static func decided(_ ages: Cluster, _ silences: Cluster, _ age: Axis, _ silence: Axis) -> Reading {
        func outlived(_ cluster: Cluster, _ axis: Axis) -> Int {
            let limit = Limit.seconds(of: cluster.ends)
            return axis.count(beyond: Int(limit * 1_000) + Limit.margin(limit))
        }
        let older = outlived(ages, age)
        let quieter = outlived(silences, silence)
        // Streams that the true limit cut may show the other cluster too, but only a part of them.
        let isMoreSilences = Double(silences.ends.count) >= 1.3 * Double(ages.ends.count)
        let isMoreAges = Double(ages.ends.count) >= 1.3 * Double(silences.ends.count)
        if older > 0 && quieter == 0 && !isMoreAges {
            return Reading(silences, isIdle: true, "\(Words.count(older, "stream")) grew older and none stayed silent for longer")
        }
        if quieter > 0 && older == 0 && !isMoreSilences {
            return Reading(ages, isIdle: false, "\(Words.count(quieter, "stream")) stayed silent for longer and none grew older")
        }
        let counts = "\(Words.count(silences.ends.count)) silences and \(Words.count(ages.ends.count)) ages gather there"
        if isMoreSilences { return Reading(silences, isIdle: true, counts) }
        if isMoreAges { return Reading(ages, isIdle: false, counts) }
        if silences.spread * 2 < ages.spread { return Reading(silences, isIdle: true, "the silences are more equal than the ages") }
        if ages.spread * 2 < silences.spread { return Reading(ages, isIdle: false, "the ages are more equal than the silences") }
        return Reading(
            silences, isIdle: true, isSure: false, "streams that say nothing from beginning to end cannot tell idle from absolute")
    }
}

// Numbers as people say them: seconds, spans, shares, counts, certainty. Written here because the full Foundation never ships.

/// Numbers as words.
package enum Words {
    /// A limit or a measured time in seconds, with one decimal where there is one: `60 s`, `37.3 s`.
    package static func seconds(_ value: Double) -> String { "\(decimal(value)) s" }

    /// A number with at most one decimal.
    package static func decimal(_ value: Double) -> String {
        guard value.isFinite, value.magnitude < 1e15 else { return "?" }
        let tenths = Int((value.magnitude * 10).rounded())
        let sign = value < 0 && tenths > 0 ? "-" : ""
        return sign + count(tenths / 10) + (tenths % 10 == 0 ? "" : ".\(tenths % 10)")
    }

    /// A span that need not be exact, in the largest unit that fits: `45 s`, `4 min`, `2.5 h`, `3 days`.
    package static func span(_ seconds: Double) -> String {
        switch seconds {
        case ..<120: Words.seconds(seconds >= 10 ? seconds.rounded() : seconds)
        case ..<7_200: "\(decimal(seconds >= 600 ? (seconds / 60).rounded() : seconds / 60)) min"
        case ..<172_800: "\(decimal(seconds / 3_600)) h"
        default: "\(decimal((seconds / 86_400).rounded())) days"
        }
    }

    /// A share from 0 to 1 in percent. Only all of them are 100 %, and only none are 0 %.
    package static func percent(_ share: Double) -> String {
        guard share.isFinite else { return "?" }
        if share > 0, share < 0.01 { return "under 1 %" }
        if share > 0.99, share < 1 { return "over 99 %" }
        return "\(Int((min(max(share, 0), 1) * 100).rounded())) %"
    }

    /// A whole number with a comma between thousands.
    package static func count(_ number: Int) -> String {
        var digits = String(number.magnitude)[...]
        var groups: [Substring] = []
        while digits.count > 3 {
            groups.insert(digits.suffix(3), at: 0)
            digits = digits.dropLast(3)
        }
        groups.insert(digits, at: 0)
        return (number < 0 ? "-" : "") + groups.joined(separator: ",")
    }

    /// A number of things: `1 stream`, `1,204 streams`.
    package static func count(_ number: Int, _ singular: String, _ plural: String? = nil) -> String {
        "\(count(number)) \(number == 1 ? singular : plural ?? singular + "s")"
    }

    /// How sure a confidence from 0 to 1 is, in words.
    package static func certainty(_ confidence: Double) -> String {
        switch confidence {
        case 0.9...: "almost certain"
        case 0.75...: "very likely"
        case 0.5...: "likely"
        case 0.3...: "possible"
        default: "a weak sign"
        }
    }

    /// A list with `and` before its last element; of a long one the first, and how many more there are.
    package static func list(_ words: [String], most: Int = 4, last: String = "and") -> String {
        if words.count > most { return words.prefix(most).joined(separator: ", ") + " \(last) \(words.count - most) more" }
        guard let final = words.last, words.count > 1 else { return words.first ?? "" }
        return words.dropLast().joined(separator: ", ") + " \(last) " + final
    }

    /// A length of time as the configuration writes it: `25s`, `2m`.
    package static func setting(_ seconds: Int) -> String { seconds >= 120 && seconds % 60 == 0 ? "\(seconds / 60)m" : "\(seconds)s" }

    /// The heartbeat that keeps a path with that idle limit alive: the longest round time below half of it, in seconds; nil where no
    /// such heartbeat can be set.
    package static func heartbeat(below limit: Double) -> Int? {
        let steps = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 45, 50, 60, 90, 120, 180, 240, 300, 600, 900, 1_800, 3_600]
        return steps.last { Double($0) < limit / 2 }
    }
}

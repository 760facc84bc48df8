// The tickets of a simulated world, and what must be found out about each of them at any moment. Invariant: a ticket's text is never read;
// what is true of it follows from what was asked for, and when.

import Configuration
import TestSupport

/// A ticket and all that renew it.
final class TicketFamily {
    /// When a page has asked to take it back, and when it was told that this is done.
    var takenBackAt: Int64?
    var toldAt: Int64?
    /// Whether the ticket may have been over by then. The proxy does not remember one of those, because it opens nothing.
    var mayBeForgotten = false
    /// The family of a ticket that was over when this one was asked for: the proxy may have taken its id over.
    private let predecessor: TicketFamily?

    init(after predecessor: TicketFamily? = nil) {
        self.predecessor = predecessor
        // The new ticket may have been given before that, and have been taken back with the other.
        takenBackAt = predecessor?.takenBackAt
    }

    /// A page asks to take it back, at that moment.
    func takeBack(at moment: Int64) {
        takenBackAt = moment
        var family = predecessor
        while let older = family {
            older.takenBackAt = older.takenBackAt ?? moment
            family = older.predecessor
        }
    }
}

/// A ticket, and the truth about it.
struct SimulatedTicket {
    var text: String
    let token: SimulatedToken
    let family: TicketFamily
    /// When it is over, in seconds since 1970: the first and the last second that may be meant.
    var expires: ClosedRange<Int64>
    /// Until when it is renewed.
    let limit: ClosedRange<Int64>
    /// The only path that it opens; nil for all.
    let path: String?
    /// Of which origin the page was that asked for it, or empty for the proxy's own, and from which address.
    let origin: String
    let host: String
    /// Whether it was changed.
    var isGarbled = false

    /// All that a check may find of it between the two moments, when a client with that origin and address brings it.
    func verdicts(
        from start: Int64, to end: Int64, _ readings: [ClosedRange<Int64>], _ use: (path: String, origin: String, host: String),
        _ rules: CredentialPlan, _ tickets: TicketPlan
    ) -> Set<Verdict> {
        if isGarbled { return [.refused(["ticket"])] }
        let fits =
            switch tickets.bond {
            case .origin: origin == use.origin
            case .address: host == use.host
            case .certificate, .off: true
            }
        if !fits || path ?? use.path != use.path { return [.refused(["ticket_place"])] }
        let takenBack = Verdict.refused(["ticket_revoked"])
        if let toldAt = family.toldAt, toldAt <= start, !family.mayBeForgotten { return [takenBack] }
        var found: Set<Verdict> = []
        if let takenBackAt = family.takenBackAt, takenBackAt <= end { found.insert(takenBack) }
        for range in readings {
            if range.lowerBound < expires.upperBound { found.formUnion(token.verdicts(at: [range], rules)) }
            let (least, most) = (max(0, range.lowerBound - expires.upperBound), range.upperBound - expires.lowerBound)
            guard most >= 0 else { continue }
            let edges = [least, most, CredentialChecks.toldSeconds - 1, CredentialChecks.toldSeconds]
            for over in edges where (least...most).contains(over) { found.insert(.expired(overSeconds: over)) }
        }
        return found
    }
}

/// A ticket that a request brings.
struct BroughtTicket {
    let ticket: SimulatedTicket
    let path: String
    let origin: String
    let host: String
    /// Whether a stream may set a fresh cookie.
    let isInCookie: Bool
}

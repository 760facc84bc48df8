// One hop that limits a silence or a life, and which hops may be behind a finding.
//
// Invariant: a row that cannot be where the finding is (a browser's library behind the proxy) is never a candidate; of those that can be,
// none is left out because another fits as well.

/// One row of the table of hops: a program or a service, and the limit that it has unless somebody changes it.
package struct Hop: Sendable, Equatable {
    /// What the limit counts.
    package enum Limit: String, Sendable {
        /// Time without bytes.
        case idle
        /// Time since the beginning, whatever is sent.
        case absolute
        /// There is no limit on a response.
        case none
    }

    /// Where such a hop can stand.
    package struct Places: OptionSet, Sendable {
        /// The bits.
        package let rawValue: UInt8
        /// A set of these bits.
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        /// Between the browser and this proxy.
        package static let before = Places(rawValue: 1)
        /// Between this proxy and the server.
        package static let behind = Places(rawValue: 2)
        /// It is the server itself, or what runs in it.
        package static let server = Places(rawValue: 4)
        /// It is the client's own program.
        package static let client = Places(rawValue: 8)
        /// It translates addresses or tracks connections, on either side.
        package static let network = Places(rawValue: 16)

        /// The places that are on that side of the proxy.
        static func on(_ side: Finding.Side) -> Places {
            switch side {
            case .client: [.before, .client, .network]
            case .upstream: [.behind, .server, .network]
            case .proxy: []
            }
        }
    }

    /// What matters for a comparison beside the limit.
    package struct Marks: OptionSet, Sendable {
        /// The bits.
        package let rawValue: UInt8
        /// A set of these bits.
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        /// Its timer is up to 2 s late.
        package static let late = Marks(rawValue: 1)
        /// It forgets a connection without closing it.
        package static let forgets = Marks(rawValue: 2)
        /// The limit is on the first byte only, so it ends no stream.
        package static let firstByteOnly = Marks(rawValue: 4)
    }

    /// Which settings it has.
    package let family: HopFamily
    /// As people call it, with the name of the limit where there are several.
    package let name: String
    /// What the limit counts.
    package let limit: Limit
    /// The limit in seconds; 0 for none.
    package let seconds: Double
    /// Where it can stand.
    package let places: Places
    /// What matters beside the limit.
    package let marks: Marks
    /// What begins the time again, and what is known of the end.
    package let resetBy: String
    /// Where the row comes from.
    package let source: String

    init(
        _ family: HopFamily, _ name: String, _ limit: Limit, _ seconds: Double, at places: Places, marks: Marks = [], resetBy: String,
        source: String
    ) {
        self.family = family
        self.name = name
        self.limit = limit
        self.seconds = seconds
        self.places = places
        self.marks = marks
        self.resetBy = resetBy
        self.source = source
    }

    /// Whether the row was found in the maker's documents or seen in a test. The others are hearsay, and are shown as such.
    package var isVerified: Bool {
        !source.contains("not verified") && !source.hasPrefix("reported by users") && !source.hasPrefix("seed:")
    }
}

extension Hop {
    /// All rows that can be the cause of a finding, those that its requests name first, otherwise in the order of the table.
    package static func candidates(for finding: Finding) -> [Hop] {
        guard let limit = limit(behind: finding) else { return [] }
        let places = places(of: finding)
        var fitting = table.filter { hop in
            hop.limit == limit && hop.canStand(at: places, finding) && !hop.marks.contains(.firstByteOnly)
                && hop.marks.contains(.forgets) == finding.isSilentDrop && hop.fits(finding)
        }
        // The clients' own programs first: a hop that keeps addresses is rare.
        if finding.hasManyAddresses {
            fitting = fitting.filter { !$0.places.contains(.before) } + fitting.filter { $0.places.contains(.before) }
        }
        guard finding.side == .client, !finding.hops.isEmpty else { return fitting }
        // Some services always give themselves away. One of them that no request names does not stand there.
        let named = fitting.filter { $0.family.isNamed(in: finding.hops) }
        let others = fitting.filter { !$0.family.isNamed(in: finding.hops) && !$0.family.alwaysNamesItself }
        // A program that the requests name stands there, and its limit may have been changed.
        let changed = table.filter { hop in
            hop.limit == limit && hop.canStand(at: places, finding) && hop.family.isOftenChanged
                && hop.family.isNamed(in: finding.hops)
        }
        return (named.isEmpty && !finding.isSilentDrop ? changed : named) + others
    }

    /// The row's own limit is another one: somebody has changed it, if it is this hop.
    package func isChanged(for finding: Finding) -> Bool { !fits(finding) }

    private static func limit(behind finding: Finding) -> Limit? {
        switch finding.kind {
        case .idleTimeout, .buffering: .idle
        case .absoluteTimeout: .absolute
        default: nil
        }
    }

    /// Where on its side the hop can be. A client's own program and its router have as many addresses as there are clients; a proxy
    /// before this one has few, unless it keeps the clients' addresses. Both is said of few clients, who can tell nothing.
    private static func places(of finding: Finding) -> Places {
        let places = Places.on(finding.side)
        guard finding.side == .client else { return places }
        // Only a client's idle limit looks like bytes that a hop holds back.
        if finding.kind == .buffering { return .client }
        return finding.hasFewAddresses ? places.subtracting(.client) : places
    }

    /// Whether it can be there, as far as addresses, fields of the requests and the clients' programs tell.
    private func canStand(at places: Places, _ finding: Finding) -> Bool {
        var possible = self.places.intersection(places)
        guard finding.side == .client else { return !possible.isEmpty }
        if finding.hasManyAddresses, !family.canKeepAddress, !family.isNamed(in: finding.hops) { possible.remove(.before) }
        if !finding.isPossible(agents: family.agents) { possible.remove(.client) }
        return !possible.isEmpty
    }

    private func fits(_ finding: Finding) -> Bool {
        if finding.isSilentDrop, let between = finding.between {
            return seconds >= between.lowerBound - 1 && seconds <= between.upperBound + 1
        }
        guard let measured = finding.seconds else { return false }
        return measured >= seconds - 1 && measured <= seconds + (marks.contains(.late) ? 2 : 1)
    }
}

extension Finding {
    /// So many clients tell something by how many addresses they have.
    private var canTellAddresses: Bool { side == .client && people >= 5 && addresses > 0 }

    /// Nearly every client has an address of its own: no proxy is before this one, or one that keeps the clients' addresses.
    var hasManyAddresses: Bool { canTellAddresses && addresses * 2 >= people }

    /// Many clients come from few addresses: a proxy is before this one.
    var hasFewAddresses: Bool { canTellAddresses && addresses * 4 <= people }

    /// Whether the clients themselves can be the cause: only a hop has few addresses for many clients. A probe, which counts no clients,
    /// knows of itself that it is not.
    var canBeClient: Bool { side == .client && people > 0 && !hasFewAddresses }

    /// Whether at least half of the streams can be of programs of these classes. A library that fewer use did not end the streams.
    func isPossible(agents classes: Set<String>) -> Bool {
        let all = agents.values.reduce(0, +)
        let fitting = agents.reduce(0) { $0 + ($1.key.isEmpty || classes.contains($1.key) ? $1.value : 0) }
        return classes.isEmpty || fitting * 2 >= all
    }
}

// What the streams of a limit have in common that the others do not have: the way past the hop that ended them.

enum Sharing {
    /// Nearly all of the members have it, fewer than half of the others.
    private static let ofMembers = 0.95
    private static let ofOthers = 0.5
    /// So many of each are looked at.
    private static let looked = 5_000

    /// In one clause; nil if they share nothing that the others lack.
    static func feature(of members: [Int], in book: Casebook) -> String? {
        let inMembers = Set(members)
        let others = book.spread(book.facts.streams.indices.filter { !inMembers.contains($0) }, over: looked)
        let members = book.spread(members, over: looked)
        guard !others.isEmpty else { return nil }
        let features: [(name: String, of: (Int) -> String)] = [
            ("come from", { book.facts.addresses.indices.contains($0) ? book.facts.addresses[$0] : "" }),
            ("use the route", { book.surroundings(of: $0).route }), ("use the server", { book.surroundings(of: $0).server }),
            ("are of the agent", { book.surroundings(of: $0).agent }), ("speak HTTP", { book.surroundings(of: $0).http }),
            ("come for the host", { book.surroundings(of: $0).host }),
        ]
        for (position, feature) in features.enumerated() {
            func value(_ stream: Int) -> String {
                feature.of(position == 0 ? Int(book.facts.streams[stream].address) : stream)
            }
            var counts: [String: Int] = [:]
            for member in members { counts[value(member), default: 0] += 1 }
            guard let most = counts.max(by: { $0.value < $1.value }), !most.key.isEmpty,
                Double(most.value) >= ofMembers * Double(members.count)
            else { continue }
            guard Double(others.count { value($0) == most.key }) < ofOthers * Double(others.count) else { continue }
            return "\(Words.count(most.value)) of \(Words.count(members.count)) \(feature.name) \(most.key)"
        }
        return nil
    }
}

extension Casebook {
    func surroundings(of stream: Int) -> Surroundings { facts.surroundings[Int(facts.streams[stream].surroundings)] }
}

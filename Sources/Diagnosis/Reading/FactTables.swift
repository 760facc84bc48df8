// What many streams share, each once: clients, addresses, surroundings. Invariant: however many paths and hosts strangers think of, the
// tables are bounded; clients and addresses are no more than there are streams.

import Bytes

/// Which client a line is about, and what it shares with other lines.
struct Identity {
    /// Of the forwarded address (else the peer's), token, host and path.
    var clientHash: UInt64
    fileprivate var addressHash: UInt64
    fileprivate var address: Range<Int>
}

struct FactTables {
    /// Where paths are no longer told apart, where hosts and all else, and where not even servers.
    private static let (mostPaths, mostHosts, mostSurroundings) = (8_192, 12_288, 16_384)

    /// Where the hashes of these logs begin.
    let seed: HashSeed
    private(set) var surroundings: [Surroundings] = []
    private(set) var addresses: [String] = []
    private(set) var clientHashes: [UInt64] = []
    private var surroundingNumbers = NumberTable()
    private var addressNumbers = NumberTable()
    private var clientNumbers = NumberTable()

    init(seed: HashSeed) { self.seed = seed }

    // MARK: Clients and addresses

    /// Finds out which client a line is about.
    @inline(__always)
    func identity(_ bytes: Span<UInt8>, _ values: LineValues) -> Identity {
        let address = FactTables.withoutPort(bytes, values.text(.client) ?? 0..<0)
        var hash = TextHash(seed)
        hash.add(bytes, address)
        let addressHash = hash.bits
        var client = TextHash(seed)
        if let forwarded = values.text(.clientForwarded) { client.add(bytes, forwarded) } else { client.add(addressHash) }
        FactTables.add(.token, bytes, values, to: &client)
        FactTables.add(.host, bytes, values, to: &client)
        FactTables.add(.path, bytes, values, to: &client)
        return Identity(clientHash: client.bits, addressHash: addressHash, address: address)
    }

    @inline(__always)
    private static func add(_ key: LogKey, _ bytes: Span<UInt8>, _ values: LineValues, to hash: inout TextHash) {
        if let text = values.text(key) { hash.add(bytes, text) } else { hash.add(UInt64(key.rawValue)) }
    }

    /// The address without `:PORT` at its end.
    @inline(__always)
    private static func withoutPort(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Range<Int> {
        var end = range.upperBound
        while end > range.lowerBound, isDigit(bytes[unchecked: end &- 1]) { end &-= 1 }
        guard end > range.lowerBound, end < range.upperBound, bytes[unchecked: end &- 1] == UInt8(ascii: ":") else { return range }
        return range.lowerBound..<(end &- 1)
    }

    /// The number of that client.
    @inline(__always)
    mutating func client(_ identity: Identity) -> TableIndex {
        if let known = clientNumbers[identity.clientHash] { return known }
        let number = TableIndex(clientHashes.count)
        clientHashes.append(identity.clientHash)
        clientNumbers.set(identity.clientHash, number)
        return number
    }

    /// The number of its address.
    @inline(__always)
    mutating func address(_ identity: Identity, in bytes: Span<UInt8>) -> TableIndex {
        if let known = addressNumbers[identity.addressHash] { return known }
        let number = TableIndex(addresses.count)
        addresses.append(LogText.string(bytes, identity.address, mostBytes: 64))
        addressNumbers.set(identity.addressHash, number)
        return number
    }

    /// Keeps only these clients and addresses, and numbers them again. Returns the new numbers by the old ones.
    mutating func keepOnly(
        clients isUsedClient: [Bool], addresses isUsedAddress: [Bool]
    ) -> (clients: [TableIndex], addresses: [TableIndex]) {
        var newAddressNumbers = NumberTable()
        var newAddresses: [String] = []
        var addressMap = [TableIndex](repeating: 0, count: addresses.count)
        addressNumbers.forEach { hash, number in
            guard isUsedAddress[Int(number)] else { return }
            addressMap[Int(number)] = TableIndex(newAddresses.count)
            newAddressNumbers.set(hash, TableIndex(newAddresses.count))
            newAddresses.append(addresses[Int(number)])
        }
        var clientMap = [TableIndex](repeating: 0, count: clientHashes.count)
        var newHashes: [UInt64] = []
        clientNumbers = NumberTable()
        for (number, hash) in clientHashes.enumerated() where isUsedClient[number] {
            clientMap[number] = TableIndex(newHashes.count)
            clientNumbers.set(hash, TableIndex(newHashes.count))
            newHashes.append(hash)
        }
        (addresses, addressNumbers, clientHashes) = (newAddresses, newAddressNumbers, newHashes)
        return (clientMap, addressMap)
    }

    // MARK: Surroundings

    /// The number of what a line shares with others.
    @inline(__always)
    mutating func surroundings(_ bytes: Span<UInt8>, _ values: LineValues) -> TableIndex {
        let hash = hash(bytes, values, tellsPath: true, tellsHost: true)
        return surroundingNumbers[hash] ?? add(hash, bytes, values)
    }

    @inline(__always)
    private func hash(_ bytes: Span<UInt8>, _ values: LineValues, tellsPath: Bool, tellsHost: Bool) -> UInt64 {
        var hash = TextHash(seed)
        FactTables.add(.route, bytes, values, to: &hash)
        FactTables.add(.upstream, bytes, values, to: &hash)
        FactTables.add(.server, bytes, values, to: &hash)
        hash.add(tellsPath ? 1 : 2)
        if tellsPath { FactTables.add(.path, bytes, values, to: &hash) }
        guard tellsHost else { return hash.bits }
        FactTables.add(.host, bytes, values, to: &hash)
        FactTables.add(.agent, bytes, values, to: &hash)
        FactTables.add(.http, bytes, values, to: &hash)
        FactTables.add(.hops, bytes, values, to: &hash)
        hash.add(values.number(.expectedTimeout) ?? 0)
        hash.add(values.text(.tls) == nil ? 0 : 1)
        return hash.bits
    }

    @inline(never)
    private mutating func add(_ hash: UInt64, _ bytes: Span<UInt8>, _ values: LineValues) -> TableIndex {
        let tellsPath = surroundings.count < FactTables.mostPaths
        let tellsHost = surroundings.count < FactTables.mostHosts
        // When there are too many, lines with different paths share a number: by what is left of them.
        let hash = tellsPath ? hash : self.hash(bytes, values, tellsPath: false, tellsHost: tellsHost)
        if let known = surroundingNumbers[hash] { return known }
        guard surroundings.count < FactTables.mostSurroundings else { return TableIndex(FactTables.mostSurroundings - 1) }
        func text(_ key: LogKey) -> String { values.text(key).map { LogText.string(bytes, $0, mostBytes: 256) } ?? "" }
        var found = Surroundings()
        found.route = text(.route)
        found.upstream = text(.upstream)
        found.server = text(.server)
        found.path = tellsPath ? text(.path) : "(others)"
        found.host = tellsHost ? text(.host) : "(others)"
        if tellsHost {
            found.agent = text(.agent)
            found.http = text(.http)
            found.hops = values.text(.hops).map { LogText.words(bytes, $0).sorted() } ?? []
            found.expectedTimeout = UInt32(clamping: values.number(.expectedTimeout) ?? 0)
            found.isTLS = values.text(.tls) != nil
        }
        surroundings.append(found)
        surroundingNumbers.set(hash, TableIndex(surroundings.count - 1))
        return TableIndex(surroundings.count - 1)
    }
}

/// Texts of a line as strings. Used for what is new in a table, never for each line.
enum LogText {
    /// The text without its escapes, and with what is no UTF-8 replaced; at most so many bytes of the line.
    static func string(_ bytes: Span<UInt8>, _ range: Range<Int>, mostBytes: Int) -> String {
        var plain: [UInt8] = []
        var at = range.lowerBound
        let end = range.upperBound - range.lowerBound > mostBytes ? range.lowerBound + mostBytes : range.upperBound
        while at < end {
            guard bytes[at] == UInt8(ascii: "\\"), at + 1 < range.upperBound else {
                plain.append(bytes[at])
                at += 1
                continue
            }
            switch bytes[at + 1] {
            case UInt8(ascii: "b"): plain.append(0x08)
            case UInt8(ascii: "f"): plain.append(0x0C)
            case UInt8(ascii: "n"): plain.append(lineFeed)
            case UInt8(ascii: "r"): plain.append(carriageReturn)
            case UInt8(ascii: "t"): plain.append(horizontalTab)
            case UInt8(ascii: "u"):
                let unit = (2..<6).reduce(UInt32(0)) { $0 << 4 | UInt32(hexadecimalValue(bytes[at + $1]) ?? 0) }
                // Half of a surrogate pair is shown as what it is: unknown.
                plain.append(contentsOf: String(Unicode.Scalar(unit) ?? "\u{FFFD}").utf8)
                at += 4
            default: plain.append(bytes[at + 1])
            }
            at += 2
        }
        return String(decoding: plain, as: UTF8.self)
    }

    /// The texts of a list, at most 16 of them; of a single text itself.
    static func words(_ bytes: Span<UInt8>, _ range: Range<Int>) -> [String] {
        guard bytes[range.lowerBound] == UInt8(ascii: "[") else { return [string(bytes, range, mostBytes: 64)] }
        var found: [String] = []
        var start: Int?
        var at = range.lowerBound
        while at < range.upperBound {
            if bytes[at] == UInt8(ascii: "\\") {
                // With what it escapes: a quotation mark, or another backslash.
                at += 2
                continue
            }
            if bytes[at] == UInt8(ascii: "\"") {
                if let begin = start, found.count < 16 { found.append(string(bytes, begin..<at, mostBytes: 64)) }
                start = start == nil ? at + 1 : nil
            }
            at += 1
        }
        return found
    }
}

// One line of a log as JSON (RFC 8259), without a tree: the values of the keys that matter are noted where they stand, everything else is
// checked and passed.
//
// Every line ends with LF, and behind it eight bytes can be loaded. LF can stand nowhere within a value, so each loop ends there by itself.
// Invariant: only a line that is one whole object of JSON yields values. Of a doubled key the last value counts. UTF-8 is not checked:
// texts are repaired when they are made into a `String`.

import Bytes

/// The values of one line.
struct LineValues {
    private var words = InlineArray<64, UInt64>(repeating: 0)
    private var strings: UInt64 = 0
    private var numbers: UInt64 = 0
    private var trues: UInt64 = 0
    private var falses: UInt64 = 0

    mutating func removeAll() {
        strings = 0
        numbers = 0
        trues = 0
        falses = 0
    }

    @inline(__always)
    private mutating func forget(_ bit: UInt64) {
        strings &= ~bit
        numbers &= ~bit
        trues &= ~bit
        falses &= ~bit
    }

    @inline(__always)
    mutating func set(_ key: LogKey, text range: Range<Int>) {
        let bit = (1 as UInt64) &<< UInt64(key.rawValue)
        forget(bit)
        strings |= bit
        words[unchecked: Int(key.rawValue)] = UInt64(truncatingIfNeeded: range.lowerBound) &<< 32 | UInt64(truncatingIfNeeded: range.count)
    }

    @inline(__always)
    mutating func set(_ key: LogKey, number: UInt64) {
        let bit = (1 as UInt64) &<< UInt64(key.rawValue)
        forget(bit)
        numbers |= bit
        words[unchecked: Int(key.rawValue)] = number
    }

    @inline(__always)
    mutating func set(_ key: LogKey, flag: Bool) {
        let bit = (1 as UInt64) &<< UInt64(key.rawValue)
        forget(bit)
        if flag { trues |= bit } else { falses |= bit }
    }

    /// Where the text of that key stands, escapes and all; for a list the whole of it, in its brackets.
    @inline(__always)
    func text(_ key: LogKey) -> Range<Int>? {
        guard strings &>> UInt64(key.rawValue) & 1 == 1 else { return nil }
        let word = words[unchecked: Int(key.rawValue)]
        let start = Int(truncatingIfNeeded: word &>> 32)
        return start..<(start &+ Int(truncatingIfNeeded: word & 0xFFFF_FFFF))
    }

    @inline(__always)
    func number(_ key: LogKey) -> UInt64? {
        numbers &>> UInt64(key.rawValue) & 1 == 1 ? words[unchecked: Int(key.rawValue)] : nil
    }

    @inline(__always)
    func flag(_ key: LogKey) -> Bool? {
        if trues &>> UInt64(key.rawValue) & 1 == 1 { return true }
        return falses &>> UInt64(key.rawValue) & 1 == 1 ? false : nil
    }
}

/// Reads lines into values.
struct LineScanner {
    /// How deep objects and lists may be nested in a line.
    static let deepest = 16

    private enum Place {
        case line, tcp, upstreamTCP, route, ignored
    }

    private let keys = LogKeyTable()
    private(set) var values = LineValues()

    /// Reads the line that begins at `start`. Returns the offset of the LF that ends it, or nil if it is no object of JSON.
    @inline(__always)
    mutating func read(_ bytes: Span<UInt8>, from start: Int) -> Int? {
        values.removeAll()
        var at = start
        skipBlanks(bytes, &at)
        guard bytes[unchecked: at] == UInt8(ascii: "{"), object(bytes, &at, .line, depth: 1) else { return nil }
        skipBlanks(bytes, &at)
        return bytes[unchecked: at] == lineFeed ? at : nil
    }

    // MARK: Objects and lists

    /// At the opening brace; afterwards behind the closing one.
    private mutating func object(_ bytes: Span<UInt8>, _ at: inout Int, _ place: Place, depth: Int) -> Bool {
        at &+= 1
        skipBlanks(bytes, &at)
        if bytes[unchecked: at] == UInt8(ascii: "}") {
            at &+= 1
            return true
        }
        while true {
            guard let name = string(bytes, &at) else { return false }
            let key = place == .ignored ? nil : key(bytes, name, place)
            skipBlanks(bytes, &at)
            guard bytes[unchecked: at] == UInt8(ascii: ":") else { return false }
            at &+= 1
            skipBlanks(bytes, &at)
            guard value(bytes, &at, key, depth: depth) else { return false }
            if let ends = ending(bytes, &at, with: UInt8(ascii: "}")) { return ends }
        }
    }

    /// Behind an element: nil when another one follows, else whether the bracket that closes follows.
    @inline(__always)
    private func ending(_ bytes: Span<UInt8>, _ at: inout Int, with bracket: UInt8) -> Bool? {
        skipBlanks(bytes, &at)
        let byte = bytes[unchecked: at]
        at &+= 1
        guard byte == UInt8(ascii: ",") else { return byte == bracket }
        skipBlanks(bytes, &at)
        return nil
    }

    @inline(__always)
    private func key(_ bytes: Span<UInt8>, _ name: Range<Int>, _ place: Place) -> LogKey? {
        guard let key = keys.key(bytes, name) else { return nil }
        switch place {
        case .line: return key.isNested ? nil : key
        case .tcp: return key == .clientSinceLastSent ? key : nil
        case .upstreamTCP: return key == .upstreamSinceLastReceived ? key : nil
        case .route: return key == .heartbeat ? key : nil
        case .ignored: return nil
        }
    }

    @inline(__always)
    private mutating func value(_ bytes: Span<UInt8>, _ at: inout Int, _ key: LogKey?, depth: Int) -> Bool {
        let first = bytes[unchecked: at]
        if first == UInt8(ascii: "\"") {
            guard let text = string(bytes, &at) else { return false }
            if let key { values.set(key, text: text) }
            return true
        }
        if isDigit(first) || first == UInt8(ascii: "-") {
            guard let number = number(bytes, &at) else { return false }
            if let key { values.set(key, number: number) }
            return true
        }
        return other(bytes, &at, key, depth: depth)
    }

    private mutating func other(_ bytes: Span<UInt8>, _ at: inout Int, _ key: LogKey?, depth: Int) -> Bool {
        switch bytes[unchecked: at] {
        case UInt8(ascii: "t"):
            guard literal(bytes, &at, 0x6575_7274, 4) else { return false }
            if let key { values.set(key, flag: true) }
            return true
        case UInt8(ascii: "f"):
            at &+= 1
            guard literal(bytes, &at, 0x6573_6C61, 4) else { return false }
            if let key { values.set(key, flag: false) }
            return true
        case UInt8(ascii: "n"): return literal(bytes, &at, 0x6C6C_756E, 4)
        case UInt8(ascii: "{"):
            guard depth < LineScanner.deepest else { return false }
            let place: Place =
                switch key {
                case .tcp: .tcp
                case .upstreamTCP: .upstreamTCP
                case .routes: .route
                default: .ignored
                }
            return object(bytes, &at, place, depth: depth + 1)
        case UInt8(ascii: "["):
            let start = at
            guard depth < LineScanner.deepest, list(bytes, &at, key == .routes ? key : nil, depth: depth + 1) else { return false }
            if key == .hops { values.set(.hops, text: start..<at) }
            return true
        default: return false
        }
    }

    /// At the opening bracket; afterwards behind the closing one. Of the heartbeats of several routes the longest is kept.
    private mutating func list(_ bytes: Span<UInt8>, _ at: inout Int, _ key: LogKey?, depth: Int) -> Bool {
        at &+= 1
        skipBlanks(bytes, &at)
        if bytes[unchecked: at] == UInt8(ascii: "]") {
            at &+= 1
            return true
        }
        var longest: UInt64 = 0
        while true {
            guard value(bytes, &at, key, depth: depth) else { return false }
            if key != nil, let heartbeat = values.number(.heartbeat) {
                longest = max(longest, heartbeat)
                values.set(.heartbeat, number: longest)
            }
            if let ends = ending(bytes, &at, with: UInt8(ascii: "]")) { return ends }
        }
    }

    // MARK: Texts, numbers, words

    /// At a quotation mark; afterwards behind the closing one. The range is what stands between.
    @inline(__always)
    private func string(_ bytes: Span<UInt8>, _ at: inout Int) -> Range<Int>? {
        guard bytes[unchecked: at] == UInt8(ascii: "\"") else { return nil }
        at &+= 1
        let start = at
        while true {
            let word = ByteWord.load(bytes, at: at)
            let matches =
                ByteWord.zeroBytes(word ^ ByteWord.repeated(UInt8(ascii: "\"")))
                | ByteWord.zeroBytes(word ^ ByteWord.repeated(UInt8(ascii: "\\")))
                | ((word &- ByteWord.repeated(space)) & ~word & ByteWord.highestBits)
            guard matches != 0 else {
                at &+= 8
                continue
            }
            at &+= matches.trailingZeroBitCount &>> 3
            switch bytes[unchecked: at] {
            case UInt8(ascii: "\""):
                at &+= 1
                return start..<(at &- 1)
            case UInt8(ascii: "\\"):
                guard escape(bytes, &at) else { return nil }
            default: return nil
            }
        }
    }

    private func escape(_ bytes: Span<UInt8>, _ at: inout Int) -> Bool {
        switch bytes[unchecked: at &+ 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"),
            UInt8(ascii: "r"), UInt8(ascii: "t"):
            at &+= 2
            return true
        case UInt8(ascii: "u"):
            // Each is looked at only when the one before it is no LF.
            for offset in 2..<6 where hexadecimalValue(bytes[unchecked: at &+ offset]) == nil { return false }
            at &+= 6
            return true
        default: return false
        }
    }

    /// The whole part of a number; 0 of a negative one, and at most 10^18.
    @inline(__always)
    private func number(_ bytes: Span<UInt8>, _ at: inout Int) -> UInt64? {
        let isNegative = bytes[unchecked: at] == UInt8(ascii: "-")
        if isNegative { at &+= 1 }
        let start = at
        var value: UInt64 = 0
        while isDigit(bytes[unchecked: at]) {
            value = value &* 10 &+ UInt64(bytes[unchecked: at] &- 0x30)
            at &+= 1
        }
        let count = at &- start
        guard count > 0, count == 1 || bytes[unchecked: start] != 0x30 else { return nil }
        if count > 18 { value = 1_000_000_000_000_000_000 }
        let next = bytes[unchecked: at]
        if next == UInt8(ascii: ".") || next | 0x20 == UInt8(ascii: "e") {
            guard fraction(bytes, &at, &value) else { return nil }
        }
        return isNegative ? 0 : value
    }

    /// A fraction and an exponent. No number of the log has an exponent, so the value of one that has is not needed.
    private func fraction(_ bytes: Span<UInt8>, _ at: inout Int, _ value: inout UInt64) -> Bool {
        if bytes[unchecked: at] == UInt8(ascii: ".") {
            at &+= 1
            guard digits(bytes, &at) else { return false }
        }
        guard bytes[unchecked: at] | 0x20 == UInt8(ascii: "e") else { return true }
        at &+= 1
        if bytes[unchecked: at] == UInt8(ascii: "+") || bytes[unchecked: at] == UInt8(ascii: "-") { at &+= 1 }
        value = 0
        return digits(bytes, &at)
    }

    private func digits(_ bytes: Span<UInt8>, _ at: inout Int) -> Bool {
        let start = at
        while isDigit(bytes[unchecked: at]) { at &+= 1 }
        return at > start
    }

    @inline(__always)
    private func literal(_ bytes: Span<UInt8>, _ at: inout Int, _ word: UInt64, _ count: Int) -> Bool {
        guard ByteWord.load(bytes, at: at) & 0xFFFF_FFFF == word else { return false }
        at &+= count
        return true
    }

    @inline(__always)
    private func skipBlanks(_ bytes: Span<UInt8>, _ at: inout Int) {
        while isBlank(bytes[unchecked: at]) || bytes[unchecked: at] == carriageReturn { at &+= 1 }
    }
}

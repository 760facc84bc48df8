// The ways in which servers read the path of a request, for comparison with the patterns of routes.
//
// The forwarded path never changes. These are copies, made only for paths that can be read in more than one way. Invariant: every
// reading gives equal results for paths that RFC 3986 section 6.2.2.2 calls equal (an escaped byte and the byte itself), except for the
// slash.

import Bytes

enum PathReading {
    /// Whether all readings of a path are the path itself. That is so for nearly all requests.
    static func isPlain(_ path: Span<UInt8>) -> Bool {
        var previous: UInt8 = 0
        for index in path.indices {
            let byte = path[index]
            switch byte {
            case UInt8(ascii: "%"), UInt8(ascii: ";"), UInt8(ascii: "\\"): return false
            case UInt8(ascii: "/"): if previous == byte || previous == UInt8(ascii: ".") { return false }
            case UInt8(ascii: "."): if previous == UInt8(ascii: "/") { return false }
            default: break
            }
            previous = byte
        }
        return previous != UInt8(ascii: ".")
    }

    /// Whether the readings of a path depend on the order of a server's steps. The two readings below then do not cover all servers.
    /// This concerns
    /// - dot segments (RFC 3986 section 5.2.4) in any spelling, which may be removed before or after any other step;
    /// - NUL, where servers written in C cut the path, at any step;
    /// - parameters with an uncertain beginning or end: a semicolon beside an escaped one, an escaped slash, `?` or `#`, or a
    ///   backslash;
    /// - overlong UTF-8, which lax decoders take for ASCII: `%C0%AF` for a slash.
    static func isUnforeseeable(_ path: Span<UInt8>) -> Bool {
        var bytes: [UInt8] = []
        var escaped: [Bool] = []
        var place = 0
        while place < path.count {
            let (byte, wasEscaped) = take(path, &place)
            bytes.append(byte)
            escaped.append(wasEscaped)
        }
        var index = 0
        var length = 0
        var dots = 0
        var previous: UInt8 = 0
        var hasPlainSemicolon = false
        var hasEscapedSemicolon = false
        var hasOtherSlash = false
        while index < bytes.count {
            let (byte, wasEscaped) = (bytes[index], escaped[index])
            index += 1
            if byte == 0 || isOverlong(previous, byte) { return true }
            previous = byte
            switch byte {
            case UInt8(ascii: "/"), UInt8(ascii: "\\"), UInt8(ascii: ";"), UInt8(ascii: "?"), UInt8(ascii: "#"):
                if dots == length, dots == 1 || dots == 2 { return true }
                length = 0
                dots = 0
                if byte == UInt8(ascii: ";") {
                    if wasEscaped { hasEscapedSemicolon = true } else { hasPlainSemicolon = true }
                } else if wasEscaped || byte == UInt8(ascii: "\\") {
                    hasOtherSlash = true
                }
            case UInt8(ascii: "."):
                length += 1
                dots += 1
            // Servers may drop blanks at the ends of a segment, also Unicode's, control characters, and bytes that are not UTF-8.
            case ...0x20, 0x7F: break
            case 0x80...:
                guard let character = character(in: bytes, at: index - 1) else { break }
                if !isBlank(character.code) { length += 1 }
                index = character.end
            default: length += 1
            }
        }
        if dots == length, dots == 1 || dots == 2 { return true }
        return hasPlainSemicolon && hasEscapedSemicolon
            || hasOtherSlash && (hasPlainSemicolon || hasEscapedSemicolon)
    }

    /// Whether two bytes begin a character that has a shorter form in UTF-8 (RFC 3629 section 3).
    private static func isOverlong(_ first: UInt8, _ second: UInt8) -> Bool {
        switch first {
        case 0xC0, 0xC1: (0x80...0xBF).contains(second)
        case 0xE0: (0x80...0x9F).contains(second)
        case 0xF0: (0x80...0x8F).contains(second)
        default: false
        }
    }

    /// The path, and its forms for servers that decode more than once, cut it at a control character (Starlette: the `$` of a regular
    /// expression also matches before a line end) or drop control characters. Nil if there are too many to predict what a server reads.
    static func spellings(_ path: Span<UInt8>) -> [[UInt8]]? {
        var found = [path.indices.map { path[$0] }]
        var next = 0
        while next < found.count {
            let spelling = found[next]
            next += 1
            guard let decoded = singlyEscaped(spelling.span) else { return nil }
            var others = [decoded]
            if let (beginning, rest) = aroundControls(spelling.span) { others += [beginning, rest] }
            for other in others where !found.contains(other) {
                guard found.count < 16 else { return nil }
                found.append(other)
            }
        }
        return found
    }

    /// The path up to its first control character, and the path without any control characters; nil if it has none.
    private static func aroundControls(_ path: Span<UInt8>) -> (beginning: [UInt8], rest: [UInt8])? {
        var beginning: [UInt8]?
        var rest: [UInt8] = []
        var index = 0
        while index < path.count {
            let start = index
            let byte = take(path, &index).byte
            if byte < 0x20 || byte == 0x7F {
                beginning = beginning ?? rest
            } else {
                for place in start..<index { rest.append(path[place]) }
            }
        }
        return beginning.map { ($0, rest) }
    }

    /// The path as a server reads it that decodes more than once: an escaped escape becomes the inner escape. Nil if escapes are nested
    /// so deeply that a server's reading cannot be predicted.
    static func singlyEscaped(_ path: Span<UInt8>) -> [UInt8]? {
        var (result, hasChanged) = unescapedEscapes(path)
        var rounds = 1
        while hasChanged {
            guard rounds < 4 else { return nil }
            (result, hasChanged) = unescapedEscapes(result.span)
            rounds += 1
        }
        return result
    }

    private static func unescapedEscapes(_ path: Span<UInt8>) -> (path: [UInt8], hasChanged: Bool) {
        var result: [UInt8] = []
        result.reserveCapacity(path.count)
        var hasChanged = false
        var index = 0
        while index < path.count {
            let start = index
            if take(path, &index).byte == UInt8(ascii: "%"), index < path.count {
                var ahead = index
                let high = take(path, &ahead).byte
                if ahead < path.count, hexadecimalValue(high) != nil {
                    let low = take(path, &ahead).byte
                    if hexadecimalValue(low) != nil {
                        result.append(contentsOf: [UInt8(ascii: "%"), high, low])
                        index = ahead
                        hasChanged = true
                        continue
                    }
                }
            }
            for place in start..<index { result.append(path[place]) }
        }
        return (result, hasChanged)
    }

    /// The standard's reading: escapes decoded, the structure unchanged. `%2F` and `%25` stay escaped, in upper case: decoded, they
    /// would be taken for a separator or for the beginning of another escape.
    static func literal(_ path: Span<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(path.count)
        var index = 0
        while index < path.count {
            let (byte, wasEscaped) = take(path, &index)
            switch byte {
            case UInt8(ascii: "/") where wasEscaped: result.append(contentsOf: "%2F".utf8)
            case UInt8(ascii: "%") where wasEscaped: result.append(contentsOf: "%25".utf8)
            default: result.append(byte)
            }
        }
        return result
    }

    /// The reading of lenient servers: an escaped slash or a backslash becomes a slash (IIS, older Jetty), `;parameters` of segments
    /// are dropped (Tomcat, Spring), slashes are merged (nginx, Go), dots and blanks at the ends of segments are dropped (Windows), the
    /// path ends at an escaped `?` or `#` (servers that decode before they split), bytes that are not UTF-8 are dropped (Bottle).
    static func lenient(_ path: Span<UInt8>) -> [UInt8] {
        let slash = UInt8(ascii: "/")
        var result: [UInt8] = []
        result.reserveCapacity(path.count)
        var index = 0
        var isInParameters = false
        var hasOthers = false
        reading: while index < path.count {
            let (byte, wasEscaped) = take(path, &index)
            switch byte {
            case UInt8(ascii: "?"), UInt8(ascii: "#"):
                break reading
            case slash, UInt8(ascii: "\\"):
                isInParameters = false
                result.append(slash)
            case UInt8(ascii: ";"):
                isInParameters = true
            case UInt8(ascii: "%") where wasEscaped && !isInParameters:
                result.append(contentsOf: "%25".utf8)
            default:
                if isInParameters { break }
                result.append(byte)
                if byte >= 0x80 { hasOthers = true }
            }
        }
        return trimmedSegments(hasOthers ? readableUTF8(result) : result)
    }

    /// The path without blanks at both ends of each segment, without dots at its end, and without repeated slashes.
    private static func trimmedSegments(_ path: [UInt8]) -> [UInt8] {
        let (slash, blank) = (UInt8(ascii: "/"), UInt8(ascii: " "))
        var result: [UInt8] = []
        result.reserveCapacity(path.count)
        func trim(_ path: inout [UInt8]) {
            while let last = path.last, last == UInt8(ascii: ".") || last == blank { path.removeLast() }
        }
        for byte in path {
            if byte == blank, result.last == slash { continue }
            if byte == slash {
                trim(&result)
                if result.last == slash { continue }
            }
            result.append(byte)
        }
        trim(&result)
        return result
    }

    /// The bytes without those that are not UTF-8, and with Unicode's blanks as blanks. Two letters beyond ASCII become the ASCII
    /// letters of their simple case folding, which Python and Go use: the long s and the sign for kelvin.
    private static func readableUTF8(_ bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            guard let (end, code) = character(in: bytes, at: index) else {
                index += 1
                continue
            }
            switch code {
            case 0xC5BF: result.append(UInt8(ascii: "s"))
            case 0xE284AA: result.append(UInt8(ascii: "k"))
            case _ where isBlank(code): result.append(UInt8(ascii: " "))
            default: result += bytes[index..<end]
            }
            index = end
        }
        return result
    }

    /// The UTF-8 character that begins at `start` (RFC 3629 section 4): its end, and its bytes as one number. Nil if the bytes are not
    /// UTF-8, which includes surrogates.
    private static func character(in bytes: [UInt8], at start: Int) -> (end: Int, code: UInt32)? {
        let first = bytes[start]
        let (length, second): (Int, ClosedRange<UInt8>) =
            switch first {
            case ..<0x80: (1, 0x80...0xBF)
            case 0xC2...0xDF: (2, 0x80...0xBF)
            case 0xE0: (3, 0xA0...0xBF)
            case 0xED: (3, 0x80...0x9F)
            case 0xE1...0xEF: (3, 0x80...0xBF)
            case 0xF0: (4, 0x90...0xBF)
            case 0xF1...0xF3: (4, 0x80...0xBF)
            case 0xF4: (4, 0x80...0x8F)
            default: (0, 0x80...0xBF)
            }
        let end = start + length
        guard length > 0, end <= bytes.count, length == 1 || second.contains(bytes[start + 1]),
            bytes[(start + 1)..<end].allSatisfy({ (0x80...0xBF).contains($0) })
        else { return nil }
        return (end, bytes[start..<end].reduce(0) { $0 << 8 | UInt32($1) })
    }

    /// Whether `strip` and `trim` remove a character: U+0085, 00A0, 1680, 2000 to 200B, 2028, 2029, 202F, 205F, 3000, FEFF.
    private static func isBlank(_ code: UInt32) -> Bool {
        switch code {
        case 0xC285, 0xC2A0, 0xE19A80, 0xE28080...0xE2808B, 0xE280A8, 0xE280A9, 0xE280AF, 0xE2819F, 0xE38080, 0xEFBBBF: true
        default: false
        }
    }

    /// The byte at `index`, decoded if escaped; moves `index` behind it. A `%` that begins no escape is a plain byte.
    private static func take(_ path: Span<UInt8>, _ index: inout Int) -> (byte: UInt8, wasEscaped: Bool) {
        let byte = path[index]
        index += 1
        guard byte == UInt8(ascii: "%"), path.count - index >= 2,
            let high = hexadecimalValue(path[index]), let low = hexadecimalValue(path[index + 1])
        else { return (byte, false) }
        index += 2
        return (high << 4 | low, true)
    }
}

// The ways in which servers read the path of a request, for comparing with the patterns of routes.
//
// The path that is forwarded is never touched; these are copies to compare with, made only for paths that can
// be read in more than one way. Invariant: every reading gives equal results for paths that RFC 3986
// section 6.2.2.2 calls equal (an escaped byte and the byte itself), apart from the slash, which it does not.

enum PathReading {
    /// Whether all readings of a path are the path itself, which is so for nearly all requests.
    static func isPlain(_ path: Span<UInt8>) -> Bool {
        var previous: UInt8 = 0
        for index in path.indices {
            let byte = path[index]
            switch byte {
            case UInt8(ascii: "%"), UInt8(ascii: ";"), UInt8(ascii: "\\"): return false
            case UInt8(ascii: "/"), UInt8(ascii: "."): if previous == UInt8(ascii: "/") { return false }
            default: break
            }
            previous = byte
        }
        return true
    }

    /// Whether the readings of a path depend on the order in which a server does things, so that the two below do
    /// not cover all servers. That is so with dot segments (RFC 3986 section 5.2.4) in whatever spelling, which may
    /// be removed before or after any other step, and with parameters whose beginning or end is in doubt: a
    /// semicolon beside an escaped one, a backslash, or an escaped slash. No browser sends any of these by itself.
    static func isUnforeseeable(_ path: Span<UInt8>) -> Bool {
        var index = 0
        var length = 0
        var dots = 0
        var hasPlainSemicolon = false
        var hasEscapedSemicolon = false
        var hasOtherSlash = false
        while index < path.count {
            let (byte, wasEscaped) = take(path, &index)
            switch byte {
            case UInt8(ascii: "/"), UInt8(ascii: "\\"), UInt8(ascii: ";"):
                if dots == length, dots == 1 || dots == 2 { return true }
                length = 0
                dots = 0
                if byte == UInt8(ascii: ";") {
                    if wasEscaped { hasEscapedSemicolon = true } else { hasPlainSemicolon = true }
                } else if wasEscaped || byte == UInt8(ascii: "\\") {
                    hasOtherSlash = true
                }
            default:
                length += 1
                if byte == UInt8(ascii: ".") { dots += 1 }
            }
        }
        if dots == length, dots == 1 || dots == 2 { return true }
        return hasPlainSemicolon && hasEscapedSemicolon
            || hasOtherSlash && (hasPlainSemicolon || hasEscapedSemicolon)
    }

    /// What the standard says: escapes decoded, the structure left as it is. `%2F` and `%25` stay escaped, in upper
    /// case: decoded, they would be taken for a separator or for the beginning of another escape.
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

    /// What forgiving servers make of it: an escaped slash or a backslash taken for a slash (IIS, older Jetty),
    /// `;parameters` dropped from segments (Tomcat, Spring), slashes merged (nginx, Go).
    static func lenient(_ path: Span<UInt8>) -> [UInt8] {
        let slash = UInt8(ascii: "/")
        var result: [UInt8] = []
        result.reserveCapacity(path.count)
        var index = 0
        var isInParameters = false
        while index < path.count {
            let (byte, wasEscaped) = take(path, &index)
            switch byte {
            case slash, UInt8(ascii: "\\"):
                isInParameters = false
                if result.last != slash { result.append(slash) }
            case UInt8(ascii: ";"):
                isInParameters = true
            case UInt8(ascii: "%") where wasEscaped && !isInParameters:
                result.append(contentsOf: "%25".utf8)
            default:
                if !isInParameters { result.append(byte) }
            }
        }
        return result
    }

    /// The byte at a place, an escaped one decoded; moves the place behind it. A `%` that begins no escape is itself.
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

/// The value of a hexadecimal digit, or nil.
func hexadecimalValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte &- UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte &- UInt8(ascii: "a") &+ 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte &- UInt8(ascii: "A") &+ 10
    default: nil
    }
}

/// An ASCII letter in lower case, any other byte as it is.
@inline(__always)
func lowercased(_ byte: UInt8) -> UInt8 {
    byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
}

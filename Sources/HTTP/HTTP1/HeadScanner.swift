// Finds the end of a head while its bytes come in, in any pieces, and refuses as early as possible what is wrong or too large.
// RequestHead and ResponseHead read the head and check everything again.
//
// Invariant: what the scanner has decided after n bytes depends on those bytes alone, never on how they were split. The first violation
// is the one that is reported.

import Bytes

/// Which side's head it is.
public enum HeadKind: Sendable {
    case request, response
}

/// Delimits one head at a time (RFC 9112 section 2). It keeps no bytes: the caller keeps them while the head is incomplete.
public struct HeadScanner: Sendable {
    // A request takes the upper path, a response the lower one. Each arrow is one byte or a run.
    //
    //   start ⇄ emptyLine                  ┌──────────────── fieldStart ── CR ── finalLineFeed ── ended
    //     │                                │                   │    ▲
    //     ├─ method ─ target ─ version ─ lineFeed              ▼    │
    //     └─ statusPrefix ──── line ────── lineFeed ◀──────── line ─┘ (through lineFeed)
    //
    // In a request `lastEventID` compares a field's name before the field is read as an ordinary line. Behind that name comes
    // `eventID`, which may hold control characters: RequestHead leaves such a field out.
    private enum State: UInt8 {
        case start, emptyLine, method, target, version, statusPrefix, line, lineFeed, fieldStart, lastEventID, eventID, finalLineFeed
        case ended, failed
    }

    private let kind: HeadKind
    private let limits: HeadLimits
    private var state = State.start
    private var failure = HTTPError.truncatedHead
    private var targetBytes = 0
    private var prefixBytes = 0
    private var fieldCount = 0

    /// How many bytes of this head have come so far, empty lines before it included.
    public private(set) var receivedBytes = 0

    /// A scanner at the beginning of a head.
    public init(kind: HeadKind, limits: HeadLimits) {
        self.kind = kind
        self.limits = limits
    }

    /// Whether the head's first line has begun. Empty lines before a request do not count: a connection that received only those is
    /// still idle.
    public var hasBegun: Bool {
        state != .start && state != .emptyLine
    }

    /// Prepares the scanner for the next head of the same kind.
    public mutating func reset() {
        self = HeadScanner(kind: kind, limits: limits)
    }

    /// Takes the next bytes. Returns how many of them belong to the head, its end included, or nil if all of them do and more are
    /// needed. After the end no byte belongs to it.
    ///
    /// Throws at the first byte that no head can have in that place, or that reaches a limit before the head's end; from then on it
    /// throws the same error.
    public mutating func receive(_ bytes: Span<UInt8>) throws(HTTPError) -> Int? {
        if state == .failed { throw failure }
        var index = 0
        while index < bytes.count {
            if state == .ended { return index }
            if state == .line {
                // The run of ordinary bytes, which is nearly all of a head.
                let end = index + min(bytes.count - index, limits.headBytes - receivedBytes)
                let start = index
                index = firstControlByte(bytes, from: index, to: end)
                receivedBytes += index - start
                if receivedBytes >= limits.headBytes { throw fail(.headTooLarge) }
                if index == end { continue }
            }
            do throws(HTTPError) {
                state = try stateAfter(bytes[index])
            } catch {
                throw fail(error)
            }
            index += 1
            receivedBytes += 1
            if state != .ended, receivedBytes >= limits.headBytes { throw fail(.headTooLarge) }
        }
        return state == .ended ? index : nil
    }

    /// The end of a head that begins with these bytes and lies wholly within them; nil if there is none. Only the end is searched for.
    /// The caller parses the head, and asks a scanner what is wrong if parsing fails.
    public static func endOfWholeHead(_ bytes: Span<UInt8>, limits: HeadLimits) -> Int? {
        let limit = min(bytes.count, limits.headBytes)
        var lineStart = 0
        // Empty lines before a request belong to it.
        while lineStart + 1 < limit, bytes[lineStart] == carriageReturn, bytes[lineStart + 1] == lineFeed { lineStart += 2 }
        guard lineStart < limit else { return nil }
        while true {
            let end = firstControlByte(bytes, from: lineStart, to: limit)
            guard end + 1 < limit else { return nil }
            if bytes[end] == horizontalTab {
                lineStart = end + 1
                continue
            }
            guard bytes[end] == carriageReturn, bytes[end + 1] == lineFeed else { return nil }
            let next = end + 2
            if next + 1 < limit, bytes[next] == carriageReturn { return bytes[next + 1] == lineFeed ? next + 2 : nil }
            lineStart = next
        }
    }

    private mutating func fail(_ error: HTTPError) -> HTTPError {
        state = .failed
        failure = error
        return error
    }

    /// Takes one byte.
    private mutating func stateAfter(_ byte: UInt8) throws(HTTPError) -> State {
        switch state {
        case .start: return try stateAfterFirst(byte)
        case .emptyLine:
            guard byte == lineFeed else { throw .bareCarriageReturn }
            return .start
        case .method:
            if isTokenCharacter(byte) { return .method }
            if byte == space { return .target }
            throw violation(byte) ?? .malformedRequestLine
        case .target: return try stateInTarget(byte)
        case .version:
            if byte == carriageReturn { return .lineFeed }
            if byte > 0x20, byte < 0x7F { return .version }
            throw violation(byte) ?? .malformedRequestLine
        case .statusPrefix: return try stateInStatusPrefix(byte)
        case .line:
            if byte == carriageReturn { return .lineFeed }
            if let error = violation(byte) { throw error }
            return .line
        case .lineFeed:
            guard byte == lineFeed else { throw .bareCarriageReturn }
            return .fieldStart
        case .fieldStart:
            if byte == carriageReturn { return .finalLineFeed }
            if isBlank(byte) { throw .obsoleteFolding }
            if let error = violation(byte) { throw error }
            guard isTokenCharacter(byte) else { throw .invalidFieldName }
            fieldCount += 1
            guard fieldCount <= limits.fieldCount else { throw .tooManyFields }
            prefixBytes = 1
            return kind == .request && lowercased(byte) == UInt8(ascii: "l") ? .lastEventID : .line
        case .lastEventID:
            if byte == carriageReturn { return .lineFeed }
            if let error = violation(byte) { throw error }
            let name: StaticString = "last-event-id:"
            guard lowercased(byte) == name.utf8Start[prefixBytes] else { return .line }
            prefixBytes += 1
            return prefixBytes == name.utf8CodeUnitCount ? .eventID : .lastEventID
        case .eventID:
            if byte == carriageReturn { return .lineFeed }
            if let error = violation(byte), error != .controlCharacter || byte == 0 { throw error }
            return .eventID
        case .finalLineFeed:
            guard byte == lineFeed else { throw .bareCarriageReturn }
            return .ended
        case .ended, .failed: return state
        }
    }

    /// The byte that a head begins with. A TLS hello (0x16) ends here.
    private mutating func stateAfterFirst(_ byte: UInt8) throws(HTTPError) -> State {
        switch kind {
        case .request:
            if byte == carriageReturn { return .emptyLine }
            if byte == lineFeed { throw .bareLineFeed }
            guard isTokenCharacter(byte) else { throw .malformedRequestLine }
            return .method
        case .response:
            return try stateInStatusPrefix(byte)
        }
    }

    private mutating func stateInTarget(_ byte: UInt8) throws(HTTPError) -> State {
        if isTargetByte(byte) {
            targetBytes += 1
            guard targetBytes <= limits.targetBytes else { throw .targetTooLong }
            return .target
        }
        // A carriage return here means HTTP/0.9, which has no further lines to wait for.
        if byte == space || byte == carriageReturn {
            guard byte == space, targetBytes > 0 else { throw .malformedRequestLine }
            return .version
        }
        throw violation(byte) ?? .malformedTarget
    }

    /// Compares with `HTTP/1.`, so that the proxy does not wait for a head in bytes that are not HTTP.
    private mutating func stateInStatusPrefix(_ byte: UInt8) throws(HTTPError) -> State {
        let prefix: StaticString = "HTTP/1."
        guard byte == prefix.utf8Start[prefixBytes] else {
            throw prefixBytes >= 5 && isDigit(byte) ? .unsupportedVersion : .malformedStatusLine
        }
        prefixBytes += 1
        return prefixBytes == prefix.utf8CodeUnitCount ? .line : .statusPrefix
    }

    /// What is wrong with a byte that no line may hold, a carriage return included.
    private func violation(_ byte: UInt8) -> HTTPError? {
        switch byte {
        case lineFeed: .bareLineFeed
        case _ where isFieldValueByte(byte): nil
        case carriageReturn: .malformedRequestLine
        default: .controlCharacter
        }
    }
}

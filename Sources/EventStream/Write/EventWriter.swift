// Writing events, as a server does.
//
// The caller owns the bytes. Invariant: only whole lines are written. An EventSource reads from them exactly what was given, except
// that every line end in the data becomes an LF (WHATWG HTML 9.2.6).

import Bytes

/// Writes events and comments of a text/event-stream at the end of an array.
public struct EventWriter: Sendable {
    /// A writer; it keeps nothing between calls.
    public init() {}

    /// Writes one event, the blank line that dispatches it included.
    ///
    /// - Parameters:
    ///   - name: the event's type; nil or empty is a `message`.
    ///   - id: the last event id from here on; empty resets it, nil leaves it as it is.
    ///   - data: any text. Each CRLF, LF or CR in it begins another `data` line.
    ///   - retryMilliseconds: how long the client waits before it reconnects.
    ///   - bytes: where it is appended.
    /// - Throws: where the name or the id holds a CR, LF or NUL. Nothing has been written then.
    public func writeEvent(
        name: String? = nil, id: String? = nil, data: String, retryMilliseconds: UInt64? = nil,
        to bytes: inout [UInt8]
    ) throws(FieldError) {
        if let name {
            try FieldError.check(name, for: .eventName)
        }
        if let id {
            try FieldError.check(id, for: .id)
        }
        if let retryMilliseconds {
            writeRetry(milliseconds: retryMilliseconds, to: &bytes)
        }
        if let id {
            writeField("id:", id, to: &bytes)
        }
        if let name, !name.isEmpty {
            writeField("event:", name, to: &bytes)
        }
        writeLines(data, prefix: "data:", to: &bytes)
        bytes.append(lineFeed)
    }

    /// Writes the line that sets how many milliseconds a client waits before it reconnects.
    public func writeRetry(milliseconds: UInt64, to bytes: inout [UInt8]) {
        writeField("retry:", String(milliseconds), to: &bytes)
    }

    private func writeField(_ prefix: StaticString, _ value: String, to bytes: inout [UInt8]) {
        append(prefix, to: &bytes)
        if !value.isEmpty {
            // Always a space: readers drop one, and the value may begin with a space itself.
            bytes.append(space)
            bytes.append(contentsOf: value.utf8)
        }
        bytes.append(lineFeed)
    }

    private func writeLines(_ text: String, prefix: StaticString, to bytes: inout [UInt8]) {
        append(prefix, to: &bytes)
        var isAtLineStart = true
        var isAfterCarriageReturn = false
        for byte in text.utf8 {
            switch byte {
            case lineFeed where isAfterCarriageReturn:
                isAfterCarriageReturn = false
            case lineFeed, carriageReturn:
                bytes.append(lineFeed)
                append(prefix, to: &bytes)
                isAtLineStart = true
                isAfterCarriageReturn = byte == carriageReturn
            default:
                if isAtLineStart {
                    bytes.append(space)
                }
                bytes.append(byte)
                isAtLineStart = false
                isAfterCarriageReturn = false
            }
        }
        bytes.append(lineFeed)
    }

    private func append(_ text: StaticString, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
}

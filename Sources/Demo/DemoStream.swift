// The bytes of the demo's event streams: what the backend writes, event by event, and the chunks around it. Others decide who gets them
// and when. Invariant: each piece holds whole events.

import EventStream
import HTTP

/// Writes the pieces of the demo's event streams.
enum DemoStream {
    /// The event with which the backend greets a client: the number of the next event, and how long to wait before coming back. It
    /// tells the page exactly what it has missed, and a person with curl that the stream is open.
    static func greeting(nextNumber: UInt64, retryMilliseconds: UInt64?) -> [UInt8] {
        write(name: "hello", id: nil, data: "{\"next\":\(nextNumber)}", retryMilliseconds: retryMilliseconds)
    }

    /// One numbered event; `unixMilliseconds` is the time of day at which it was made.
    static func numbered(_ number: UInt64, unixMilliseconds: Int64) -> [UInt8] {
        write(name: nil, id: String(number), data: "{\"seq\":\(number),\"time\":\(unixMilliseconds)}", retryMilliseconds: nil)
    }

    /// The first event of one of the eight streams: which version of HTTP the browser speaks, as the proxy says it.
    static func version(_ version: String, retryMilliseconds: UInt64) -> [UInt8] {
        write(name: "hello", id: nil, data: "{\"http\":\"\(version)\"}", retryMilliseconds: retryMilliseconds)
    }

    /// One event of one of the eight streams; `connections` is how many the load balancer sees.
    static func beat(_ number: UInt64, connections: Int) -> [UInt8] {
        write(name: nil, id: String(number), data: "{\"seq\":\(number),\"connections\":\(connections)}", retryMilliseconds: nil)
    }

    /// One event with nothing but data.
    static func event(data: String) -> [UInt8] { write(name: nil, id: nil, data: data, retryMilliseconds: nil) }

    private static func write(name: String?, id: String?, data: String, retryMilliseconds: UInt64?) -> [UInt8] {
        var bytes: [UInt8] = []
        do {
            try EventWriter().writeEvent(name: name, id: id, data: data, retryMilliseconds: retryMilliseconds, to: &bytes)
        } catch {
            preconditionFailure("the demo's own names and numbers hold no line end")
        }
        return bytes
    }

    /// Bytes as one chunk of a body (RFC 9112 section 7.1).
    static func chunk(_ data: [UInt8]) -> [UInt8] {
        var line = [UInt8](repeating: 0, count: ChunkedCoding.maximumSizeLineBytes)
        let length = line.withUnsafeMutableBytes {
            ChunkedCoding.writeSizeLine(data.count, endingAt: $0.count, in: $0)
        }
        var chunk = Array(line.suffix(length))
        chunk.append(contentsOf: data)
        chunk.append(contentsOf: [13, 10])
        return chunk
    }
}

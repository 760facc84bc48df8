// Follows one response: bytes and the time at which they came in, an observation out. It uses the proxy's own parsers and owns no socket.
// Invariant: what it keeps of a response is bounded, whatever the response is.

import EventStream
import HTTP
import ProbeScripts

/// Follows one response.
package struct ResponseTap {
    /// What has been seen so far.
    package var observation: Observation
    private var partial: PartialHead?
    private var body: BodyRelay?
    private var isCloseDelimited = false
    private var isPlainText = true
    private var scanner = EventScanner()
    private var reader = ProbeItemReader()
    /// The bounds of a head, over HTTP/1 and HTTP/2.
    static let limits = HeadLimits(headBytes: 65_536, fieldCount: 200)

    /// A response to what was asked for.
    package init(_ plan: FlightPlan) { observation = Observation(plan) }

    /// Bytes of HTTP/1 came. They may be changed in place.
    package mutating func receive(_ bytes: UnsafeMutableRawBufferPointer, at now: Int64) {
        guard observation.ending == nil else { return }
        var offset = 0
        do throws(HTTPError) {
            while body == nil, offset < bytes.count {
                guard let taken = try partial.receiveResponse(UnsafeRawBufferPointer(rebasing: bytes[offset...]), limits: Self.limits)
                else { return }
                offset += taken.consumed
                guard !taken.head.isInterim else { continue }
                let framing = taken.head.status == 101 ? .none : try taken.head.framing(requestMethod: .get)
                observation.http = taken.head.minorVersion == 0 ? "1.0" : "1.1"
                observation.framing =
                    switch framing {
                    case .none: "no body"
                    case .length(let count): "Content-Length \(count)"
                    case .chunked: "chunked"
                    case .untilClose: "ends with the connection"
                    }
                isCloseDelimited = framing == .untilClose
                begin(taken.head, at: now)
                body = BodyRelay(framing: framing)
                if body?.isEnded == true { end(.complete, at: now) }
            }
            guard var body else { return }
            let piece = body.take(bytes, from: offset)
            self.body = body
            take(UnsafeRawBufferPointer(piece.payload), at: now)
            if let error = piece.error { throw error }
            if piece.isLast { end(.complete, at: now) }
        } catch {
            end(.brokeRules("\(error.reason)"), at: now)
        }
    }

    /// The head of a response of HTTP/2 came. `isLast`: it has no body.
    package mutating func receiveHead(_ head: ResponseHead, isLast: Bool, at now: Int64) {
        guard observation.ending == nil else { return }
        observation.framing = isLast ? "no body" : head.contentLength.map { "Content-Length \($0)" } ?? "ends with its stream"
        begin(head, at: now)
        if isLast { end(.complete, at: now) }
    }

    /// Bytes of a body came, without framing. `isLast`: the body has ended.
    package mutating func receiveBody(_ payload: UnsafeRawBufferPointer, isLast: Bool, at now: Int64) {
        guard observation.ending == nil else { return }
        take(payload, at: now)
        if isLast { end(.complete, at: now) }
    }

    private mutating func begin(_ head: ResponseHead, at now: Int64) {
        observation.headAt = now
        observation.status = head.status
        observation.fields = head.fields.map { field in
            let name = String(decoding: head.bytes[field.name], as: UTF8.self).lowercased()
            return (name, String(decoding: head.bytes[field.value].prefix(512), as: UTF8.self))
        }
        isPlainText = head.contentEncodingIsIdentity
    }

    private mutating func take(_ payload: UnsafeRawBufferPointer, at now: Int64) {
        guard !payload.isEmpty else { return }
        observation.lastByteAt = now
        observation.bodyBytes += payload.count
        if observation.arrivals.last?.at == now {
            observation.arrivals[observation.arrivals.count - 1].bytes += payload.count
        } else if observation.arrivals.count < Observation.arrivalLimit {
            observation.arrivals.append(Observation.Arrival(at: now, bytes: payload.count))
        }
        // Compressed bytes are not decoded: when they come says enough.
        guard isPlainText else { return }
        let room = Observation.beginningBytes - observation.beginning.count
        if room > 0 { observation.beginning += payload.prefix(room) }
        scanner.receive(payload.bindMemory(to: UInt8.self).span)
        observation.events = scanner.eventCount
        guard case .play = observation.plan.request else { return }
        for item in reader.receive(payload) where observation.items.count < Observation.arrivalLimit {
            observation.items.append(Observation.ArrivedItem(at: now, item: item))
        }
        observation.facts = reader.facts
    }

    /// The peer has ended its sending.
    package mutating func finish(isAuthentic: Bool, at now: Int64) {
        let isDelimiter = body != nil && isCloseDelimited
        end(isDelimiter ? .closedAsDelimiter(isAuthentic: isAuthentic) : .closed(isAuthentic: isAuthentic), at: now)
    }

    /// It is over. A later ending changes nothing.
    package mutating func end(_ ending: FlightEnding, at now: Int64) {
        guard observation.ending == nil else { return }
        observation.ending = ending
        observation.endedAt = now
    }
}

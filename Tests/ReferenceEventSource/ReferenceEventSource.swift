// An EventSource that follows the standard exactly; the scanner and the weaver are compared with it.
//
// Written from the text of WHATWG HTML 9.2.5 and 9.2.6, step by step, over the complete bytes, without any
// code of what it judges. It works on bytes, not on characters: UTF-8 decoding changes none of the
// characters that the steps look at, and an invalid sequence never includes one of them.

/// What an EventSource has read, exactly by the standard.
public struct ReferenceEventSource: Equatable {
    /// An event as it is dispatched.
    public struct Event: Equatable {
        public var type: [UInt8]
        public var data: [UInt8]
        public var lastEventID: [UInt8]

        /// An event from its parts.
        public init(type: [UInt8], data: [UInt8], lastEventID: [UInt8]) {
            self.type = type
            self.data = data
            self.lastEventID = lastEventID
        }
    }

    /// The state at a blank line.
    public struct Boundary: Equatable {
        /// How many events had been dispatched.
        public var eventCount: Int
        /// The last event ID string.
        public var lastEventID: [UInt8]
    }

    public private(set) var events: [Event] = []
    /// The state at the beginning and at each blank line. Left out of comparisons: a blank line that dispatches nothing
    /// changes nothing that a page could tell.
    public private(set) var boundaries: [Boundary] = []
    /// "The last event ID string of the event source".
    public private(set) var lastEventID: [UInt8]
    /// "The event stream's reconnection time", or nil until it is set.
    public private(set) var reconnectionTimeMilliseconds: UInt64?
    /// Whether a line other than a comment has come since the last blank line.
    public private(set) var isEventOpen = false
    /// Whether the bytes end with a line end, or hold no line at all.
    public private(set) var endsBetweenLines = true
    /// The offset in the bytes just behind the last blank line, or nil where there is none.
    public private(set) var lastBoundary: Int?

    private var dataBuffer: [UInt8] = []
    private var eventTypeBuffer: [UInt8] = []
    private var lastEventIDBuffer: [UInt8]

    /// Reads a whole stream. `bufferBegins` is what the last event ID buffer holds at its start: empty by
    /// the standard, the earlier id in clients that carry it over to a new connection.
    public init(reading bytes: [UInt8], after lastEventID: [UInt8] = [], bufferBegins: [UInt8] = []) {
        self.lastEventID = lastEventID
        lastEventIDBuffer = bufferBegins
        boundaries = [Boundary(eventCount: 0, lastEventID: lastEventID)]
        var stream = bytes
        if stream.starts(with: [0xEF, 0xBB, 0xBF]) {
            stream.removeFirst(3)
        }
        let markCount = bytes.count - stream.count
        var line: [UInt8] = []
        var wasBlank = false
        var position = 0
        while position < stream.count {
            let byte = stream[position]
            if byte == 13, position + 1 < stream.count, stream[position + 1] == 10 {
                process(line)
                wasBlank = line.isEmpty
                line = []
                position += 2
            } else if byte == 10 || byte == 13 {
                process(line)
                wasBlank = line.isEmpty
                line = []
                position += 1
            } else {
                line.append(byte)
                wasBlank = false
                position += 1
            }
            if wasBlank {
                lastBoundary = markCount + position
            }
        }
        // "Once the end of the file is reached, any pending data must be discarded."
        endsBetweenLines = line.isEmpty
    }

    private mutating func process(_ line: [UInt8]) {
        if line.isEmpty {
            dispatch()
            boundaries.append(Boundary(eventCount: events.count, lastEventID: lastEventID))
            isEventOpen = false
            return
        }
        if line[0] == 58 {
            return
        }
        isEventOpen = true
        if let colon = line.firstIndex(of: 58) {
            var value = Array(line[(colon + 1)...])
            if value.first == 32 {
                value.removeFirst()
            }
            processField(Array(line[..<colon]), value)
        } else {
            processField(line, [])
        }
    }

    private mutating func processField(_ name: [UInt8], _ value: [UInt8]) {
        if name == Array("event".utf8) {
            eventTypeBuffer = value
        } else if name == Array("data".utf8) {
            dataBuffer += value
            dataBuffer.append(10)
        } else if name == Array("id".utf8) {
            if !value.contains(0) {
                lastEventIDBuffer = value
            }
        } else if name == Array("retry".utf8) {
            if !value.isEmpty, value.allSatisfy({ $0 >= 48 && $0 <= 57 }) {
                reconnectionTimeMilliseconds = UInt64(String(decoding: value, as: UTF8.self)) ?? .max
            }
        }
    }

    private mutating func dispatch() {
        lastEventID = lastEventIDBuffer
        if dataBuffer.isEmpty {
            eventTypeBuffer = []
            return
        }
        if dataBuffer.last == 10 {
            dataBuffer.removeLast()
        }
        let type = eventTypeBuffer.isEmpty ? Array("message".utf8) : eventTypeBuffer
        events.append(Event(type: type, data: dataBuffer, lastEventID: lastEventID))
        dataBuffer = []
        eventTypeBuffer = []
    }

    public static func == (left: Self, right: Self) -> Bool {
        left.events == right.events && left.lastEventID == right.lastEventID
            && left.reconnectionTimeMilliseconds == right.reconnectionTimeMilliseconds && left.isEventOpen == right.isEventOpen
            && left.endsBetweenLines == right.endsBetweenLines && left.lastBoundary == right.lastBoundary
            && left.dataBuffer == right.dataBuffer && left.eventTypeBuffer == right.eventTypeBuffer
            && left.lastEventIDBuffer == right.lastEventIDBuffer
    }

    /// The same without the events of this type.
    public func without(type: String) -> ReferenceEventSource {
        var copy = self
        copy.events.removeAll { $0.type == Array(type.utf8) }
        return copy
    }
}

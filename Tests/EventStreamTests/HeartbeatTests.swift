// The bytes of heartbeats, and what may not be in them.

import EventStream
import ReferenceEventSource
import Testing

private func text(_ heartbeat: Heartbeat, _ placement: Placement) -> String {
    String(decoding: heartbeat.bytes(at: placement), as: UTF8.self)
}

@Suite struct HeartbeatTests {
    @Test("each kind has its full form between events")
    func fullForms() throws {
        #expect(text(try Heartbeat(.comment), .betweenEvents) == ":\n\n")
        #expect(text(try Heartbeat(.comment, text: "alive"), .betweenEvents) == ": alive\n\n")
        #expect(text(try Heartbeat(.event(name: "beat")), .betweenEvents) == "event: beat\ndata:\n\n")
        #expect(text(try Heartbeat(.both(name: "beat"), text: "x"), .betweenEvents) == ": x\nevent: beat\ndata:\n\n")
    }

    @Test("between lines every kind is a bare comment, and nowhere it is nothing")
    func otherPlaces() throws {
        for kind: Heartbeat.Kind in [.comment, .event(name: "beat"), .both(name: "beat")] {
            let heartbeat = try Heartbeat(kind, text: "words")
            #expect(text(heartbeat, .betweenLines) == ":\n")
            #expect(heartbeat.bytes(at: .nowhere).isEmpty)
        }
    }

    @Test("a page receives the named event with empty data, and nothing of a comment")
    func readsAsMeant() throws {
        let named = ReferenceEventSource(reading: try Heartbeat(.both(name: "beat"), text: "x").bytes(at: .betweenEvents))
        #expect(named.events == [.init(type: Array("beat".utf8), data: [], lastEventID: [])])
        let comment = ReferenceEventSource(reading: try Heartbeat(.comment, text: "data: x").bytes(at: .betweenEvents))
        #expect(comment.events.isEmpty)
        #expect(Heartbeat.openingComment(at: .betweenEvents) == Array(":\n\n".utf8))
        #expect(Heartbeat.openingComment(at: .betweenLines) == Array(":\n".utf8))
    }

    @Test("a CR, an LF, a NUL, in a name or a text, and an empty name are refused")
    func refusals() {
        for character in ["\r", "\n", "\0", "\r\n"] {
            let first = character.utf8.first!
            #expect(throws: FieldError.forbiddenByte(first, in: .comment)) {
                _ = try Heartbeat(.comment, text: "a" + character)
            }
            #expect(throws: FieldError.forbiddenByte(first, in: .eventName)) {
                _ = try Heartbeat(.event(name: character + "b"))
            }
            #expect(throws: FieldError.forbiddenByte(first, in: .eventName)) {
                _ = try Heartbeat(.both(name: "a" + character + "b"))
            }
        }
        #expect(throws: FieldError.emptyEventName) { _ = try Heartbeat(.event(name: "")) }
        #expect(throws: FieldError.emptyEventName) { _ = try Heartbeat(.both(name: "")) }
    }
}

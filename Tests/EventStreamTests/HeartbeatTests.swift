// The bytes of heartbeats, and what may not be in them.

import EventStream
import ReferenceEventSource
import Testing

/// A weaver that has followed these bytes.
private func behind(_ upstream: String, resumes: Bool = false) -> Weaver {
    var weaver = Weaver(resumes: resumes)
    _ = weaver.receive(Array(upstream.utf8).span)
    return weaver
}

private func text(_ heartbeat: Heartbeat, _ weaver: Weaver = Weaver()) -> String {
    String(decoding: heartbeat.bytes(in: weaver), as: UTF8.self)
}

private func opening(_ heartbeat: Heartbeat, _ weaver: Weaver = Weaver()) -> String {
    String(decoding: heartbeat.openingComment(in: weaver), as: UTF8.self)
}

@Suite struct HeartbeatTests {
    private static let kinds: [Heartbeat.Kind] = [.comment, .event(name: "beat"), .both(name: "beat")]
    private static let forms: [CommentForm] = [.automatic, .line, .block]

    @Test("each kind has its full form between events")
    func fullForms() throws {
        #expect(text(try Heartbeat(.comment)) == ":\n\n")
        #expect(text(try Heartbeat(.comment, text: "alive")) == ": alive\n\n")
        for form in Self.forms {
            #expect(text(try Heartbeat(.event(name: "beat"), form: form)) == "event: beat\ndata:\n\n")
            #expect(text(try Heartbeat(.both(name: "beat"), text: "x", form: form)) == ": x\nevent: beat\ndata:\n\n")
        }
    }

    @Test("between lines every kind is a comment line with the same text, and inside a line it is nothing", arguments: forms)
    func otherPlaces(_ form: CommentForm) throws {
        for kind in Self.kinds {
            let heartbeat = try Heartbeat(kind, text: "words", form: form)
            #expect(text(heartbeat, behind("data: a\n")) == ": words\n")
            #expect(text(heartbeat, behind("id: 1\ndata: a\r")) == ": words\n")
            #expect(text(heartbeat, behind("data")).isEmpty)
        }
    }

    @Test("an automatic comment is a block until the stream has shown an id or the request brought one, and then a line")
    func automatic() throws {
        let heartbeat = try Heartbeat(.comment)
        for withoutID in [
            "", "data: a\n\n", "id\ndata: a\n\n", "id:\ndata: a\n\n", "ids: 1\n\n", ": id: 1\n\n", "id: a\0b\n\n", "data: id: 1\n\n",
        ] {
            #expect(text(heartbeat, behind(withoutID)) == ":\n\n", "\(withoutID.debugDescription)")
            #expect(opening(heartbeat, behind(withoutID)) == ":\n\n")
        }
        // Also if a later line resets the id: the client may keep the old one.
        for withID in ["id: 1\ndata: a\n\n", "id:1\n\n", "data: a\r\nid: x\r\n\r\n", "id: 1\n\nid\ndata: b\n\n", "id: 1\n\ndata: b\n\n"] {
            #expect(text(heartbeat, behind(withID)) == ":\n", "\(withID.debugDescription)")
            #expect(opening(heartbeat, behind(withID)) == ":\n")
        }
        #expect(text(heartbeat, behind("", resumes: true)) == ":\n")
        #expect(text(heartbeat, behind("data: a\n\n", resumes: true)) == ":\n")
    }

    @Test("a line is always a line, and a block is one wherever its blank line ends no event and loses no id")
    func chosenForms() throws {
        let line = try Heartbeat(.comment, form: .line)
        let block = try Heartbeat(.comment, form: .block)
        for upstream in ["", "data: a\n\n", "id: 1\n\n"] {
            for resumes in [false, true] {
                let weaver = behind(upstream, resumes: resumes)
                let mayBeBlank = !resumes || !upstream.isEmpty
                #expect(text(line, weaver) == ":\n")
                #expect(opening(line, weaver) == ":\n")
                #expect(text(block, weaver) == (mayBeBlank ? ":\n\n" : ":\n"))
                #expect(opening(block, weaver) == (mayBeBlank ? ":\n\n" : ":\n"))
            }
        }
    }

    @Test("the opening comment has the text of the heartbeats, of whatever kind they are", arguments: kinds)
    func openingText(_ kind: Heartbeat.Kind) throws {
        #expect(opening(try Heartbeat(kind, text: "hello")) == ": hello\n\n")
        #expect(opening(try Heartbeat(kind, text: "hello", form: .line)) == ": hello\n")
    }

    @Test("a page receives the named event with empty data, and nothing of a comment")
    func readsAsMeant() throws {
        let named = ReferenceEventSource(reading: try Heartbeat(.both(name: "beat"), text: "x").bytes(in: Weaver()))
        #expect(named.events == [.init(type: Array("beat".utf8), data: [], lastEventID: [])])
        let comment = ReferenceEventSource(reading: try Heartbeat(.comment, text: "data: x").bytes(in: Weaver()))
        #expect(comment.events.isEmpty)
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

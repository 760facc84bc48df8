// What the writer writes, read back by the reference EventSource.

import EventStream
import ReferenceEventSource
import Testing

@Suite struct EventWriterTests {
    private let writer = EventWriter()

    @Test("an event is written field by field, with a line for each line of its data")
    func form() throws {
        var bytes: [UInt8] = []
        try writer.writeEvent(name: "add", id: "7", data: "a\r\n\rb\n", retryMilliseconds: 250, to: &bytes)
        let expected = "retry: 250\nid: 7\nevent: add\ndata: a\ndata:\ndata: b\ndata:\n\n"
        #expect(String(decoding: bytes, as: UTF8.self) == expected)
    }

    @Test("an EventSource reads back what was written, line ends in the data as LF")
    func roundTrip() throws {
        let texts = [
            "", " ", "  two", "a", "a\nb", "\n", "\n\n", "\r", "\r\n", "\n\r", "\r\r\n\n", ":x", "data: y", "a\0b", "é", "\u{FEFF}",
        ]
        for text in texts {
            for name in [nil, "", "add", " spaced", "a:b"] {
                for id in [nil, "", "7", " 7", ":"] {
                    var bytes: [UInt8] = []
                    try writer.writeEvent(id: "before", data: "first", to: &bytes)
                    try writer.writeEvent(name: name, id: id, data: text, to: &bytes)
                    let source = ReferenceEventSource(reading: bytes)
                    let type = name.flatMap { $0.isEmpty ? nil : $0 } ?? "message"
                    #expect(source.events.count == 2)
                    #expect(source.events.last?.type == Array(type.utf8))
                    #expect(source.events.last?.data == normalized(Array(text.utf8)))
                    #expect(source.lastEventID == Array((id ?? "before").utf8))
                }
            }
        }
    }

    @Test("a retry value alone sets the reconnection time")
    func retryAlone() {
        var bytes: [UInt8] = []
        writer.writeRetry(milliseconds: .max, to: &bytes)
        #expect(ReferenceEventSource(reading: bytes).reconnectionTimeMilliseconds == .max)
    }

    @Test("ids and names with a CR, LF or NUL are refused and leave nothing behind")
    func refusals() {
        for character in ["\r", "\n", "\0"] {
            let byte = character.utf8.first!
            var bytes: [UInt8] = [1]
            #expect(throws: FieldError.forbiddenByte(byte, in: .id)) {
                try writer.writeEvent(name: "add", id: "1" + character, data: "x", retryMilliseconds: 1, to: &bytes)
            }
            #expect(throws: FieldError.forbiddenByte(byte, in: .eventName)) {
                try writer.writeEvent(name: character, id: "1", data: "x", retryMilliseconds: 1, to: &bytes)
            }
            #expect(bytes == [1])
        }
    }

    /// The data with each CRLF or CR as an LF, computed in another way than the writer does.
    private func normalized(_ bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        for (index, byte) in bytes.enumerated() {
            if byte == 10, index > 0, bytes[index - 1] == 13 { continue }
            result.append(byte == 13 ? 10 : byte)
        }
        return result
    }
}
